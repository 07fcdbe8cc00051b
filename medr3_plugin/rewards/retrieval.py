"""Retrieval term T: its parts as pure functions, and the parts measured on a trajectory's evidence."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass

from medr3_plugin.knowledge.extract import EntityFinder, sentences
from medr3_plugin.records import Sample, canonical_id, gold_found
from medr3_plugin.rewards.evidence import Evidence, OwnText, TextView
from medr3_plugin.rewards.gold import gold_names
from medr3_plugin.rewards.options import RetrievalWeights

TOP_LEVEL = 9
"""Evidence level of a meta-analysis, the highest."""

ENOUGH_SOURCES = 2
"""Distinct sources from which on more earn nothing."""


def quality(levels: Sequence[int]) -> float:
    """Mean evidence level of the relevant documents found, over the highest level; 0 without any.

    A trial (6) and a cohort study (4) were relevant:

    >>> round(quality([6, 4]), 3)
    0.556
    """
    return sum(levels) / len(levels) / TOP_LEVEL if levels else 0.0


def coverage(needed: Collection[object], found: Collection[object]) -> float:
    """Share of what was needed (gold documents, facts to be retrieved, the answer) that was found.

    >>> coverage({"doc1", "doc2"}, {"doc2", "doc9"})
    0.5
    """
    needed = set(needed)
    return len(needed.intersection(found)) / len(needed) if needed else 0.0


def utilisation(
    documents: Sequence[Set[str]], earlier: Sequence[Set[str]], later: Sequence[Set[str]]
) -> float:
    """Share of documents that brought an entity which the model then used.

    Args:
        documents: for each document its entities.
        earlier: for each document the entities known before it: the question's, earlier documents', and those
            of the model's own text before.
        later: for each document the entities of the model's own text after it.

    Two documents; the model goes on to use "aspirin", which the first one brought. The second one only holds
    the question's "stroke":

    >>> utilisation([{"stroke", "aspirin"}, {"stroke"}], [{"stroke"}] * 2, [{"stroke", "aspirin"}] * 2)
    0.5
    """
    if not documents:
        return 0.0
    used = sum(
        bool((brought & after) - before)
        for brought, before, after in zip(documents, earlier, later, strict=True)
    )
    return used / len(documents)


def breadth(returned: Sequence[Sequence[str]], sources: Collection[str]) -> float:
    """Share of returned documents that had not been returned before, times min(1, distinct sources / 2).

    A search that returns nothing, or nothing new, earns nothing.

    Args:
        returned: for each search the ids of the documents that came back.
        sources: sources of the distinct documents.

    The second search repeats one of its two documents; the documents stem from two sources:

    >>> breadth([["a", "b"], ["b", "c"]], {"PubMed", "guidelines"})
    0.75
    >>> breadth([["a", "b"], ["b", "c"]], {"PubMed"})
    0.375
    """
    total = sum(len(ids) for ids in returned)
    if not total:
        return 0.0
    distinct = len({identity for ids in returned for identity in ids})
    return distinct / total * min(1.0, len(set(sources)) / ENOUGH_SOURCES)


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
    needed: Sequence[frozenset[tuple[str, str]]],
    finder: EntityFinder,
    weights: RetrievalWeights,
) -> RetrievalScore:
    """Measure T; all zero without an executed search.

    Args:
        own: the model's own words, see `evidence.own_texts`.
        needed: for each reference the pairs of entities of its from_retrieval triples.
        finder: gives the entities' canonical forms.
    """
    if not evidence.turns:
        return RetrievalScore()
    documents = evidence.documents
    covered, relevant, basis = _coverage(sample, evidence, needed, finder)
    used_share, used = _utilisation(evidence, question, own, finder)
    parts = {
        "quality": quality([documents[identity].document.evidence_level for identity in relevant]),
        "coverage": covered,
        "utilisation": used_share,
        "breadth": breadth(
            [turn.returned for turn in evidence.turns],
            {shown.document.source for shown in documents.values()},
        ),
    }
    weighted = weights.model_dump()
    total = sum(weighted[name] * value for name, value in parts.items()) / sum(weighted.values())
    return RetrievalScore(total, **parts, basis=basis, relevant=tuple(relevant), used=used)


def _coverage(
    sample: Sample, evidence: Evidence, needed: Sequence[frozenset[tuple[str, str]]], finder: EntityFinder
) -> tuple[float, list[str], str]:
    """Coverage, the ids of the documents that contribute to it, and what it was measured on."""
    documents = evidence.documents
    if sample.gold_docs:
        hits = {id_: gold_found(sample.gold_docs, shown.document.ids) for id_, shown in documents.items()}
        relevant = [identity for identity, gold in hits.items() if gold]
        gold = set(map(canonical_id, sample.gold_docs))
        return coverage(gold, set().union(*hits.values())), relevant, "gold_docs"
    if any(needed):
        best: tuple[float, list[str]] = (0.0, [])
        for pairs in filter(None, needed):
            found = [pair for pair in pairs if evidence.supports(*pair)]
            if (share := coverage(pairs, found)) > best[0]:
                meeting = frozenset().union(
                    *(evidence.mentioning(head) & evidence.mentioning(tail) for head, tail in found)
                )
                best = (share, [identity for identity in documents if identity in meeting])
        return *best, "references"
    if names := [finder.normalise(name) for name in gold_names(sample)]:
        stating = frozenset().union(*map(evidence.mentioning, names))
        return float(bool(stating)), [identity for identity in documents if identity in stating], "answer"
    return 0.0, [], "nothing"


def _utilisation(
    evidence: Evidence, question: TextView, own: Sequence[OwnText], finder: EntityFinder
) -> tuple[float, tuple[str, ...]]:
    """Utilisation over the documents shown, and the ids of those that were used."""
    pieces = [(piece.start, _entities(piece.text, finder)) for piece in own]
    everything = frozenset().union(*(entities for _, entities in pieces))
    known = {entity for entity in everything if question.mentions(entity)}
    named: dict[str, set[str]] = {identity: set() for identity in evidence.documents}
    for entity in everything:
        for identity in evidence.mentioning(entity):
            named[identity].add(entity)
    brought, earlier, later, ids = [], [], [], []
    for turn in evidence.turns:
        before = [entities for start, entities in pieces if start < turn.offset]
        after = frozenset().union(*(entities for start, entities in pieces if start >= turn.offset))
        known = known.union(*before)
        for identity in turn.shown:
            brought.append(named[identity])
            earlier.append(known)
            later.append(after)
            ids.append(identity)
        known = known.union(*(named[identity] for identity in turn.shown))
    used = tuple(
        identity
        for identity, found, before_it, after_it in zip(ids, brought, earlier, later, strict=True)
        if (found & after_it) - before_it
    )
    return utilisation(brought, earlier, later), used


def _entities(text: str, finder: EntityFinder) -> frozenset[str]:
    # sentence by sentence, as the lexicon extractor does, so that a finder that remembers need not look twice
    return frozenset(mention.entity for sentence in sentences(text) for mention in finder.find(sentence))
