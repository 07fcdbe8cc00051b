"""Reasoning term S: agreement with the best of the reference trajectories."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from medr3_plugin.knowledge.agreement import Said
from medr3_plugin.knowledge.graph import Graph, jaccard, path_jaccard
from medr3_plugin.rewards.options import ReasoningWeights


@dataclass(frozen=True, slots=True)
class ReasoningScore:
    """S and its terms, all in [0, 1], and which reference they belong to (None without references).

    Attributes:
        shared: the reference's terms that the model's statements have, see `term_overlap`.
    """

    total: float = 0.0
    logic: float = 0.0
    semantic: float = 0.0
    statistic: float = 0.0
    reference: int | None = None
    shared: frozenset[str] = frozenset()


def centred(cosine: float, c0: float) -> float:
    """max(0, (cos − c0) / (1 − c0)): 0 for the cosine of unrelated texts, 1 for the same text.

    Any two medical texts have a cosine well above 0; without centring the term is a constant bonus.

    >>> centred(0.75, 0.5), centred(0.3, 0.5)
    (0.5, 0.0)
    """
    return min(1.0, max(0.0, (cosine - c0) / (1.0 - c0)))


@dataclass(frozen=True, slots=True)
class Stated:
    """The model's statements against one reference (`knowledge.statements`).

    Attributes:
        facts: facts of the reference's graph that they state, and that they deny.
        stating: statements that state one, and `speaking` those that speak of one, whatever they say.
        statements: all of them.
        written: agreement of all that was written, copies included, with the reference's facts and text.
        terms: see `term_overlap`, and `shared` the terms that both have.
        unread: facts of the reference that they were not compared with, as too many for a judge.
    """

    facts: Said
    stating: int
    speaking: int
    statements: int
    written: Said
    terms: float = 0.0
    shared: frozenset[str] = frozenset()
    unread: int = 0


NOTHING_STATED = Stated(Said(), 0, 0, 0, Said())


def fact_jaccard(stated: Stated, facts: int) -> float:
    """Jaccard index of the model's statements and the reference's facts, facts that are denied counted against it.

    As many statements on other things as there are facts cost nothing: there is more to say of a case.

    Two of four facts stated, one denied, beside three statements on other things, or seven, three too many:

    >>> [fact_jaccard(Stated(Said(2, 1), 2, speaking=3, statements=3 + n, written=Said(2, 1)), 4) for n in (3, 7)]
    [0.2, 0.125]
    """
    common = min(stated.facts.agreeing, stated.stating)
    signed = common - stated.facts.contradicting
    needless = max(0, stated.statements - stated.speaking - facts)
    return max(0.0, signed / (facts + stated.speaking - common + needless)) if common else 0.0


def term_overlap(own: Set[str], reference: Set[str]) -> float:
    """Share of the reference's terms that the model's own statements have; less where it says much else.

    Recall as long as the model has at most twice as many terms as the reference, for a reference is terser than a good
    answer; beyond that it falls as van Rijsbergen's F2 does with precision. (The Jaccard index of entities ranked short
    answers above good ones, see docs/FIDELITY.md.)

    Args:
        own: content words of the model's statements that the question does not have.
        reference: those of the reference.

    Two of three are there, beside two others, then beside eight:

    >>> others = [{"age", "drug"}, set("abcdefgh")]
    >>> [term_overlap({"listeria", "ampicillin", *more}, {"listeria", "ampicillin", "rod"}) for more in others]
    [0.6666666666666666, 0.5454545454545454]
    """
    common = len(own & reference)
    return 6 * common / (4 * len(reference) + max(len(own), 2 * len(reference))) if common else 0.0


def best_reference(  # noqa: PLR0917 - one argument a term
    own: Graph,
    references: Sequence[Graph],
    semantic: Sequence[float],
    stated: Sequence[Stated],
    evidence: Said,
    weights: ReasoningWeights,
) -> ReasoningScore:
    """S against each reference, the best one wins (the first of equals).

    S = weighted mean of logic, semantic and statistic, times the balance of agreement and contradiction (at least
    0): of the statements with the reference's facts and text, and with the relevant documents. A text that denies
    what it quotes is as similar to it as one that asserts it; only the balance tells them apart.

    Args:
        own: the model's graph.
        references: the references' graphs, K of them.
        semantic: the centred cosine with each reference, K numbers.
        stated: the statements against each reference, K of them.
        evidence: agreement of the statements with the relevant documents.
    """
    total_weight = weights.logic + weights.semantic + weights.statistic
    best = ReasoningScore()
    for index, (reference, similarity, said) in enumerate(zip(references, semantic, stated, strict=True)):
        facts = max(1, len(reference.edges) - said.unread)
        logic = max(path_jaccard(own, reference), fact_jaccard(said, facts))
        statistic = max(jaccard(own.entities, reference.entities), said.terms)
        mean = (
            weights.logic * logic + weights.semantic * similarity + weights.statistic * statistic
        ) / total_weight
        total = mean * max(0.0, said.written.plus(evidence).balance)
        if best.reference is None or total > best.total:
            best = ReasoningScore(total, logic, similarity, statistic, index, said.shared)
    return best
