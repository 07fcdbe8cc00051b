"""What a judge says of a case: which sentences agree with a document or a known fact, and which contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from medr3_plugin.knowledge.agreement import Fact, enough, fact
from medr3_plugin.knowledge.judge_agreement import MAX_SENTENCES, JudgeAgreement, Sides
from medr3_plugin.knowledge.statements import Statement, content_words
from medr3_plugin.knowledge.text import sentences, word_forms
from medr3_plugin.records import Triple
from medr3_plugin.rewards.case import Case
from medr3_plugin.rewards.evidence import full_text


class Sentence(NamedTuple):
    """A sentence of the reasoning, however often it stands there.

    Attributes:
        places: for each time where its piece starts in the trajectory, in characters, and whether nothing of it was
            copied.
        states: it is long enough to state something; "Wait." is not, nor "That is wrong.", which can only contradict.
    """

    text: str
    places: tuple[tuple[int, bool], ...]
    states: bool


class Judged(NamedTuple):
    """A judge's comparison; sentences by their places in `sentences`.

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
        """The sentences that stand somewhere from an offset in the trajectory on."""
        return frozenset(
            i
            for i, sentence in enumerate(self.sentences)
            if any(start >= offset for start, _ in sentence.places)
        )

    def own(self, offset: int = 0) -> frozenset[int]:
        """Those of them that state something and were not copied."""
        return frozenset(
            i
            for i, sentence in enumerate(self.sentences)
            if sentence.states and any(own and start >= offset for start, own in sentence.places)
        )

    @property
    def telling(self) -> frozenset[int]:
        """The sentences that state something."""
        return frozenset(i for i, sentence in enumerate(self.sentences) if sentence.states)

    def stated_by(self, fact: Fact) -> frozenset[str]:
        """Ids of the documents that state `fact`."""
        return self.stating.get(fact, frozenset())


async def ask(judge: JudgeAgreement, case: Case) -> Judged:
    """The judge's comparison of a case's reasoning with the documents shown and the references' facts.

    Raises:
        JudgeFailure: no usable reply.
    """
    found = sentences_of(case)
    documents = case.evidence.documents
    triples = [triple for reference in case.sample.references for triple in reference.triples]
    facts = list(dict.fromkeys(map(_in_words, triples)))
    comparison = await judge.acompare(
        [sentence.text for sentence in found],
        [full_text(shown.document) for shown in documents.values()],
        facts,
    )
    sides: dict[Fact, Sides] = {}
    stating: dict[Fact, frozenset[str]] = {}
    for triple in triples:  # two that are worded otherwise may be one fact
        known, place = fact(triple.head, triple.relation, triple.tail), facts.index(_in_words(triple))
        sides[known] = sides.get(known, Sides()).plus(comparison.facts[place])
        ids = (id_ for id_, states in zip(documents, comparison.states, strict=True) if place in states)
        stating[known] = stating.get(known, frozenset()).union(ids)
    return Judged(found, dict(zip(documents, comparison.documents, strict=True)), sides, stating)


def sentences_of(case: Case) -> tuple[Sentence, ...]:
    """The different sentences of a case's reasoning; of very many, those that state something."""
    found: dict[str, Sentence] = {}
    for piece in case.thoughts:
        for text in sentences(piece.whole):
            if forms := " ".join(word_forms(text)):  # "1." and "-" say nothing
                place = (piece.start, text in piece.text)
                words = Statement(content_words(text), False, text)
                known = found.get(forms) or Sentence(text, (), len(words.words) >= enough(words))
                found[forms] = known._replace(places=(*known.places, place))
    if len(found) > MAX_SENTENCES:
        return tuple(sentence for sentence in found.values() if sentence.states)
    return tuple(found.values())


def _in_words(triple: Triple) -> str:
    return f"{triple.head} {triple.relation} {triple.tail}".replace("_", " ")
