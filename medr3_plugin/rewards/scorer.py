"""The scorer: samples in, reward records out.

>>> from medr3_plugin.records import Sample
>>> sample = Sample("1", "Which?", "<think>It is the flu, surely.</think><answer>flu</answer>", ("flu",))
>>> [scored] = asyncio.run(build_scorer({}).score([sample]))
>>> scored.record["score"], scored.record["acc"]
(1.0, 1.0)
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from medr3_plugin.errors import EncoderFailure, JudgeFailure
from medr3_plugin.judge.base import RIGHT, AnswerJudge, Verdict
from medr3_plugin.judge.factory import make_judge
from medr3_plugin.knowledge.extract import EntityFinder, Extractor
from medr3_plugin.knowledge.graph import Graph
from medr3_plugin.knowledge.judge_agreement import JudgeAgreement
from medr3_plugin.knowledge.vocabulary import Vocabulary
from medr3_plugin.records import Sample, ScoredSample, Triple
from medr3_plugin.rewards import components, judged, paper
from medr3_plugin.rewards import explain as reasons
from medr3_plugin.rewards import record as reward_record
from medr3_plugin.rewards.case import Case
from medr3_plugin.rewards.encoder import SentenceEncoder
from medr3_plugin.rewards.evidence import collect, own_texts
from medr3_plugin.rewards.format import format_score
from medr3_plugin.rewards.formula import (
    AUTHORS_UNJUDGED,
    STAGE_INDEX,
    Formula,
    NoFormula,
    bonus,
    compose,
    formula,
    gate,
    weights_for,
)
from medr3_plugin.rewards.measure import Measure
from medr3_plugin.rewards.options import read_options, stage_options
from medr3_plugin.rewards.penalties import authors_penalties, penalties
from medr3_plugin.rewards.verdict import decide
from medr3_plugin.trajectory import parse

_NEW_OBJECTS = 50_000
"""Before a search for garbage, in a process that scores; Python's own are 700."""


class Scorer:
    """Scores samples. Build one with `build_scorer`.

    Stateless between calls except for its memories of references, documents and embeddings.

    Args:
        formula_of: stage name -> formula; raises UserError for a stage without one.
        judge: decides on answers that no rule decides; None counts them as wrong.
        extractor: takes the model's triples from its reasoning.
        finder: finds entities in documents and questions.
        comparer: compares the reasoning with documents and references; None leaves that to rules.
        encoder: for the semantic term; None leaves the term at 0.
        c0: the encoder's cosine of unrelated texts.
    """

    def __init__(
        self,
        *,
        formula_of: Callable[[str], Formula],
        judge: AnswerJudge | None,
        extractor: Extractor,
        finder: EntityFinder,
        comparer: JudgeAgreement | None = None,
        encoder: SentenceEncoder | None = None,
        c0: float = 0.0,
    ) -> None:
        self._formula_of = lru_cache(maxsize=64)(formula_of)
        self._judge = judge
        self._extractor = extractor
        self._finder = finder
        self.comparer = comparer
        self._names = finder if isinstance(finder, Vocabulary) else None
        self._encoder = encoder
        self._measure = Measure(finder, c0)

    async def score(self, samples: Sequence[Sample]) -> list[ScoredSample]:
        """Score `samples`, in their order.

        Judge calls of all samples run concurrently (the judge limits how many) while the rest is computed. If judge or
        encoder fail, only the samples that needed them become invalid.

        Raises:
            UserError: a sample's stage has no formula.
        """
        cases: list[Case] = []
        verdicts: list[asyncio.Future[Verdict | None]] = []
        asked: list[asyncio.Future[None]] = []
        similarities: asyncio.Future[list[list[float]]] | None = None
        try:
            for sample in samples:
                cases.append(self._open(sample))
                verdicts.append(asyncio.ensure_future(self._verdict(cases[-1])))
                await asyncio.sleep(0)  # the judge is asked while the other samples are read
            for case in cases:
                self._read(case)
                if self._extractor.remote:
                    asked.append(asyncio.ensure_future(self._extract(case)))
                else:
                    await self._extract(case)
                if self.comparer is not None:
                    asked.append(asyncio.ensure_future(self._compare(case, self.comparer)))
                await asyncio.sleep(0)  # let the judge's answers in
            similarities = asyncio.gather(*(self._semantic(case) for case in cases))
            await asyncio.gather(*asked)
            for case, similarity in zip(cases, await similarities, strict=True):
                self._measure(case, similarity)
                await asyncio.sleep(0)
            return [self._close(case, await verdict) for case, verdict in zip(cases, verdicts, strict=True)]
        finally:
            for verdict in verdicts:
                verdict.cancel()
            for request in asked:
                request.cancel()
            if similarities is not None:
                similarities.cancel()

    def _open(self, sample: Sample) -> Case:
        """Parse, and everything that follows from the form alone."""
        trajectory = parse(sample.response)
        stage_formula = self._formula_of(sample.stage)
        record = reward_record.empty()
        forged = trajectory.forged if sample.forged is None else sample.forged
        record["stage"] = float(stage_formula.index)
        record["forged"] = float(forged)
        record["format"] = format_score(trajectory)
        penalise = authors_penalties if stage_formula.is_authors else penalties
        record.update(
            penalise(
                trajectory,
                sample.question,
                record["format"],
                sample.response_tokens,
                stage_formula.options.penalties,
            )
        )
        evidence = collect(sample, trajectory, self._measure.view, self._finder)
        record["searches"] = float(len(evidence.turns) + len(evidence.failures))
        record["documents"] = float(len(evidence.documents))
        record["search_failures"] = float(len(evidence.failures))
        # the release judges only what has its format score
        readable = record["format"] > 0 if stage_formula.is_authors else trajectory.answer is not None
        case = Case(sample, trajectory, stage_formula, record, evidence, scored=readable and not forged)
        case.failures += [*sample.failures, *(f"retrieval_{kind}" for kind in evidence.failures)]
        return case

    async def _verdict(self, case: Case) -> Verdict | None:
        """How good the answer is; None if there is none to judge or the judge failed."""
        if not case.scored:
            return None
        try:
            return await decide(case.trajectory, case.sample, vocabulary=self._names, judge=self._judge)
        except JudgeFailure as error:
            case.failed(error)
            return None

    def _read(self, case: Case) -> None:
        """Separate the model's own words from what it copied."""
        if not case.record["forged"]:
            question = self._measure.view(case.sample.question)
            case.own, case.reasoning = own_texts(case.trajectory, question, case.evidence)

    async def _extract(self, case: Case) -> None:
        """The model's own graph."""
        triples: Sequence[Triple] = ()
        if case.scored:
            if case.sample.triples is not None:
                triples = case.sample.triples
            elif self._extractor.remote and case.formula.uses_graph and case.lost:
                case.measurable = False
            elif not self._extractor.remote or case.formula.uses_graph:
                try:
                    triples = await self._extractor.aextract(case.reasoning)
                except JudgeFailure as error:
                    case.failed(error)
                    case.measurable = False
        case.graph = Graph(triples, self._finder.normalise)

    async def _compare(self, case: Case, comparer: JudgeAgreement) -> None:
        """What a judge says of the reasoning, where the stage's formula uses that."""
        if case.scored and case.formula.compares and (case.formula.uses_graph or case.evidence.documents):
            if case.lost:
                case.measurable = False
                return
            try:
                case.judged = await judged.ask(comparer, case)
            except JudgeFailure as error:
                case.failed(error)
                case.measurable = False

    async def _semantic(self, case: Case) -> list[float]:
        """Cosine with each reference's text, as the encoder gives it.

        Measured in every stage, so that the record can be compared between them; a failure matters only
        where the stage's formula uses it.
        """
        references = case.sample.references
        texts = [reference.text for reference in references]
        wanted = case.scored and case.reasoning.strip() and any(texts)
        if self._encoder is None or not wanted:
            return [0.0] * len(references)
        try:
            own, *others = await self._encoder.encode([case.reasoning, *texts])
        except EncoderFailure as error:
            if case.formula.uses_text:
                case.failed(error)
                case.measurable = False
            return [0.0] * len(references)
        return [float(own @ other) if text else 0.0 for other, text in zip(others, texts, strict=True)]

    def _close(self, case: Case, verdict: Verdict | None) -> ScoredSample:
        """The reward, once everything is known."""
        record, stage_formula = case.record, case.formula
        level = None if verdict is None else verdict.level
        if verdict is not None:
            record["answer"] = stage_formula.options.answer[verdict.level]
            record["acc"] = float(verdict.level == RIGHT)
        elif stage_formula.is_authors and not record["forged"]:
            record["answer"] = AUTHORS_UNJUDGED
        case.reasons["answer"] = reasons.of_answer(case.trajectory.answer, verdict)
        record["valid"] = float(not case.failures)
        if case.failures:
            case.reasons["failures"] = list(case.failures)
        else:
            progress = case.sample.stage_progress
            record["score"] = compose(record, level, stage_formula, progress)
            case.reasons["composition"] = {
                "preset": stage_formula.preset,
                "terms": paper.SUMMANDS[stage_formula.stage] if stage_formula.is_paper else (),
                "bonus": bonus(record, level, stage_formula, progress),
                "weights": list(weights_for(level, stage_formula, progress).values()),
                "gate": gate(level, stage_formula),
                "progress": progress,
            }
        return ScoredSample(case.sample.id, record, case.reasons, tuple(case.failures))


def build_scorer(options: Mapping[str, Any]) -> Scorer:
    """A scorer from the yaml section `medr3.reward` (see `rewards.options`) as a plain mapping.

    Raises:
        UserError: an option is wrong; names its yaml path.
        MissingExtra: an option needs a package that is not installed.
    """
    parsed = read_options(options)

    def formula_of(stage: str) -> Formula:
        return formula(stage, stage_options(options, stage))

    # a wrong stage section must show now, not in the middle of a run
    for stage in (*STAGE_INDEX, *parsed.stages):
        try:
            formula_of(stage)
        except NoFormula:
            if stage in parsed.stages:  # the others need not take place
                raise
    finder = components.entity_finder(parsed.extractor)
    judge = make_judge(parsed.judge)
    encoder, c0 = components.sentence_encoder(parsed.encoder)
    return Scorer(
        formula_of=formula_of,
        judge=judge,
        extractor=components.extractor(parsed.extractor, finder, judge),
        finder=finder,
        comparer=components.agreement_judge(parsed.agreement, judge),
        encoder=encoder,
        c0=c0,
    )


def collect_garbage_seldom() -> None:
    """For a process that does nothing but score: let Python look for cycles of objects less often.

    Scoring makes many objects and hardly a cycle, and the search for them takes a fifth of its time
    (docs/benchmarks/rewards.md).
    """
    first, *others = gc.get_threshold()
    gc.set_threshold(max(first, _NEW_OBJECTS), *others)
