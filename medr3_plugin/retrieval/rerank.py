"""Reordering the best hits: a cross-encoder, and a prior for strong evidence."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError, needs
from medr3_plugin.records import Hit
from medr3_plugin.retrieval.corpus.evidence import HIGHEST, LOWEST
from medr3_plugin.retrieval.index.lexical import MAX_QUERY_CHARACTERS
from medr3_plugin.retrieval.index.store import indexed_text

_RANK_OFFSET = 10.0
"""How easy it is to move up: with more, neighbouring ranks differ less."""


def prefer_evidence(hits: Sequence[Hit], strength: float) -> list[Hit]:
    """The hits with strong evidence before others that match about as well, with their new scores.

    A hit at rank r (from 1) of the engine gets 1 / (10 + r), times 1 + strength · (level − 1) / 8, and
    the hits are sorted by the product. It works on ranks because engines' scores have no common scale.

    Args:
        strength: 0 changes nothing; 1 doubles a meta-analysis against an expert opinion.
    """
    if not strength:
        return list(hits)
    step = strength / (HIGHEST - LOWEST)
    scored = [
        Hit(hit.document, (1 + step * (hit.document.evidence_level - LOWEST)) / (_RANK_OFFSET + rank))
        for rank, hit in enumerate(hits, 1)
    ]
    return sorted(scored, key=lambda hit: -hit.score)


class CrossEncoderReranker:
    """Scores query and document together with a cross-encoder; loaded at the first use.

    Args:
        path: folder or Hugging Face name.
        depth: hits that are scored; those below keep their order behind them and are never returned first.
        device: `cpu`, `cuda`, ...; None lets sentence-transformers choose.
    """

    def __init__(self, path: str, depth: int = 50, device: str | None = None) -> None:
        folder = Path(path).expanduser()
        if not folder.is_dir() and (folder.is_absolute() or path.startswith(".")):
            raise UserError(
                f"reranker {path!r}: no such folder; give the folder or hub name of a cross-encoder"
            )
        self.path = str(folder) if folder.is_dir() else path
        self.depth = depth
        self._device = device
        self._model: Any = None
        self._lock = threading.Lock()

    def apply(self, queries: Sequence[str], results: Sequence[Sequence[Hit]]) -> list[list[Hit]]:
        """The hits of each query, reordered, with the cross-encoder's scores.

        Hits past `depth` follow in their order; they have no score of the cross-encoder and get the lowest given.
        """
        pairs = [
            (query[:MAX_QUERY_CHARACTERS], indexed_text(hit.document))
            for query, hits in zip(queries, results, strict=True)
            for hit in hits[: self.depth]
        ]
        # one lock for loading and scoring: tokenizers are not safe to share
        with self._lock:
            scores = iter(self._loaded().predict(pairs, show_progress_bar=False).tolist() if pairs else ())
        reordered = []
        for hits in results:
            scored = [Hit(hit.document, float(next(scores))) for hit in hits[: self.depth]]
            scored.sort(key=lambda hit: -hit.score)
            reordered.append(scored + [Hit(hit.document, scored[-1].score) for hit in hits[self.depth :]])
        return reordered

    def warm_up(self) -> None:
        """Load the model."""
        with self._lock:
            self._loaded()

    def _loaded(self) -> Any:
        if self._model is None:
            with needs("sentence-transformers", "dense", "reranking"):
                from sentence_transformers import CrossEncoder
            try:
                self._model = CrossEncoder(self.path, device=self._device)
            except (OSError, ValueError, RuntimeError) as error:
                raise UserError(f"reranker {self.path!r} cannot be loaded: {error}") from error
        return self._model
