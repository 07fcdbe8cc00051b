"""The formulas of the three stages, and the release's formula for comparison."""

from __future__ import annotations

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
