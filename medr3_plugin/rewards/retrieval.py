"""Retrieval term T: its parts as pure functions, and the parts measured on a trajectory's evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass

from medr3_plugin.knowledge.agreement import ENOUGH, Fact, agreement, compared
from medr3_plugin.knowledge.extract import EntityFinder
from medr3_plugin.knowledge.graph import Edge
from medr3_plugin.knowledge.statements import Statement, content_words, denies, statements
from medr3_plugin.knowledge.text import sentences
from medr3_plugin.records import Sample, canonical_id, gold_found
from medr3_plugin.retrieval.corpus.evidence import HIGHEST
from medr3_plugin.rewards.evidence import Evidence, OwnText, ShownDocument, TextView
from medr3_plugin.rewards.gold import gold_names
from medr3_plugin.rewards.options import RetrievalWeights


def quality(levels: Sequence[int]) -> float:
    """Mean evidence level of the relevant documents found, over the highest level; 0 without any.

    A trial (6) and a cohort study (4) were relevant:

    >>> round(quality([6, 4]), 3)
    0.556
    """
    return sum(levels) / len(levels) / HIGHEST if levels else 0.0


def coverage(needed: Collection[object], found: Collection[object]) -> float:
    """Share of what was needed (gold documents, facts to be retrieved, the answer) that was found.

    >>> coverage({"doc1", "doc2"}, {"doc2", "doc9"})
    0.5
    """
    needed = set(needed)
    return len(needed.intersection(found)) / len(needed) if needed else 0.0


NAMED = 0.5
"""Use of a document of which only an entity is named, where that of one whose statements are restated is 1."""
SHARED = 0.25
"""Smallest share of a reference's terms (those from retrieval and not in the question) in a document that has them."""


def utilisation(relevant: Collection[str], used: Mapping[str, float]) -> float:
    """Mean use of the relevant documents, in [-1, 1].

    Args:
        relevant: ids of the relevant documents: use of any other earns nothing.
        used: use of the documents by id, in [-1, 1]: by rules 1, `NAMED`, or -1 where the model contradicted it; by a
            judge the balance of what agrees and what contradicts.

    Of two relevant documents one was used; the use of "d9" does not count:

    >>> utilisation({"d1", "d2"}, {"d1": 1.0, "d9": 1.0})
    0.5
    """
    return sum(used.get(identity, 0.0) for identity in relevant) / len(relevant) if relevant else 0.0


def breadth(returned: Sequence[Sequence[str]], taken_up: Collection[str]) -> float:
    """Share of the searches that brought a document which is taken up and which none before had; 0 without a search.

    One that brings noise, nothing new, or what the model passes over lowers it. How many documents a search brings is
    the service's choice, not the model's, and does not count.

    Args:
        returned: for each search the ids of the documents that came back.
        taken_up: ids of the relevant documents that the model used or contradicted.

    The first search brought two such documents; the second one of them again, and one that is not:

    >>> breadth([["a", "b"], ["b", "c"]], {"a", "b"})
    0.5
    """
    known: set[str] = set()
    bringing = 0
    for ids in returned:
        new = set(ids).intersection(taken_up) - known
        bringing += bool(new)
        known |= new
    return bringing / len(returned) if returned else 0.0


@dataclass(frozen=True, slots=True)
class Relevant:
    """What the search was for, and what of it was found.

    Attributes:
        basis: what coverage was measured on: `gold_docs`, `references`, `answer`, `nothing` (neither known).
        coverage: see `coverage`.
        documents: ids of the documents that cover something of it, in order.
    """

    basis: str = "nothing"
    coverage: float = 0.0
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RetrievalScore:
    """T and its parts, all in [0, 1] but utilisation, which is negative where evidence was contradicted.

    Attributes:
        used: ids of the relevant documents that the model used.
    """

    total: float = 0.0
    quality: float = 0.0
    coverage: float = 0.0
    utilisation: float = 0.0
    breadth: float = 0.0
    used: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """A reference's facts: all of them, and those that it took from retrieval, each also as a fact in its own words."""

    all: frozenset[Edge]
    retrieved: Mapping[Edge, Sequence[Fact]]

    @property
    def terms(self) -> frozenset[str]:
        """The content words of those taken from retrieval."""
        return frozenset().union(
            *(one.head | one.tail | one.how for in_words in self.retrieved.values() for one in in_words)
        )

    def leading_to(self, answer: Set[str]) -> Set[Edge]:
        """The facts that are joined, by others or directly, to an entity that shares a word with the answer.

        All facts, if there is no such entity.
        """
        joined = {end for head, _, tail in self.all for end in (head, tail) if answer & content_words(end)}
        left = set(self.all) if joined else set()
        while near := {edge for edge in left if edge[0] in joined or edge[2] in joined}:
            left -= near
            joined |= {end for head, _, tail in near for end in (head, tail)}
        return self.all - left


def find_relevant(
    sample: Sample,
    evidence: Evidence,
    references: Sequence[Facts],
    finder: EntityFinder,
    judged: Callable[[Fact], frozenset[str] | None] | None = None,
) -> Relevant:
    """The relevant documents among those shown.

    They are the gold documents; if none are known, those that state a fact which a reference took from retrieval
    (in its polarity), or, where none does and words decide, share the terms of these facts; without such facts, those
    that state the answer. A document that excludes it does not.

    What a reference says of other things, as why another diagnosis is unlikely, is not enough by itself: at least one
    of the documents speaks of the answer, or states a fact that is joined to it.

    Args:
        references: the facts of each.
        finder: gives the entities' canonical forms.
        judged: ids of the documents that state a fact, as a judge says; None for a fact that it was not shown, which
            does not count. Without it words decide.
    """
    documents = evidence.documents
    if sample.gold_docs:
        hits = {id_: gold_found(sample.gold_docs, shown.document.ids) for id_, shown in documents.items()}
        gold = set(map(canonical_id, sample.gold_docs))
        found = tuple(identity for identity, of_gold in hits.items() if of_gold)
        return Relevant("gold_docs", coverage(gold, set().union(*hits.values())), found)
    names = gold_names(sample)
    stating_it = frozenset().union(*(evidence.stating(finder.normalise(name)) for name in names))
    if any(facts.retrieved for facts in references):
        of_names = list(map(content_words, names))
        on_topic = stating_it or any(
            shown.view.speaks_of(name) for shown in documents.values() for name in of_names
        )
        best = Relevant("references")
        for facts in references:
            if judged:
                by_edge = {
                    edge: frozenset[str]().union(*told)
                    for edge, in_words in facts.retrieved.items()
                    if (told := [ids for ids in map(judged, in_words) if ids is not None])
                }
            else:
                by_edge = {
                    edge: evidence.stating_edge(edge).union(*map(evidence.speaking_of, in_words))
                    for edge, in_words in facts.retrieved.items()
                }
            stated = {edge: ids for edge, ids in by_edge.items() if ids}
            share = coverage(by_edge, stated)
            if share > best.coverage and (
                on_topic or facts.leading_to(frozenset().union(*of_names)) & stated.keys()
            ):
                ids = frozenset().union(*stated.values())
                best = Relevant("references", share, tuple(filter(ids.__contains__, documents)))
        if not best.documents and on_topic and not judged:
            return _by_terms(sample, documents, references)
        return best
    if names:
        return Relevant("answer", float(bool(stating_it)), tuple(filter(stating_it.__contains__, documents)))
    return Relevant()


def _by_terms(
    sample: Sample, documents: Mapping[str, ShownDocument], references: Sequence[Facts]
) -> Relevant:
    """The documents that speak of what a reference took from retrieval, in whatever words: they share its terms."""
    asked = content_words(sample.question)
    best = Relevant("references")
    for facts in references:
        terms = facts.terms - asked
        shared = {id_: shown.view.content & terms for id_, shown in documents.items()}
        close = {
            id_: words for id_, words in shared.items() if len(words) >= max(ENOUGH, SHARED * len(terms))
        }
        share = coverage(terms, frozenset().union(*close.values()))
        if share > best.coverage:
            best = Relevant("references", share, tuple(close))
    return best


def retrieval_score(
    evidence: Evidence, relevant: Relevant, used: Mapping[str, float], weights: RetrievalWeights
) -> RetrievalScore:
    """Measure T; all zero without a relevant document.

    Args:
        used: use of the relevant documents, see `utilisation`.
    """
    if not relevant.documents:
        return RetrievalScore()
    documents = evidence.documents
    parts = {
        "quality": quality([documents[identity].document.evidence_level for identity in relevant.documents]),
        "coverage": relevant.coverage,
        "utilisation": utilisation(relevant.documents, used),
        "breadth": breadth([turn.returned for turn in evidence.turns], used),
    }
    weighted = weights.model_dump()
    total = sum(weighted[name] * value for name, value in parts.items()) / sum(weighted.values())
    return RetrievalScore(max(0.0, total), **parts, used=tuple(id_ for id_, use in used.items() if use > 0))


def use_of_documents(
    evidence: Evidence,
    relevant: Sequence[str],
    given: Sequence[TextView],
    own: Sequence[OwnText],
    *,
    finder: EntityFinder,
    false: Set[Statement],
) -> dict[str, float]:
    """How far the model's words after them use the relevant documents, by id, see `utilisation`.

    A document is used if words after it agree with one of its statements, or say of its subject something that it names
    and does not deny ("scurvy has gingivitis" of a profile), and half if they assert something of an entity that it
    brought and does not deny: one that is neither in the question, the answer or the query nor was named or shown
    before. It is contradicted by what no other relevant document says.

    Args:
        relevant: ids of the relevant documents.
        given: the question and the model's answer: naming what they name uses no document.
        own: the model's own words, see `evidence.own_texts`.
        false: statements of it that deny a known fact: they use no document.
    """
    if not relevant:
        return {}
    own = [piece for piece in own if piece.kind != "answer"]
    untrue = {claim.text.strip() for claim in false}
    entities = [_entities(piece.text, finder, untrue) for piece in own]
    known = {
        entity for found, _ in entities for entity in found if any(view.mentions(entity) for view in given)
    }
    nothing_copied = all(piece.stated == piece.written for piece in own)
    used: dict[str, float] = {}
    seen: set[str] = set()
    views = {identity: evidence.documents[identity].view.stated for identity in relevant}
    for turn in evidence.turns:
        asked = TextView(turn.query, finder)
        known |= {
            entity
            for piece, (found, _) in zip(own, entities, strict=True)
            for entity in found
            if piece.start < turn.offset or asked.mentions(entity)
        }
        later = [i for i, piece in enumerate(own) if piece.start >= turn.offset]
        asserted = frozenset().union(*(entities[i][1] for i in later))
        for identity in turn.shown:
            if identity in relevant and identity not in seen:
                seen.add(identity)
                view = views[identity]
                written = list(compared((claim for i in later for claim in own[i].written), [view], false))
                others = [other for other in views.values() if other is not view]
                denied = [claim for claim, agrees in written if not agrees]
                contradicting = sum(not agreement([claim], others, false).agreeing for claim in denied)
                agreeing = len(written) - len(denied)
                brought = any(identity in evidence.stating(entity) for entity in asserted - known)
                of_profile = any(
                    view.is_of_the_subject(content_words(sentence)) and not denies(sentence)
                    for i in later
                    for sentence in sentences(own[i].text)
                )
                if contradicting and contradicting >= agreeing:
                    used[identity] = -1.0
                elif of_profile or (
                    agreeing
                    and (
                        nothing_copied
                        or agreement(
                            (claim for i in later for claim in own[i].stated), [view], false
                        ).agreeing
                    )
                ):
                    used[identity] = 1.0
                elif brought:
                    used[identity] = NAMED
        known |= {entity for entity in asserted if not evidence.mentioning(entity).isdisjoint(turn.shown)}
    return used


def _entities(text: str, finder: EntityFinder, untrue: Set[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The entities that a text names, and those of its sentences that deny nothing and hold no untrue clause."""
    # sentence by sentence, as the lexicon extractor does, so that a finder that remembers need not look twice
    named: set[str] = set()
    asserted: set[str] = set()
    for sentence in sentences(text):
        found = {mention.entity for mention in finder.find(sentence)}
        named |= found
        if not found or denies(sentence):
            continue
        if not untrue or untrue.isdisjoint(claim.text.strip() for claim in statements(sentence)):
            asserted |= found
    return frozenset(named), frozenset(asserted)
