"""A stage's formula: which parts count how much, and the reward R = A + g(a)·B + P that follows, with floors below.

Before penalties the answer decides: with the default numbers a wrong answer earns at most 0.3, a partly
right one 0.4 to 0.8, a right one 1.0 to 1.8, whatever the bonus B in [0, 1]. Below every answered trajectory
(clipped at −0.4) come no answer (−0.5) and a forged document (−1.0).

Two presets for comparison have arithmetic of their own: `paper` (the paper's figures, see `rewards.paper`) and
`authors` (their released stage 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medr3_plugin.errors import UserError
from medr3_plugin.judge.base import RIGHT
from medr3_plugin.rewards import paper
from medr3_plugin.rewards.options import BonusWeights, ByLevel, PenaltyScales, StageOptions

STAGE_INDEX = {"reasoning": 0, "retrieval": 1, "joint": 2}
"""The stages and their value under the record's key `stage`."""

WEIGHTS = {
    "reasoning": BonusWeights(reasoning=(0.5, 0.5), searched=(0.5, 0.5)),
    "retrieval": BonusWeights(retrieval=(1.0, 1.0)),
    "joint": BonusWeights(reasoning=(0.6, 0.6), retrieval=(0.2, 0.2), coordination=(0.2, 0.2)),
    "authors": BonusWeights(reasoning=(0.8, 0.8)),
}
"""Weights of the bonus by preset.

In `reasoning` a search counts beside an answer that is not right, or a policy that answers from memory would not meet a
document before the second stage; it counts as much as S, whose differences within a group hide a smaller pay
(docs/LEARNING.md). In `joint` S counts most, as good reasoning spans less of its scale than a search.
"""

AUTHORS_FORGED = -0.1
"""The release's reward for a malformed search or a forged document, without any other term."""

AUTHORS_UNJUDGED = 0.1
"""The release's base for a trajectory of format score 0; it is not judged."""


@dataclass(frozen=True, slots=True)
class Formula:
    """How a stage turns parts into a reward.

    Attributes:
        preset: `reasoning`, `retrieval`, `joint`, `paper` or `authors`.
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
    def is_paper(self) -> bool:
        """Whether this is the formula of the paper's figures."""
        return self.preset == "paper"

    @property
    def stage(self) -> str:
        """The stage whose formula this is: reasoning, retrieval or joint."""
        return next(name for name, index in STAGE_INDEX.items() if index == self.index)

    @property
    def uses_text(self) -> bool:
        """Whether the similarity of texts counts."""
        if self.is_paper:
            return self.index == 0 and self.options.paper.alpha > 0
        return any(self.weights.reasoning)

    @property
    def uses_graph(self) -> bool:
        """Whether the model's own graph counts."""
        if self.is_paper:
            return self.index < STAGE_INDEX["joint"]
        return any(self.weights.reasoning) or any(self.weights.coordination)

    @property
    def compares(self) -> bool:
        """Whether it counts where the reasoning agrees with documents and references, and where it contradicts them."""
        if self.is_paper or self.is_authors:
            return False
        return any(map(any, (self.weights.reasoning, self.weights.retrieval, self.weights.coordination)))


class NoFormula(UserError):
    """A preset has no formula for a stage."""


def formula(stage: str, options: StageOptions) -> Formula:
    """The formula of the stage called `stage`.

    Raises:
        NoFormula: the preset has none for it.
        UserError: weights are set that the preset does not have.
    """
    preset: str = options.preset
    if preset in ("medr3", "paper") and stage not in STAGE_INDEX:
        raise NoFormula(
            f"medr3.reward.stages.{stage}.preset: {preset} has no formula for a stage of this name; set it to one "
            f"of {', '.join(WEIGHTS)}, or name the stage {', '.join(STAGE_INDEX)}"
        )
    if preset == "paper":
        return _paper(stage, options)
    if preset == "medr3":
        preset = stage
    index = STAGE_INDEX.get(preset, STAGE_INDEX.get(stage, 0))
    return Formula(preset, index, options.weights or WEIGHTS[preset], options)


def _paper(stage: str, options: StageOptions) -> Formula:
    if options.weights is not None:
        raise UserError(
            f"medr3.reward.weights, for stage {stage}: preset paper does not have these; its weights are under "
            "medr3.reward.paper"
        )
    wrong, partly, right = paper.ANSWER
    fixed = {
        "answer": ByLevel(wrong=wrong, partly=partly, right=right),
        # the figures have no penalty; the text has the overlong ramp
        "penalties": PenaltyScales(format=0, length=0, language=0, overlong=options.penalties.overlong),
    }
    return Formula("paper", STAGE_INDEX[stage], BonusWeights(), options.model_copy(update=fixed))


PENALTIES = ("penalty_format", "penalty_length", "penalty_language", "penalty_overlong")


def weights_for(level: int | None, formula: Formula, progress: float) -> dict[str, float]:
    """Part -> its weight in B at `progress` of the stage, for an answer of this level.

    A search as such counts only beside an answer that is not right: a right answer from memory needed none. Beside a
    right one the other parts share its weight.
    """
    weights = formula.weights.at(progress)
    if level != RIGHT or not weights["searched"]:
        return weights
    total = sum(weights.values())
    others = total - weights["searched"]
    share = total / others if others else 0.0
    return {part: weight * share for part, weight in weights.items()} | {"searched": 0.0}


def bonus(record: Mapping[str, float], level: int | None, formula: Formula, progress: float) -> float:
    """B: weighted sum of S, T, C and N at `progress` of the stage, in [0, 1]; C may be negative, B not."""
    parts = {**record, "searched": float(record["documents"] > 0)}
    weights = weights_for(level, formula, progress)
    return max(0.0, sum(weight * parts[part] for part, weight in weights.items()))


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
    if formula.is_paper:
        return paper.reward(record, formula.stage)
    if formula.is_authors:
        return _authors(record, level, formula, progress, penalty)
    floors = formula.options.floors
    if record["forged"]:
        return floors.forged
    if level is None:
        return floors.no_answer
    earned = record["answer"] + gate(level, formula) * bonus(record, level, formula, progress)
    return max(earned + penalty, floors.answered)


def _authors(
    record: Mapping[str, float], level: int | None, formula: Formula, progress: float, penalty: float
) -> float:
    """The release's stage 1: R = max(A + 0.8·S, 0) + P, judged only if the format score is not 0."""
    if record["forged"]:
        return AUTHORS_FORGED
    if level is None:
        return record["answer"] + penalty
    return max(record["answer"] + bonus(record, level, formula, progress), 0.0) + penalty
