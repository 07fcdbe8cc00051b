"""BM25 and dense retrieval together: reciprocal rank fusion, weighted for each query without any label.

Cormack, Clarke and Büttcher 2009: a document at rank r (from 1) of an engine's list gets weight / (k + r), and the sums
over the engines are sorted. The weights come from two observations about the query at hand:

* **A ranking that knows the answer stands out from itself.** z = (best score − mean of the others) / standard
  deviation of the others, over the first 100 results. It has no unit, so BM25's and the encoder's can be
  compared; a flat list (z near 2 to 3) is what an engine returns that sees nothing special.
* **One vector cannot hold a list.** Sentence encoders are trained on sentences; a query of fifty findings is
  averaged into a place near everything. Beyond `SENTENCE_TERMS` terms the encoder's share falls as 1 / terms.

The weight of BM25 is z_b² / (z_b² + z_d² · min(1, SENTENCE_TERMS / terms)), that of the encoder the rest:
squares, because engines' independent errors weigh by inverse variance. docs/benchmarks/retrieval.md
says on which half of which query sets this form was chosen, and what it gave on the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medr3_plugin.retrieval.index.dense import DenseIndex
from medr3_plugin.retrieval.index.filters import Mask
from medr3_plugin.retrieval.index.lexical import LexicalIndex, Rows, Scores

FIRST = 100  # results whose scores the weights are estimated from, whatever the depth
RRF_K = 10.0
"""Cormack et al. use 60, for lists of equal weight; that levels the first ranks so much that the weights of a
query hardly count. With weights, 5 to 20 did best on every development set."""
SENTENCE_TERMS = 16
"""Terms (stop words left out) of a long sentence."""
_LEAST, _MOST = 0.1, 20.0


def reciprocal_rank_fusion(
    rankings: Sequence[Rows], weights: Sequence[float], topk: int, k: float = RRF_K
) -> tuple[Rows, Scores]:
    """Fuse the rankings of one query.

    Args:
        rankings: one array of row numbers an engine, best first; -1 (no document) is skipped.
        weights: one an engine, not negative.
        topk: rows to return at most.
        k: how much the first ranks stand out; smaller means more.

    Returns:
        Row numbers and fused scores, best first; rows of equal score in row order.
    """
    rows = np.concatenate([np.asarray(ranking, dtype=np.int64) for ranking in rankings])
    gains = np.concatenate(
        [
            weight / (k + 1 + np.arange(len(ranking)))
            for ranking, weight in zip(rankings, weights, strict=True)
        ]
    )
    held = rows >= 0
    found, places = np.unique(rows[held], return_inverse=True)
    scores = np.bincount(places, weights=gains[held], minlength=len(found))
    order = np.lexsort((found, -scores))[:topk]
    return found[order], scores[order].astype(np.float32)


def standing_out(scores: Scores) -> float:
    """z of the first score against the others, 0.1 to 20; 0 without any result.

    Args:
        scores: of one query, best first; 0 where there was no result.
    """
    if not len(scores) or scores[0] <= 0:
        return 0.0
    others = np.asarray(scores[1:], dtype=np.float64)
    if not len(others):
        return _LEAST
    distance, spread = float(scores[0]) - others.mean(), others.std()
    return float(np.clip(distance / max(spread, 1e-9), _LEAST, _MOST))


def lexical_weight(lexical: Scores, dense: Scores, terms: int) -> float:
    """BM25's weight, 0 to 1; the encoder has the rest.

    Args:
        lexical: BM25's scores of one query, best first.
        dense: the encoder's.
        terms: terms of the query that the corpus knows.
    """
    own = standing_out(lexical) ** 2
    other = standing_out(dense) ** 2 * min(1.0, SENTENCE_TERMS / max(terms, 1))
    return own / (own + other) if own + other else 0.5


def fuse_one(
    terms: int, lexical: tuple[Rows, Scores], dense: tuple[Rows, Scores], topk: int
) -> tuple[Rows, Scores]:
    """Rows and scores of one query, joined; `terms` is how many it has."""
    weight = lexical_weight(lexical[1][:FIRST], dense[1][:FIRST], terms)
    return reciprocal_rank_fusion((lexical[0], dense[0]), (weight, 1 - weight), topk)


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
