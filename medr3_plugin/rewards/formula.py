"""A stage's formula: which parts count how much, and the reward R = A + g(a)·B + P that follows, with floors below.

Before penalties the answer decides: with the default numbers a wrong answer earns at most 0.3, a partly
right one 0.4 to 0.8, a right one 1.0 to 1.8, whatever the bonus B in [0, 1]. Below every answered trajectory
(clipped at −0.4) come no answer (−0.5) and a forged document (−1.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medr3_plugin.errors import UserError
from medr3_plugin.rewards.options import BonusWeights, StageOptions

STAGE_INDEX = {"reasoning": 0, "retrieval": 1, "joint": 2}
"""The stages and their value under the record's key `stage`."""

WEIGHTS = {
    "reasoning": BonusWeights(reasoning=(1.0, 1.0)),
    "retrieval": BonusWeights(retrieval=(1.0, 1.0)),
    "joint": BonusWeights(reasoning=(0.4, 0.4), retrieval=(0.4, 0.4), coordination=(0.2, 0.2)),
    "authors": BonusWeights(reasoning=(0.8, 0.8)),
}
"""Weights of the bonus by preset."""

AUTHORS_FORGED = -0.1
"""The release's reward for a malformed search or a forged document, without any other term."""

AUTHORS_UNJUDGED = 0.1
"""The release's base for a trajectory of format score 0; it is not judged."""


@dataclass(frozen=True, slots=True)
class Formula:
    """How a stage turns parts into a reward.

    Attributes:
        preset: `reasoning`, `retrieval`, `joint` or `authors`.
        index: see `STAGE_INDEX`; a stage of another name counts by its preset.
        weights: weights of the bonus.
        options: everything else.
    """

    preset: str
    index: int
    weights: BonusWeights
    options: StageOptions

    @property
    def is_authors(self) -> bool:
        """Whether this is the release's formula."""
        return self.preset == "authors"

    @property
    def uses_reasoning(self) -> bool:
        """Whether S has any weight."""
        return any(self.weights.reasoning)

    @property
    def uses_coordination(self) -> bool:
        """Whether C has any weight."""
        return any(self.weights.coordination)


def formula(stage: str, options: StageOptions) -> Formula:
    """The formula of the stage called `stage`.

    Raises:
        UserError: the preset goes by the stage's name and there is none of that name.
    """
    preset: str = options.preset
    if preset == "medr3":
        if stage not in STAGE_INDEX:
            raise UserError(
                f"stage {stage!r} has no formula of its own: set medr3.reward.stages.{stage}.preset to one "
                f"of {', '.join(WEIGHTS)}, or name the stage {', '.join(STAGE_INDEX)}"
            )
        preset = stage
    index = STAGE_INDEX.get(preset, STAGE_INDEX.get(stage, 0))
    return Formula(preset, index, options.weights or WEIGHTS[preset], options)


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
