"""Measures a case's reasoning and retrieval: S, T and C, with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from medr3_plugin.knowledge.agreement import Fact, OfFacts, Said, fact
from medr3_plugin.knowledge.extract import EntityFinder
from medr3_plugin.knowledge.graph import Edge, Graph
from medr3_plugin.knowledge.statements import content_words
from medr3_plugin.records import Reference, Triple
from medr3_plugin.rewards import explain, paper
from medr3_plugin.rewards.case import Case
from medr3_plugin.rewards.claims import Claims, OfReference, by_judge, by_rules
from medr3_plugin.rewards.coordination import coordination
from medr3_plugin.rewards.evidence import TextView
from medr3_plugin.rewards.gold import in_words
from medr3_plugin.rewards.reasoning import (
    NOTHING_STATED,
    ReasoningScore,
    Stated,
    best_reference,
    centred,
    term_overlap,
)
from medr3_plugin.rewards.retrieval import Facts, Relevant, find_relevant, retrieval_score

_LONGEST, _MEMBERS = 12, 6
"""Content words of a statement whose words count, and members of its list: one with more names everything."""


class _ReferenceView(NamedTuple):
    """A reference's graph, its triples as facts, and the edges that stem from retrieval with their facts."""

    graph: Graph
    facts: tuple[Fact, ...]
    retrieved: dict[Edge, list[Fact]]

    @classmethod
    def of(cls, triples: tuple[Triple, ...], finder: EntityFinder) -> _ReferenceView:
        facts = tuple(fact(t.head, t.relation, t.tail) for t in triples)
        retrieved: dict[Edge, list[Fact]] = {}
        for triple, of_triple in zip(triples, facts, strict=True):
            for edge in Graph([triple], finder.normalise).edges if triple.from_retrieval else ():
                retrieved.setdefault(edge, []).append(of_triple)
        return cls(Graph(triples, finder.normalise), facts, retrieved)


class Measure:
    """Measures cases. References and documents come back with every rollout of a prompt, so they are remembered.

    Args:
        finder: finds entities in documents and questions.
        c0: the encoder's cosine of unrelated texts.
    """

    def __init__(self, finder: EntityFinder, c0: float) -> None:
        self._finder = finder
        self._c0 = c0
        self._reference = lru_cache(maxsize=8192)(lambda triples: _ReferenceView.of(triples, finder))
        self._terms = lru_cache(maxsize=8192)(_terms)
        self.view = lru_cache(maxsize=4096)(lambda text: TextView(text, finder))

    def __call__(self, case: Case, cosines: Sequence[float]) -> None:
        """Put the parts of a case into its record, and their reasons.

        Args:
            cosines: of the reasoning with each reference's text.
        """
        if case.record["forged"] or case.graph is None or not case.measurable:
            return
        references = [self._reference(reference.triples) for reference in case.sample.references]
        known = [Facts(reference.graph.edges, reference.retrieved) for reference in references]
        judged = case.judged
        relevant = find_relevant(
            case.sample, case.evidence, known, self._finder, judged.stated_by if judged else None
        )
        claims = self._claims(case, relevant, references)
        reasoning = self._reasoning(case, case.graph, references, cosines, claims)
        retrieval = retrieval_score(case.evidence, relevant, claims.used, case.formula.options.retrieval)
        value, supported = coordination(
            case.graph.edges,
            self._answer_entities(case),
            lambda edge: not case.evidence.stating_edge(edge).isdisjoint(relevant.documents),
            claims.use,
            claims.evidence,
            claims.statements,
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
            _measure_paper(case, case.graph, [reference.graph for reference in references], cosines)
        elif case.formula.is_paper:
            delta = case.formula.options.paper.delta
            case.record["paper_retrieval_number"] = paper.retrieval_number(len(case.evidence.turns), delta)
        best = None if reasoning.reference is None else references[reasoning.reference].graph
        case.reasons["reasoning"] = explain.of_reasoning(reasoning, case.graph, best)
        case.reasons["retrieval"] = explain.of_retrieval(relevant, retrieval, judged.unread if judged else 0)
        case.reasons["coordination"] = explain.of_coordination(supported, claims.contradicting)

    def _claims(self, case: Case, relevant: Relevant, references: Sequence[_ReferenceView]) -> Claims:
        facts = [reference.facts for reference in references]
        texts = [self.view(one.text) if one.text else None for one in case.sample.references]
        if case.judged is not None:
            return by_judge(case, relevant, facts, texts, case.judged)
        given = [self.view(case.sample.question), self.view(_answer_in_words(case))]
        return by_rules(case, relevant, facts, texts, given, self._finder)

    def _reasoning(
        self,
        case: Case,
        graph: Graph,
        references: Sequence[_ReferenceView],
        cosines: Sequence[float],
        claims: Claims,
    ) -> ReasoningScore:
        graphs = [reference.graph for reference in references]
        options = case.formula.options.reasoning
        if case.formula.is_authors:  # the release compares graphs and vectors alone
            nothing = [NOTHING_STATED] * len(references)
            return best_reference(
                graph, graphs, [centred(cosine, 0.0) for cosine in cosines], nothing, Said(), options
            )
        given = case.sample.triples is not None
        thoughts = [
            claim
            for piece in case.thoughts
            for claim in piece.stated
            if len(claim.words) <= _LONGEST and claim.text.count(",") < _MEMBERS
        ]
        said: frozenset[str] = frozenset().union(*(claim.words for claim in thoughts))
        asked = content_words(case.sample.question)
        return best_reference(
            graph,
            graphs,
            [centred(cosine, self._c0) for cosine in cosines],
            [
                self._stated(found, claims.statements, reference, (said - asked, asked), given=given)
                for found, reference in zip(claims.references, case.sample.references, strict=True)
            ],
            claims.evidence,
            options,
        )

    def _stated(
        self,
        found: OfReference,
        statements: int,
        reference: Reference,
        words: tuple[frozenset[str], frozenset[str]],
        *,
        given: bool,
    ) -> Stated:
        """The model's `statements` (their number) against one reference, `words` those of them and of the question.

        A graph that is `given` speaks for itself.
        """
        said, asked = words
        terms = self._terms(reference) - asked
        own = found.own
        if given:
            own, said = OfFacts(Said(), 0, 0, frozenset()), frozenset()
        return Stated(
            own.said,
            own.stating,
            own.speaking,
            statements,
            found.written,
            term_overlap(said, terms),
            said & terms,
            found.unread,
        )

    def _answer_entities(self, case: Case) -> set[str]:
        """Entities that the model's answer names, and the answer as a whole."""
        answer = _answer_in_words(case)
        found = {mention.entity for mention in self._finder.find(answer)} | {self._finder.normalise(answer)}
        return found - {""}


def _terms(reference: Reference) -> frozenset[str]:
    """The content words of a reference's text and triples."""
    facts = (f"{t.head} {t.relation} {t.tail}".replace("_", " ") for t in reference.triples)
    return content_words(reference.text).union(*map(content_words, facts))


def _answer_in_words(case: Case) -> str:
    return in_words(case.trajectory.answer or "", case.sample)


def _measure_paper(case: Case, own: Graph, references: Sequence[Graph], cosines: Sequence[float]) -> None:
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
    case.reasons["paper"] = explain.of_paper(
        paper.SUMMANDS[case.formula.stage],
        [paper.PYRAMID[options.rung(level) - 1] for level in levels],
        own,
        flagged,
    )
