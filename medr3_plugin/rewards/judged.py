"""What a judge says of a case: which sentences agree with a document or a known fact, and which contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from medr3_plugin.knowledge.agreement import ENOUGH, Fact, fact
from medr3_plugin.knowledge.judge_agreement import JudgeAgreement, Sides
from medr3_plugin.knowledge.statements import content_words
from medr3_plugin.knowledge.text import sentences
from medr3_plugin.records import Triple
from medr3_plugin.rewards.case import Case
from medr3_plugin.rewards.evidence import full_text


class Sentence(NamedTuple):
    """A sentence of the reasoning.

    Attributes:
        start: where its piece starts in the trajectory, in characters.
        own: nothing of it was copied.
        states: it is long enough to state something ("Wait.").
    """

    text: str
    start: int
    own: bool
    states: bool


class Judged(NamedTuple):
    """A judge's comparison; sentences by their places.

    Attributes:
        documents: id -> the sentences that agree with it and those that contradict it.
        facts: known fact -> the same.
        stating: known fact -> ids of the documents that state it.
    """

    sentences: tuple[Sentence, ...]
    documents: Mapping[str, Sides]
    facts: Mapping[Fact, Sides]
    stating: Mapping[Fact, frozenset[str]]

    def later(self, offset: int) -> frozenset[int]:
        """The sentences from an offset in the trajectory on."""
        return frozenset(i for i, sentence in enumerate(self.sentences) if sentence.start >= offset)

    def own(self, offset: int = 0) -> frozenset[int]:
        """Those of them that were not copied."""
        return frozenset(i for i in self.later(offset) if self.sentences[i].own)

    def stated_by(self, fact: Fact) -> frozenset[str]:
        """Ids of the documents that state `fact`."""
        return self.stating.get(fact, frozenset())


async def ask(judge: JudgeAgreement, case: Case) -> Judged:
    """The judge's comparison of a case's reasoning with the documents shown and the references' facts.

    Raises:
        JudgeFailure: no usable reply.
    """
    found = tuple(
        Sentence(text, piece.start, text in piece.text, len(content_words(text)) >= ENOUGH)
        for piece in case.thoughts
        for text in sentences(piece.whole)
    )
    documents = case.evidence.documents
    triples = dict.fromkeys(triple for reference in case.sample.references for triple in reference.triples)
    facts = [fact(triple.head, triple.relation, triple.tail) for triple in triples]
    comparison = await judge.acompare(
        [sentence.text for sentence in found],
        [full_text(shown.document) for shown in documents.values()],
        list(map(_in_words, triples)),
    )
    stating: dict[Fact, frozenset[str]] = {}
    for identity, states in zip(documents, comparison.states, strict=True):
        for place in states:
            stating[facts[place]] = stating.get(facts[place], frozenset()) | {identity}
    return Judged(
        found,
        dict(zip(documents, comparison.documents, strict=True)),
        dict(zip(facts, comparison.facts, strict=True)),
        stating,
    )


def _in_words(triple: Triple) -> str:
    return f"{triple.head} {triple.relation} {triple.tail}".replace("_", " ")
