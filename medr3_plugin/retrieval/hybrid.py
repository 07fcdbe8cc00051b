"""BM25 and dense retrieval together: per-query weighted reciprocal rank fusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medr3_plugin.retrieval.dense import DenseIndex
from medr3_plugin.retrieval.filters import Mask
from medr3_plugin.retrieval.fusion import reciprocal_rank_fusion
from medr3_plugin.retrieval.lexical import LexicalIndex, Rows, Scores

DEPTH = 100
"""Documents each engine contributes."""


class HybridRetriever:
    """Both indexes over the same documents; safe to use from several threads."""

    def __init__(self, lexical: LexicalIndex, dense: DenseIndex, depth: int = DEPTH) -> None:
        self.lexical = lexical
        self.dense = dense
        self._depth = depth

    def __len__(self) -> int:
        return len(self.lexical)

    def search(self, queries: Sequence[str], topk: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """`[queries, topk]` row numbers and fused scores, best first; -1 where there is nothing more."""
        depth = max(topk, self._depth)
        lexical, lexical_scores = self.lexical.search(queries, depth, mask)
        dense, dense_scores = self.dense.search(queries, depth, mask)
        topk = min(topk, len(self))
        rows = np.full((len(queries), topk), -1, dtype=np.int64)
        scores = np.zeros((len(queries), topk), dtype=np.float32)
        for number in range(len(queries)):
            weights = (0.5, 0.5)
            found, fused = reciprocal_rank_fusion((lexical[number], dense[number]), weights, topk)
            rows[number, : len(found)] = found
            scores[number, : len(found)] = fused
        return rows, scores

    def warm_up(self) -> None:
        """Warm both."""
        self.lexical.warm_up()
        self.dense.warm_up()
