"""What a case's reasoning says of the references' facts and of its relevant documents, as S, T and C need it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from medr3_plugin.knowledge.agreement import (
    Fact,
    OfFacts,
    Said,
    StatementIndex,
    agreement,
    compared,
    enough,
    stated,
)
from medr3_plugin.knowledge.extract import EntityFinder
from medr3_plugin.knowledge.figures import misquoting
from medr3_plugin.knowledge.judge_agreement import Sides
from medr3_plugin.knowledge.statements import Statement
from medr3_plugin.rewards.case import Case
from medr3_plugin.rewards.evidence import TextView
from medr3_plugin.rewards.judged import Judged
from medr3_plugin.rewards.retrieval import Relevant, use_of_documents


class OfReference(NamedTuple):
    """What the reasoning says of one reference.

    Attributes:
        own: what its own words, without copies, say of the reference's facts.
        written: agreement of all that was written with its facts and its text.
        unread: its facts that a judge was not shown, because they were too many.
    """

    own: OfFacts
    written: Said
    unread: int = 0


class Claims(NamedTuple):
    """What the reasoning says.

    Attributes:
        statements: number of its own ones.
        references: what it says of each reference.
        evidence: what all that was written agrees with and contradicts in the relevant documents.
        use: the same of its own statements after the first relevant document: what was said before cannot rest on it.
        used: use of the relevant documents by id, see `retrieval.utilisation`.
        contradicting: the statements that contradict a relevant document or a known fact.

    Under a judge statements are sentences, in number and as text.
    """

    statements: int
    references: list[OfReference]
    evidence: Said
    use: Said
    used: Mapping[str, float]
    contradicting: Sequence[str]


def by_rules(  # noqa: PLR0917 - what is compared with what
    case: Case,
    relevant: Relevant,
    facts: Sequence[Sequence[Fact]],
    texts: Sequence[TextView | None],
    given: Sequence[TextView],
    finder: EntityFinder,
) -> Claims:
    """By the words of clauses, see `knowledge.agreement`.

    Args:
        facts: of each reference.
        texts: of each reference, if it has one.
        given: the question and the model's answer.
    """
    thoughts = case.thoughts
    came = _came(case, relevant)
    own = _comparable(claim for piece in thoughts for claim in piece.stated)
    written = _comparable(claim for piece in thoughts for claim in piece.written)
    after = _comparable(claim for piece in thoughts if piece.start >= came for claim in piece.stated)
    views = [case.evidence.documents[identity].view for identity in relevant.documents]
    documents = [view.stated for view in views]
    index = StatementIndex(written)
    of_written = [stated(index, of_one) for of_one in facts]
    of_own = of_written
    if own != written:
        of_own = [stated(StatementIndex(own), of_one) for of_one in facts]
    swapped = (misquoting(piece.written, piece.whole, [view.figures for view in views]) for piece in thoughts)
    false = frozenset().union(*(found.denying for found in of_written), *swapped)
    found = list(compared(written, documents, false, anywhere=bool(documents)))
    agreeing = sum(agrees for _, agrees in found)
    evidence = Said(agreeing, len(found) - agreeing)
    use = evidence if after == written else agreement(after, documents, false, anywhere=bool(documents))
    references = []
    for of_one_own, of_one, text in zip(of_own, of_written, texts, strict=True):
        of_text = agreement(written, [text.stated], false) if text else Said()
        references.append(OfReference(of_one_own, of_one.said.plus(of_text)))
    used = use_of_documents(case.evidence, relevant.documents, given, case.own, finder=finder, false=false)
    against = dict.fromkeys(
        [*(claim for claim, agrees in found if not agrees), *(c for c in written if c in false)]
    )
    return Claims(len(own), references, evidence, use, used, [claim.text for claim in against])


def by_judge(
    case: Case,
    relevant: Relevant,
    facts: Sequence[Sequence[Fact]],
    texts: Sequence[TextView | None],
    judged: Judged,
) -> Claims:
    """By what a judge said of the sentences. Use of a document is the balance of what agrees and what contradicts.

    A short sentence can contradict, but it agrees with nothing. The text of a reference without facts is compared by
    rules.
    """
    came = _came(case, relevant)
    own = judged.own()
    documents = [judged.documents.get(identity, Sides()) for identity in relevant.documents]
    agreeing = judged.telling & _any(sides.agreeing for sides in documents)
    against = _any(sides.contradicting for sides in documents) - agreeing
    after, following = judged.own(came), judged.later(came)
    references, opposed = [], [against]
    for of_one, text in zip(facts, texts, strict=True):
        asked = set(of_one)
        of_facts = [judged.facts[one] for one in asked if one in judged.facts]
        denied = sum(bool(one.contradicting) for one in of_facts)
        stating = own & _any(one.agreeing for one in of_facts)
        opposing = _any(one.contradicting for one in of_facts)
        by_own = sum(bool(one.agreeing & own) and not one.contradicting for one in of_facts)
        by_any = sum(bool(one.agreeing & judged.telling) and not one.contradicting for one in of_facts)
        said = OfFacts(Said(by_own, denied), len(stating), len(stating | opposing), frozenset())
        written = Said(by_any, denied)
        if text and not of_one:
            claims = _comparable(claim for piece in case.thoughts for claim in piece.written)
            written = agreement(claims, [text.stated])
        references.append(OfReference(said, written, len(asked) - len(of_facts)))
        opposed.append(opposing)
    used: dict[str, float] = {}
    for identity, sides in zip(relevant.documents, documents, strict=True):
        shown = case.evidence.came(identity)
        others = _any(other.agreeing for other in documents if other is not sides)
        opposing = sides.contradicting & judged.later(shown) - others
        in_favour = sides.agreeing & judged.own(shown)
        if opposing or in_favour:
            used[identity] = Said(len(in_favour), len(opposing)).balance
    return Claims(
        len(own),
        references,
        Said(len(agreeing), len(against)),
        Said(len(agreeing & after), len(against & following)),
        used,
        [judged.sentences[place].text for place in sorted(_any(opposed))],
    )


def _any(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    """What is in one of the sets."""
    return frozenset[int]().union(*sets)


def _came(case: Case, relevant: Relevant) -> int:
    """Where the first search that showed a relevant document ends."""
    turns = [turn for turn in case.evidence.turns if not set(turn.shown).isdisjoint(relevant.documents)]
    return min((turn.offset for turn in turns), default=0)


def _comparable(claims: Iterable[Statement]) -> list[Statement]:
    return [claim for claim in dict.fromkeys(claims) if len(claim.words) >= enough(claim)]
