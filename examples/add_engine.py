"""Search with your own engine behind the retrieval service.

    python examples/add_engine.py [PORT]

An engine is an object with `search`, `warm_up` and `close`. The service gives it batching, a cache, limits, /health and
/metrics; training, `medr3 eval` and other projects reach it by `medr3.retrieval: {url: http://127.0.0.1:8765}`. This
one compares runs of three characters, so a misspelt word still finds its document.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import uvicorn

from medr3_plugin import Document, Hit
from medr3_plugin.retrieval.engine import Filters
from medr3_plugin.retrieval.serve.service import ServiceOptions, create_app

CORPUS = (
    Document("1", "Scurvy is a deficiency of vitamin C.", "Scurvy", evidence_type="guideline", evidence_level=7),
    Document("2", "Rickets is a deficiency of vitamin D.", "Rickets", evidence_type="rct", evidence_level=6),
    Document("3", "Beriberi is a deficiency of thiamine.", "Beriberi", evidence_type="cohort", evidence_level=4),
)  # fmt: skip


def trigrams(text: str) -> Counter[str]:
    padded = f"  {text.casefold()} "
    return Counter(padded[i : i + 3] for i in range(len(padded) - 2))


class TrigramEngine:
    """Documents by the share of the query's trigrams they have."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = [(one, trigrams(f"{one.title} {one.text}")) for one in documents]

    def search(self, queries: Sequence[str], topk: int, filters: Filters | None = None) -> list[list[Hit]]:
        """The `topk` best documents of each query, best first. It is called from several threads."""
        return [self._one(query, topk, filters or Filters()) for query in queries]

    def _one(self, query: str, topk: int, filters: Filters) -> list[Hit]:
        wanted = trigrams(query) if query.strip() else Counter()
        lowest = filters.min_evidence_level or 1
        hits = [
            Hit(document, (wanted & has).total() / wanted.total())
            for document, has in self._documents
            if wanted & has and document.evidence_level >= lowest
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:topk]

    def warm_up(self) -> None:
        """Load models, compile: what the first search would wait for."""

    def close(self) -> None:
        """Release what the engine holds."""


def main(port: int = 8765) -> None:
    app = create_app(ServiceOptions(), lambda: TrigramEngine(CORPUS))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
