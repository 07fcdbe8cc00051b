"""The retrieval service with another trainer: build an index, serve it, ask it in Search-R1's protocol.

    python examples/retrieval_service.py

`search` below needs only the standard library, so you can paste it into another project. Any client written for
Search-R1's server works unchanged.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medr3_plugin.retrieval.index.build import build_index

CORPUS = [
    {
        "id": "1",
        "title": "Scurvy",
        "text": "Scurvy is a deficiency of vitamin C.",
        "evidence_type": "guideline",
    },
    {"id": "2", "title": "Rickets", "text": "Rickets is a deficiency of vitamin D.", "evidence_type": "RCT"},
    {
        "id": "3",
        "title": "Beriberi",
        "text": "Beriberi is a deficiency of thiamine.",
        "evidence_type": "cohort",
    },
]


def search(url: str, queries: list[str], topk: int = 2) -> list[list[dict[str, Any]]]:
    """Documents of each query, best first."""
    body = json.dumps({"queries": queries, "topk": topk, "return_scores": True}).encode()
    request = urllib.request.Request(f"{url}/retrieve", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (our own address)
        return json.load(answer)["result"]


@contextlib.contextmanager
def served(index: Path, port: int) -> Iterator[str]:
    """`medr3 serve` for as long as the block runs."""
    command = [sys.executable, "-m", "medr3_plugin.cli", "serve", "--index", str(index), "--port", str(port)]
    server = subprocess.Popen(command)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(urllib.error.URLError):
                urllib.request.urlopen(f"{url}/health", timeout=5).close()  # noqa: S310
                break
            if server.poll() is not None:
                raise SystemExit("the service did not start")
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


def main(port: int = 8765) -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpus, index = Path(folder) / "corpus.jsonl", Path(folder) / "index"
        corpus.write_text("".join(json.dumps(row) + "\n" for row in CORPUS), encoding="utf-8")
        build_index(corpus, index)
        with served(index, port) as url:
            for query, hits in zip(QUERIES, search(url, QUERIES), strict=True):
                print(query)
                for hit in hits:
                    document = hit["document"]
                    print(f"  {hit['score']:6.3f}  level {document['evidence_level']}  {document['title']}")


QUERIES = ["vitamin C deficiency", "thiamine"]

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
