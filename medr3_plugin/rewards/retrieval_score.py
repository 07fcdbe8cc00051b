"""Retrieval term T of a trajectory: the parts of `rewards.retrieval` measured on its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medr3_plugin.knowledge.extract import EntityFinder
from medr3_plugin.records import Sample
from medr3_plugin.rewards.evidence import Evidence, OwnText, ShownDocument, TextView
from medr3_plugin.rewards.gold import gold_names
from medr3_plugin.rewards.options import RetrievalWeights
from medr3_plugin.rewards.retrieval import breadth, coverage, quality, utilisation


@dataclass(frozen=True, slots=True)
class RetrievalScore:
    """T and its parts, all in [0, 1], with what they rest on.

    Attributes:
        basis: what coverage was measured on: `gold_docs`, `references`, `answer`, `nothing` (neither known).
        relevant: ids of the documents that cover something of it.
        used: ids of the documents whose new entities the model used.
    """

    total: float = 0.0
    quality: float = 0.0
    coverage: float = 0.0
    utilisation: float = 0.0
    breadth: float = 0.0
    basis: str = "nothing"
    relevant: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


def retrieval_score(
    sample: Sample,
    evidence: Evidence,
    question: TextView,
    own: Sequence[OwnText],
    *,
    finder: EntityFinder,
    weights: RetrievalWeights,
) -> RetrievalScore:
    """Measure T; all zero without an executed search.

    Args:
        own: the model's own words, see `evidence.own_texts`.
        finder: gives the entities' canonical forms.
    """
    if not evidence.turns:
        return RetrievalScore()
    documents = evidence.documents
    covered, relevant, basis = _coverage(sample, documents, finder)
    levels = [shown.document.evidence_level for shown in relevant]
    used_share, used = _utilisation(evidence, question, own, finder)
    parts = {
        "quality": quality(levels),
        "coverage": covered,
        "utilisation": used_share,
        "breadth": breadth(
            [turn.returned for turn in evidence.turns], {shown.document.source for shown in documents}
        ),
    }
    weighted = weights.model_dump()
    total = sum(weighted[name] * value for name, value in parts.items()) / sum(weighted.values())
    return RetrievalScore(
        total, **parts, basis=basis, relevant=tuple(shown.document.id for shown in relevant), used=used
    )


def _coverage(
    sample: Sample, documents: Sequence[ShownDocument], finder: EntityFinder
) -> tuple[float, list[ShownDocument], str]:
    """Coverage, the documents that contribute to it, and what it was measured on."""
    if sample.gold_docs:
        gold = set(sample.gold_docs)
        relevant = [shown for shown in documents if shown.document.id in gold]
        return coverage(gold, [shown.document.id for shown in relevant]), relevant, "gold_docs"
    wanted = [
        {(finder.normalise(t.head), finder.normalise(t.tail)) for t in reference.triples if t.from_retrieval}
        for reference in sample.references
    ]
    if any(wanted):
        best: tuple[float, list[ShownDocument]] = (0.0, [])
        for pairs in filter(None, wanted):
            meeting = {
                pair: [s for s in documents if s.view.mentions(pair[0]) and s.view.mentions(pair[1])]
                for pair in pairs
            }
            share = coverage(pairs, [pair for pair, found in meeting.items() if found])
            if share > best[0]:
                ids = {shown.document.id for found in meeting.values() for shown in found}
                best = (share, [shown for shown in documents if shown.document.id in ids])
        return *best, "references"
    names = [finder.normalise(name) for name in gold_names(sample)]
    if names:
        relevant = [shown for shown in documents if any(shown.view.mentions(name) for name in names)]
        return float(bool(relevant)), relevant, "answer"
    return 0.0, [], "nothing"


def _utilisation(
    evidence: Evidence, question: TextView, own: Sequence[OwnText], finder: EntityFinder
) -> tuple[float, tuple[str, ...]]:
    """Utilisation over the documents shown, and the ids of those that were used."""
    mentions = [(piece.start, {m.entity for m in finder.find(piece.text)}) for piece in own]
    everything = {entity for _, entities in mentions for entity in entities}
    asked = {entity for entity in everything if question.mentions(entity)}
    from_documents: set[str] = set()
    brought, earlier, later, ids = [], [], [], []
    for turn in evidence.turns:
        before = (
            set().union(*(found for start, found in mentions if start < turn.offset))
            if turn.offset
            else set()
        )
        after = set().union(*(found for start, found in mentions if start >= turn.offset))
        known = asked | before | from_documents
        for shown in turn.shown:
            found = {entity for entity in everything if shown.view.mentions(entity)}
            brought.append(found)
            earlier.append(known)
            later.append(after)
            ids.append(shown.document.id)
            from_documents = from_documents | found
    used = tuple(
        identity
        for identity, new, before, after in zip(ids, brought, earlier, later, strict=True)
        if (new & after) - before
    )
    return utilisation(brought, earlier, later), used
