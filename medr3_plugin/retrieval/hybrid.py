"""BM25 and dense retrieval together: reciprocal rank fusion with weights that depend on the query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medr3_plugin.retrieval.fusion import lexical_weight, reciprocal_rank_fusion
from medr3_plugin.retrieval.index.dense import DenseIndex
from medr3_plugin.retrieval.index.filters import Mask
from medr3_plugin.retrieval.index.lexical import LexicalIndex, Rows, Scores

FIRST = 100  # results whose scores the weights are estimated from, whatever the depth


class HybridRetriever:
    """Both indexes over the same documents; safe to use from several threads."""

    def __init__(self, lexical: LexicalIndex, dense: DenseIndex, depth: int = FIRST) -> None:
        self.lexical = lexical
        self.dense = dense
        self._depth = depth

    def __len__(self) -> int:
        return len(self.lexical)

    def search(self, queries: Sequence[str], topk: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """`[queries, topk]` row numbers and fused scores, best first; -1 where there is nothing more."""
        depth = max(topk, self._depth, FIRST)
        return self.fuse(
            queries, self.lexical.search(queries, depth, mask), self.dense.search(queries, depth, mask), topk
        )

    def fuse(
        self, queries: Sequence[str], lexical: tuple[Rows, Scores], dense: tuple[Rows, Scores], topk: int
    ) -> tuple[Rows, Scores]:
        """The two engines' results for the same queries, joined."""
        topk = min(topk, len(self))
        rows = np.full((len(queries), topk), -1, dtype=np.int64)
        scores = np.zeros((len(queries), topk), dtype=np.float32)
        for number, query in enumerate(queries):
            words, meaning = ((side[0][number], side[1][number]) for side in (lexical, dense))
            found, fused = fuse_one(len(self.lexical.terms(query)), words, meaning, topk)
            rows[number, : len(found)] = found
            scores[number, : len(found)] = fused
        return rows, scores

    def warm_up(self) -> None:
        """Warm both."""
        self.lexical.warm_up()
        self.dense.warm_up()


def fuse_one(
    terms: int, lexical: tuple[Rows, Scores], dense: tuple[Rows, Scores], topk: int
) -> tuple[Rows, Scores]:
    """Rows and scores of one query, joined; `terms` is how many it has."""
    weight = lexical_weight(lexical[1][:FIRST], dense[1][:FIRST], terms)
    return reciprocal_rank_fusion((lexical[0], dense[0]), (weight, 1 - weight), topk)
