"""From parts to the reward: R = A + g(a)·B + P, with floors below.

Before penalties the answer decides: with the default numbers a wrong answer earns at most 0.3, a partly
right one 0.4 to 0.8, a right one 1.0 to 1.8, whatever the bonus B in [0, 1]. Below every answered trajectory
(clipped at −0.4) come no answer (−0.5) and a forged document (−1.0).
"""

from __future__ import annotations

from collections.abc import Mapping

from medr3_plugin.rewards.presets import AUTHORS_FORGED, Formula

PENALTIES = ("penalty_format", "penalty_length", "penalty_language", "penalty_overlong")


def bonus(record: Mapping[str, float], formula: Formula, progress: float) -> float:
    """B: weighted sum of S, T and C at `progress` of the stage, in [0, 1]."""
    reasoning, retrieval, coordination = formula.weights.at(progress)
    return (
        reasoning * record["reasoning"]
        + retrieval * record["retrieval"]
        + coordination * record["coordination"]
    )


def gate(level: int | None, formula: Formula) -> float:
    """g(a): the share of the bonus that an answer of this level earns; 0 without an answer."""
    if level is None:
        return 0.0
    return 1.0 if formula.is_authors else formula.options.gate[level]


def compose(record: Mapping[str, float], level: int | None, formula: Formula, progress: float = 0.0) -> float:
    """The reward of a sample whose parts are in `record`.

    Args:
        record: answer term, S, T, C, penalties and `forged`.
        level: 0 wrong, 1 partly right, 2 right; None if there is no answer (or, under `authors`, none that
            their formula judges).
        progress: position in the stage, 0 to 1.
    """
    penalty = sum(record[name] for name in PENALTIES)
    if formula.is_authors:
        return _authors(record, level, formula, progress, penalty)
    floors = formula.options.floors
    if record["forged"]:
        return floors.forged
    if level is None:
        return floors.no_answer
    earned = record["answer"] + gate(level, formula) * bonus(record, formula, progress)
    return max(earned + penalty, floors.answered)


def _authors(
    record: Mapping[str, float], level: int | None, formula: Formula, progress: float, penalty: float
) -> float:
    """The release's stage 1: R = max(A + 0.8·S, 0) + P, judged only if the format score is not 0."""
    if record["forged"]:
        return AUTHORS_FORGED
    if level is None:
        return record["answer"] + penalty
    return max(record["answer"] + bonus(record, formula, progress), 0.0) + penalty
