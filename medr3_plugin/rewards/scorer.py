"""The scorer: samples in, reward records out.

>>> from medr3_plugin.records import Sample
>>> sample = Sample("1", "Which?", "<think>It is the flu, surely.</think><answer>flu</answer>", ("flu",))
>>> [scored] = asyncio.run(build_scorer({}).score([sample]))
>>> scored.record["score"], scored.record["acc"]
(1.0, 1.0)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from medr3_plugin.errors import EncoderFailure, InfrastructureFailure, JudgeFailure
from medr3_plugin.judge.base import RIGHT, AnswerJudge, Verdict
from medr3_plugin.judge.factory import make_judge
from medr3_plugin.knowledge.extract import EntityFinder, Extractor
from medr3_plugin.knowledge.graph import Edge, Graph
from medr3_plugin.knowledge.statements import ENOUGH, Fact, Said, StatementIndex, agreement, fact, stated
from medr3_plugin.knowledge.vocabulary import Vocabulary
from medr3_plugin.records import Reference, Sample, ScoredSample, Triple
from medr3_plugin.rewards import components, paper
from medr3_plugin.rewards import explain as reasons
from medr3_plugin.rewards import record as reward_record
from medr3_plugin.rewards.coordination import coordination
from medr3_plugin.rewards.encoder import SentenceEncoder
from medr3_plugin.rewards.evidence import Evidence, OwnText, TextView, collect, own_texts
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
)
from medr3_plugin.rewards.gold import in_words
from medr3_plugin.rewards.options import read_options, stage_options
from medr3_plugin.rewards.penalties import authors_penalties, penalties
from medr3_plugin.rewards.reasoning import NOTHING_STATED, Stated, best_reference, centred
from medr3_plugin.rewards.retrieval import find_relevant, retrieval_score
from medr3_plugin.rewards.verdict import decide
from medr3_plugin.trajectory import Trajectory, parse


@dataclass(slots=True)
class _Case:
    """A sample on its way through the scorer."""

    sample: Sample
    trajectory: Trajectory
    formula: Formula
    record: dict[str, float]
    evidence: Evidence
    scored: bool  # answered and not forged: S, C and the answer term are measured
    reasoning: str = ""
    own: list[OwnText] = field(default_factory=list)
    graph: Graph | None = None
    failures: list[str] = field(default_factory=list)
    reasons: dict[str, Any] = field(default_factory=dict)

    def failed(self, error: InfrastructureFailure) -> None:
        """Note a failure of the judge, the extractor or the encoder; the sample becomes invalid."""
        kind = f"{error.service}_{error.kind}"
        self.failures.append(kind)
        self.reasons.setdefault("said", {})[kind] = str(error)
        self.record["judge_failures"] += 1.0


class _ReferenceView(NamedTuple):
    """A reference's graph, the edges that stem from retrieval, and its triples as facts."""

    graph: Graph
    retrieved: frozenset[Edge]
    facts: tuple[Fact, ...]

    @classmethod
    def of(cls, triples: tuple[Triple, ...], finder: EntityFinder) -> _ReferenceView:
        retrieved = Graph([t for t in triples if t.from_retrieval], finder.normalise).edges
        facts = tuple(fact(t.head, t.relation, t.tail) for t in triples)
        return cls(Graph(triples, finder.normalise), retrieved, facts)


class Scorer:
    """Scores samples. Build one with `build_scorer`.

    Stateless between calls except for its memories of references, documents and embeddings.

    Args:
        formula_of: stage name -> formula; raises UserError for a stage without one.
        judge: decides on answers that no rule decides; None counts them as wrong.
        extractor: takes the model's triples from its reasoning.
        finder: finds entities in documents and questions.
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
        encoder: SentenceEncoder | None = None,
        c0: float = 0.0,
    ) -> None:
        self._formula_of = lru_cache(maxsize=64)(formula_of)
        self._judge = judge
        self._extractor = extractor
        self._finder = finder
        self._names = finder if isinstance(finder, Vocabulary) else None
        self._encoder = encoder
        self._c0 = c0
        # references and documents come back with every rollout of a prompt
        self._reference = lru_cache(maxsize=8192)(lambda triples: _ReferenceView.of(triples, finder))
        self._view = lru_cache(maxsize=4096)(lambda text: TextView(text, finder))

    async def score(self, samples: Sequence[Sample]) -> list[ScoredSample]:
        """Score `samples`, in their order.

        Judge calls of all samples run at the same time (the judge limits how many) and while the rest is
        computed. A judge or encoder that fails makes the samples invalid that needed it, and no other.

        Raises:
            UserError: a sample's stage has no formula.
        """
        cases: list[_Case] = []
        verdicts: list[asyncio.Future[Verdict | None]] = []
        extractions: list[asyncio.Future[None]] = []
        try:
            for sample in samples:
                cases.append(self._open(sample))
                verdicts.append(asyncio.ensure_future(self._verdict(cases[-1])))
                await asyncio.sleep(0)  # the judge is asked while the other samples are read
            for case in cases:
                self._read(case)
                if self._extractor.remote:
                    extractions.append(asyncio.ensure_future(self._extract(case)))
                else:
                    await self._extract(case)
                await asyncio.sleep(0)  # let the judge's answers in
            similarities = asyncio.gather(*(self._semantic(case) for case in cases))
            await asyncio.gather(*extractions)
            for case, similarity in zip(cases, await similarities, strict=True):
                self._measure(case, similarity)
                await asyncio.sleep(0)
            return [self._close(case, await verdict) for case, verdict in zip(cases, verdicts, strict=True)]
        finally:
            for verdict in verdicts:
                verdict.cancel()
            for extraction in extractions:
                extraction.cancel()

    def _open(self, sample: Sample) -> _Case:
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
        evidence = collect(sample, trajectory, self._view, self._finder)
        record["searches"] = float(len(evidence.turns) + len(evidence.failures))
        record["documents"] = float(len(evidence.documents))
        record["search_failures"] = float(len(evidence.failures))
        # the release judges only what has its format score
        readable = record["format"] > 0 if stage_formula.is_authors else trajectory.answer is not None
        case = _Case(sample, trajectory, stage_formula, record, evidence, scored=readable and not forged)
        case.failures += [*sample.failures, *(f"retrieval_{kind}" for kind in evidence.failures)]
        return case

    async def _verdict(self, case: _Case) -> Verdict | None:
        """How good the answer is; None if there is none to judge or the judge failed."""
        if not case.scored:
            return None
        try:
            return await decide(case.trajectory, case.sample, vocabulary=self._names, judge=self._judge)
        except JudgeFailure as error:
            case.failed(error)
            return None

    def _read(self, case: _Case) -> None:
        """Separate the model's own words from what it copied."""
        if not case.record["forged"]:
            question = self._view(case.sample.question)
            case.own, case.reasoning = own_texts(case.trajectory, question, case.evidence)

    async def _extract(self, case: _Case) -> None:
        """The model's own graph."""
        triples: Sequence[Triple] = ()
        if case.scored:
            if case.sample.triples is not None:
                triples = case.sample.triples
            elif not self._extractor.remote or case.formula.uses_graph:
                try:
                    triples = await self._extractor.aextract(case.reasoning)
                except JudgeFailure as error:
                    case.failed(error)
        case.graph = Graph(triples, self._finder.normalise)

    async def _semantic(self, case: _Case) -> list[float]:
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
            return [0.0] * len(references)
        return [float(own @ other) if text else 0.0 for other, text in zip(others, texts, strict=True)]

    def _measure(self, case: _Case, cosines: Sequence[float]) -> None:
        """S, T and C, with their reasons."""
        if case.record["forged"] or case.graph is None:
            return
        options = case.formula.options
        c0 = 0.0 if case.formula.is_authors else self._c0
        references = [self._reference(reference.triples) for reference in case.sample.references]
        relevant = find_relevant(
            case.sample, case.evidence, [reference.retrieved for reference in references], self._finder
        )
        thoughts = [piece for piece in case.own if piece.kind == "think" and case.scored]
        own = [claim for piece in thoughts for claim in piece.stated if len(claim.words) >= ENOUGH]
        written = [claim for piece in thoughts for claim in piece.written if len(claim.words) >= ENOUGH]
        own_index = StatementIndex(own)
        written_index = own_index if written == own else StatementIndex(written)
        documents = [case.evidence.documents[identity].view.stated for identity in relevant.documents]
        against_documents = agreement(written, documents)
        # what was said before the first relevant document came cannot rest on it
        came = min(
            (
                turn.offset
                for turn in case.evidence.turns
                if not set(turn.shown).isdisjoint(relevant.documents)
            ),
            default=0,
        )
        after = [
            claim
            for piece in thoughts
            if piece.start >= came
            for claim in piece.stated
            if len(claim.words) >= ENOUGH
        ]
        reasoning = best_reference(
            case.graph,
            [reference.graph for reference in references],
            [centred(cosine, c0) for cosine in cosines],
            [
                NOTHING_STATED  # the release compares graphs and vectors alone
                if case.formula.is_authors
                else self._stated(
                    own_index, written_index, view, reference, given=case.sample.triples is not None
                )
                for view, reference in zip(references, case.sample.references, strict=True)
            ],
            Said() if case.formula.is_authors else against_documents,
            options.reasoning,
        )
        retrieval = retrieval_score(
            case.evidence,
            relevant,
            self._view(case.sample.question),
            case.own,
            finder=self._finder,
            weights=options.retrieval,
        )
        value, supported = coordination(
            case.graph.edges,
            self._answer_entities(case),
            lambda edge: not case.evidence.stating_edge(edge).isdisjoint(relevant.documents),
            against_documents if after == written else agreement(after, documents),
            against_documents,
            len(own),
        )
        case.record.update(
            reasoning=reasoning.total,
            reasoning_logic=reasoning.logic,
            reasoning_semantic=reasoning.semantic,
            reasoning_statistic=reasoning.statistic,
            retrieval=retrieval.total,
            retrieval_quality=retrieval.quality,
            retrieval_coverage=retrieval.coverage,
            retrieval_utilisation=retrieval.utilisation,
            retrieval_breadth=retrieval.breadth,
            coordination=value,
        )
        if case.formula.is_paper and case.scored:
            graphs = [reference.graph for reference in references]
            _measure_paper(case, case.graph, graphs, cosines)
        best = None if reasoning.reference is None else references[reasoning.reference].graph
        case.reasons["reasoning"] = reasons.of_reasoning(reasoning, case.graph, best)
        case.reasons["retrieval"] = reasons.of_retrieval(relevant, retrieval)
        case.reasons["coordination"] = reasons.of_coordination(supported)

    def _stated(
        self,
        own: StatementIndex,
        written: StatementIndex,
        view: _ReferenceView,
        reference: Reference,
        *,
        given: bool,
    ) -> Stated:
        """The statements against one reference; a graph that is `given` speaks for itself."""
        facts, stating = stated(own, view.facts)
        of_written = facts if written is own else stated(written, view.facts)[0]
        of_text = (
            agreement(written.statements, [self._view(reference.text).stated]) if reference.text else Said()
        )
        if given:
            facts, stating = Said(), 0
        return Stated(facts, stating, len(own.statements), of_written.plus(of_text))

    def _answer_entities(self, case: _Case) -> set[str]:
        """Entities that the model's answer names, and the answer as a whole."""
        answer = in_words(case.trajectory.answer or "", case.sample)
        found = {mention.entity for mention in self._finder.find(answer)} | {self._finder.normalise(answer)}
        return found - {""}

    def _close(self, case: _Case, verdict: Verdict | None) -> ScoredSample:
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
                "bonus": bonus(record, stage_formula, progress),
                "weights": list(stage_formula.weights.at(progress)),
                "gate": gate(level, stage_formula),
                "progress": progress,
            }
        return ScoredSample(case.sample.id, record, case.reasons, tuple(case.failures))


def _measure_paper(case: _Case, own: Graph, references: Sequence[Graph], cosines: Sequence[float]) -> None:
    """The terms of the preset `paper`, with their reasons."""
    options, evidence = case.formula.options.paper, case.evidence
    levels = [shown.document.evidence_level for shown in evidence.documents.values()]
    flagged = [edge for edge in sorted(own.edges) if evidence.stating_edge(edge)]
    terms = paper.measure(
        options,
        own,
        references,
        cosines,
        searches=len(evidence.turns),
        evidence_levels=levels,
        flagged=frozenset(flagged),
    )
    case.record.update(terms.record())
    case.reasons["paper"] = reasons.of_paper(
        paper.SUMMANDS[case.formula.stage],
        [paper.PYRAMID[options.rung(level) - 1] for level in levels],
        own,
        flagged,
    )


def build_scorer(options: Mapping[str, Any]) -> Scorer:
    """A scorer from the yaml section `medr3.reward` (see `rewards.options`) as a plain mapping.

    Raises:
        UserError: an option is wrong; names its yaml path.
        MissingExtra: an option needs a package that is not installed.
    """
    parsed = read_options(options)

    def formula_of(stage: str) -> Formula:
        return formula(stage, stage_options(options, stage))

    for stage in (
        *STAGE_INDEX,
        *parsed.stages,
    ):  # a wrong stage section must show now, not in the middle of a run
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
        encoder=encoder,
        c0=c0,
    )
