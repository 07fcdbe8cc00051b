"""Reasoning term S: agreement with the best of the reference trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medr3_plugin.knowledge.graph import Graph, jaccard, path_jaccard
from medr3_plugin.rewards.options import ReasoningWeights


@dataclass(frozen=True, slots=True)
class ReasoningScore:
    """S and its terms, all in [0, 1], and which reference they belong to (None without references)."""

    total: float = 0.0
    logic: float = 0.0
    semantic: float = 0.0
    statistic: float = 0.0
    reference: int | None = None


def centred(cosine: float, c0: float) -> float:
    """max(0, (cos − c0) / (1 − c0)): 0 for the cosine of unrelated texts, 1 for the same text.

    Any two medical texts have a cosine well above 0; without centring the term is a constant bonus.

    >>> centred(0.75, 0.5), centred(0.3, 0.5)
    (0.5, 0.0)
    """
    return min(1.0, max(0.0, (cosine - c0) / (1.0 - c0)))


def best_reference(
    own: Graph, references: Sequence[Graph], semantic: Sequence[float], weights: ReasoningWeights
) -> ReasoningScore:
    """S against each reference, the best one wins (the first of equals).

    Args:
        own: the model's graph.
        references: the references' graphs, K of them.
        semantic: the centred cosine with each reference, K numbers.
    """
    total_weight = weights.logic + weights.semantic + weights.statistic
    best = ReasoningScore()
    for index, (reference, similarity) in enumerate(zip(references, semantic, strict=True)):
        logic = path_jaccard(own, reference)
        statistic = jaccard(own.entities, reference.entities)
        total = (
            weights.logic * logic + weights.semantic * similarity + weights.statistic * statistic
        ) / total_weight
        if best.reference is None or total > best.total:
            best = ReasoningScore(total, logic, similarity, statistic, index)
    return best
