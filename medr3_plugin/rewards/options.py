"""The configuration of the rewards: the yaml section `medr3.reward`, validated.

```yaml
medr3:
  reward:
    preset: medr3                  # medr3, paper: by the stage's name | authors | reasoning | retrieval | joint
    stages:                        # what differs in a stage; every key of a stage may also stand above
      joint:
        weights: {reasoning: [0.6, 0.4], retrieval: 0.4}   # [at the start, at the end] moves linearly
    judge: {kind: rule}
    extractor: {kind: lexicon, vocabularies: [vocab/hpo.jsonl]}
    encoder: {path: null}
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from medr3_plugin.errors import UserError
from medr3_plugin.rewards.paper import NonNegative, PaperOptions
from medr3_plugin.yaml_section import Section, validated

Preset = Literal["medr3", "paper", "authors", "reasoning", "retrieval", "joint"]
Share = Annotated[float, Field(ge=0, le=1)]


def _as_pair(value: Any) -> Any:
    if isinstance(value, str | bool | None):
        raise ValueError("expected a number, or [start, end]")
    return (value, value) if isinstance(value, int | float) else value


Ramp = Annotated[tuple[Share, Share], BeforeValidator(_as_pair)]
"""A weight at the start and at the end of the stage; one number stands for both."""


class BonusWeights(Section):
    """Weights of the parts in the bonus B: each a number, or `[start, end]` to move linearly over the stage. Their sum
    must not exceed 1, so that the answer decides.

    Attributes:
        reasoning: weight of S, the agreement with the best reference.
        retrieval: weight of T, what the searches found and how it was used.
        coordination: weight of C, how far the documents support the reasoning that leads to the answer.
        searched: weight of N, 1 if a search brought a document, whatever it is about, and the answer is not right.
            Beside a right answer the other parts share this weight.
    """

    reasoning: Ramp = (0.0, 0.0)
    retrieval: Ramp = (0.0, 0.0)
    coordination: Ramp = (0.0, 0.0)
    searched: Ramp = (0.0, 0.0)

    @model_validator(mode="after")
    def _sum(self) -> BonusWeights:
        for when, total in zip(("start", "end"), self.sums(), strict=True):
            if total > 1 + 1e-9:
                raise ValueError(
                    f"the weights sum to {total:g} at the {when} of the stage; at most 1 is allowed"
                )
        return self

    def sums(self) -> tuple[float, float]:
        """Sum of the weights at the start and at the end."""
        ramps = self._ramps().values()
        return sum(ramp[0] for ramp in ramps), sum(ramp[1] for ramp in ramps)

    def at(self, progress: float) -> dict[str, float]:
        """Part -> its weight at `progress` in [0, 1] of the stage."""
        t = min(max(progress, 0.0), 1.0)
        return {part: (1 - t) * start + t * end for part, (start, end) in self._ramps().items()}

    def _ramps(self) -> dict[str, tuple[float, float]]:
        return {part: getattr(self, part) for part in type(self).model_fields}


class ByLevel(Section):
    """A number for each answer level.

    Attributes:
        wrong: for a wrong or undecided answer.
        partly: for a partly right answer.
        right: for a right answer.
    """

    wrong: float
    partly: float
    right: float

    def __getitem__(self, level: int) -> float:
        return (self.wrong, self.partly, self.right)[level]


class Weights(Section):
    """Weights that are divided by their sum."""

    @model_validator(mode="after")
    def _some(self) -> Weights:
        if sum(self.model_dump().values()) <= 0:
            raise ValueError("at least one weight must be positive")
        return self


class ReasoningWeights(Weights):
    """Weights of the terms of S; they are divided by their sum.

    Attributes:
        logic: facts and paths shared with the reference's graph.
        semantic: similarity of the reasoning and the reference's text; needs `encoder.path`.
        statistic: entities or terms shared with the reference.
    """

    logic: NonNegative = 1.0
    semantic: NonNegative = 1.0
    statistic: NonNegative = 1.0


class RetrievalWeights(Weights):
    """Weights of the parts of T; they are divided by their sum.

    Utilisation and coverage count most.

    Attributes:
        quality: mean evidence level of the relevant documents found.
        coverage: share of the needed evidence that was found.
        utilisation: share of the relevant documents that were used, less those that were contradicted.
        breadth: share of the searches that brought a relevant document, new to the model and then taken up.
    """

    quality: NonNegative = 0.1
    coverage: NonNegative = 0.3
    utilisation: NonNegative = 0.35
    breadth: NonNegative = 0.25


class Overlong(Section):
    """The penalty of overlong responses: it rises linearly over the last `buffer` tokens before `max_tokens`.

    Attributes:
        max_tokens: response length from which the full penalty applies; null turns it off.
        buffer: tokens before `max_tokens` over which the penalty rises.
        factor: the full penalty.
    """

    max_tokens: Annotated[int, Field(gt=0)] | None = None
    buffer: Annotated[int, Field(gt=0)] = 3072
    factor: NonNegative = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> Overlong:
        if self.max_tokens is not None and self.buffer > self.max_tokens:
            raise ValueError(f"buffer ({self.buffer}) is larger than max_tokens ({self.max_tokens})")
        return self


class PenaltyScales(Section):
    """Largest size of each penalty.

    Attributes:
        format: text outside the tags, or tags out of order.
        length: a reasoning text that is short compared with the answer.
        language: reasoning or answer in another language than the question; applied to each.
        overlong: a response near or beyond the length limit.
    """

    format: NonNegative = 0.1
    length: NonNegative = 0.1
    language: NonNegative = 0.1
    overlong: Overlong = Overlong()


class Floors(Section):
    """Rewards of trajectories that are not scored, and the lowest reward of an answered one.

    Attributes:
        forged: reward of a trajectory that wrote a document itself.
        no_answer: reward of a trajectory without an answer.
        answered: lowest reward of an answered trajectory, whatever its penalties.
    """

    forged: float = -1.0
    no_answer: float = -0.5
    answered: float = -0.4

    @model_validator(mode="after")
    def _ladder(self) -> Floors:
        if not self.forged < self.no_answer < self.answered:
            raise ValueError("must rise: forged < no_answer < answered")
        return self


class StageOptions(Section):
    """What can be set for a stage; an absent key takes the preset's value.

    Attributes:
        preset: the formula: `medr3` and `paper` choose theirs by the stage's name, `authors` is the release's, and
            `reasoning`, `retrieval` and `joint` are those of `medr3` for a stage of any name.
        weights: weights of the bonus; null takes the preset's.
        answer: A, the reward of the answer alone.
        gate: g, the share of the bonus that is paid; a worse answer must always earn less than a better one.
        reasoning: weights within S.
        retrieval: weights within T.
        penalties: sizes of the penalties.
        floors: the lowest rewards.
        paper: weights of the preset `paper`.
    """

    preset: Preset = "medr3"
    weights: BonusWeights | None = None
    answer: ByLevel = ByLevel(wrong=0.1, partly=0.4, right=1.0)
    gate: ByLevel = ByLevel(wrong=0.2, partly=0.4, right=0.8)
    reasoning: ReasoningWeights = ReasoningWeights()
    retrieval: RetrievalWeights = RetrievalWeights()
    penalties: PenaltyScales = PenaltyScales()
    floors: Floors = Floors()
    paper: PaperOptions = PaperOptions()

    @model_validator(mode="after")
    def _answer_decides(self) -> StageOptions:
        a, g = self.answer, self.gate
        if min(g.wrong, g.partly, g.right) < 0:
            raise ValueError("gate: must not be negative")
        if not (a.wrong + g.wrong < a.partly and a.partly + g.partly < a.right):
            raise ValueError(
                "answer and gate: a worse answer with the full bonus must stay below a better answer without any, "
                f"but wrong earns up to {a.wrong + g.wrong:g}, partly from {a.partly:g} to {a.partly + g.partly:g} and "
                f"right from {a.right:g}"
            )
        return self


class ExtractorOptions(Section):
    """Where the model's triples come from.

    Attributes:
        kind: `lexicon` (terms and their order in a sentence) or `judge` (the judge's model extracts them).
        vocabularies: vocabulary files, earlier ones take precedence; without any, runs of content words are the terms.
        max_triples: most triples taken from one text, so that length does not pay without limit; raise it for long
            reasoning.
    """

    kind: Literal["lexicon", "judge"] = "lexicon"
    vocabularies: tuple[str, ...] = ()
    max_triples: Annotated[int, Field(gt=0)] = 400


class AgreementOptions(Section):
    """Who finds out where the reasoning agrees with its documents and references, and where it contradicts them.

    Attributes:
        kind: `rules` (words and polarity of clauses) or `judge` (one request to the judge's model per trajectory),
            which also hears what is said in other words.
    """

    kind: Literal["rules", "judge"] = "rules"


class EncoderOptions(Section):
    """The sentence encoder of the semantic term; off without `path`.

    It runs on the CPU unless `device` says otherwise: in training, GPUs belong to trainer and vLLM, but Ray does not
    hide them from reward workers, which would all load the encoder onto the first.

    Attributes:
        path: folder or Hub name of a sentence-transformers model.
        c0: cosine of unrelated medical texts, which counts as 0; null takes the measured value, if known.
        batch_size: texts encoded at a time.
        window: words per piece of a long text, whose vector is the mean over its pieces.
        device: where it runs, in torch's notation.
    """

    path: str | None = None
    c0: Annotated[float, Field(ge=0, lt=1)] | None = None
    batch_size: Annotated[int, Field(gt=0)] = 64
    window: Annotated[int, Field(gt=0)] = 180
    device: str = "cpu"


class RewardOptions(StageOptions):
    """The whole section: what applies to every stage, and what differs in a stage.

    Attributes:
        stages: stage name -> keys of this section that differ there, except judge, extractor, agreement and
            encoder.
        judge: decides answers that no rule can decide.
        extractor: where the model's triples come from.
        agreement: who compares the reasoning with documents and references.
        encoder: the sentence encoder of the semantic term.
    """

    stages: Mapping[str, Any] = Field(default_factory=dict)
    judge: Mapping[str, Any] = Field(default_factory=dict)
    extractor: ExtractorOptions = ExtractorOptions()
    agreement: AgreementOptions = AgreementOptions()
    encoder: EncoderOptions = EncoderOptions()


_NOT_PER_STAGE = ("stages", "judge", "extractor", "agreement", "encoder")


class _Stages(BaseModel):
    """Of `medr3.reward`, what differs in a stage."""

    stages: dict[str, dict[str, Any] | None]


class _OwnStage(BaseModel):
    """Of an entry of `medr3.stages`, what is about rewards."""

    name: str
    reward: dict[str, Any] | None = None


class _OwnStages(BaseModel):
    stages: list[_OwnStage]


def read_options(options: Mapping[str, Any]) -> RewardOptions:
    """Validate the section.

    Raises:
        UserError: names the yaml path at fault.
    """
    return validated(RewardOptions, options, "medr3.reward")


def stage_options(options: Mapping[str, Any], stage: str, path: str | None = None) -> StageOptions:
    """The options of one stage: the section's own keys, overridden by those under `stages.<stage>`.

    Args:
        options: the section; what is wrong in it for every stage is found by `read_options`.
        path: where the stage's keys stand, if not in the section.

    Raises:
        UserError: names the yaml path at fault.
    """
    own = (options.get("stages") or {}).get(stage) or {}
    if not isinstance(own, Mapping):
        raise UserError(f"medr3.reward.stages.{stage}: must be a mapping")
    common = _of_every_stage(options)
    # a stage's keys mean something only together with the common ones: a gate may need the section's ladder
    path = path or (f"medr3.reward.stages.{stage}" if own else "medr3.reward")
    return validated(StageOptions, _merge(common, own), path)


def reward_options(section: Mapping[str, Any], router_address: str | None = None) -> dict[str, Any]:
    """`medr3.reward` with the stages' own overrides and, for a judge behind verl's router, its address.

    Raises:
        UserError: `medr3.stages` or `medr3.reward.stages` has another form; names the yaml path.
    """
    options = dict(section.get("reward") or {})
    common = validated(_Stages, {"stages": options.get("stages") or {}}, "medr3.reward").stages
    of_stages = validated(_OwnStages, {"stages": section.get("stages") or []}, "medr3").stages
    elsewhere = set(common)
    for stage in of_stages:
        common[stage.name] = {**(common.get(stage.name) or {}), **(stage.reward or {})}
    if common:
        options["stages"] = common
    if any(stage.reward for stage in of_stages):
        validated(StageOptions, _of_every_stage(options), "medr3.reward")
    for i, stage in enumerate(of_stages):
        if stage.reward and stage.name not in elsewhere:
            stage_options(options, stage.name, f"medr3.stages[{i}].reward")
    judge = options.get("judge")
    if router_address and judge and judge.get("kind") == "router":
        options["judge"] = {**judge, "address": router_address}
    return options


def _of_every_stage(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in _NOT_PER_STAGE}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        # weights are taken as a whole: adding a stage's weights to the common ones would surprise
        nested = key != "weights" and isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if nested and isinstance(old, Mapping) else value
    return merged
