"""Joining the rankings of several engines: weighted reciprocal rank fusion.

Cormack, Clarke and Büttcher 2009: a document at rank r (from 1) of an engine's list gets weight / (k + r),
and the sums over the engines are sorted. `fusion_weights` says how the weights for a query are estimated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medr3_plugin.retrieval.index.lexical import Rows, Scores

RRF_K = 10.0
"""Cormack et al. use 60, for lists of equal weight; that levels the first ranks so much that the weights of a
query hardly count. With weights, 5 to 20 did best on every development set."""


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
