"""What a judge says of a case: which sentences agree with a document or a known fact, and which contradict it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

from medr3_plugin.knowledge.agreement import Fact, enough, fact
from medr3_plugin.knowledge.judge_agreement import (
    MAX_DOCUMENTS,
    MAX_FACTS,
    MAX_SENTENCES,
    JudgeAgreement,
    Sides,
)
from medr3_plugin.knowledge.statements import Statement, content_words
from medr3_plugin.knowledge.text import sentences, word_forms
from medr3_plugin.records import Document, Reference, Triple, gold_found
from medr3_plugin.rewards.case import Case
from medr3_plugin.rewards.evidence import full_text
from medr3_plugin.rewards.shown_documents import texts_shown

_SIGN = re.compile(r"(?<=\w) ?[<>≤≥]=?(?= ?[\w.])|(?<![\w)])[+−-](?=\d)|[?？]")
"""What makes two sentences of the same words different ones: p < 0.05 and p > 0.05, +5 and -5, a question."""
_BEGINNING = 40
"""Characters of a document by which it is found where it was shown."""


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
        documents: id -> the sentences that agree with it and those that contradict it; of those it was shown.
        facts: known fact -> the same.
        stating: known fact -> ids of the documents that state it.
        unread: number of documents that were too many.
    """

    sentences: tuple[Sentence, ...]
    documents: Mapping[str, Sides]
    facts: Mapping[Fact, Sides]
    stating: Mapping[Fact, frozenset[str]]
    unread: int = 0

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

    def stated_by(self, fact: Fact) -> frozenset[str] | None:
        """Ids of the documents that state `fact`; None for one too many, of which the judge said nothing."""
        return self.stating.get(fact)


async def ask(judge: JudgeAgreement, case: Case) -> Judged:
    """The judge's comparison of a case's reasoning with the documents shown and the references' facts.

    Raises:
        JudgeFailure: no usable reply.
    """
    found, order = sentences_of(case)
    documents = _most_needed(case)
    triples = [triple for reference in case.sample.references for triple in reference.triples]
    places = {text: place for place, text in enumerate(_facts(case.sample.references))}
    comparison = await judge.acompare(
        [found[place].text for place in order],
        _as_shown(case, documents),
        list(places),
    )
    sides: dict[Fact, Sides] = {}
    stating: dict[Fact, frozenset[str]] = {}
    for triple in triples:  # two that are worded otherwise may be one fact
        place = places.get(_in_words(triple))
        if place is not None:
            known = fact(triple.head, triple.relation, triple.tail)
            sides[known] = sides.get(known, Sides()).plus(comparison.facts[place].at(order))
            ids = (id_ for id_, states in zip(documents, comparison.states, strict=True) if place in states)
            stating[known] = stating.get(known, frozenset()).union(ids)
    of_documents = (one.at(order) for one in comparison.documents)
    return Judged(
        found,
        dict(zip(documents, of_documents, strict=True)),
        sides,
        stating,
        len(case.evidence.documents) - len(documents),
    )


def _facts(references: Sequence[Reference]) -> list[str]:
    """The references' facts; of too many, the references take turns."""
    rows = [[_in_words(triple) for triple in reference.triples] for reference in references]
    facts = list(dict.fromkeys(chain.from_iterable(rows)))
    if len(facts) > MAX_FACTS:
        facts = list(dict.fromkeys(text for turn in zip_longest(*rows) for text in turn if text))
    return facts[:MAX_FACTS]


def _most_needed(case: Case) -> dict[str, Document]:
    """The documents shown; of too many, gold ones and then the first ones."""
    documents = {identity: shown.document for identity, shown in case.evidence.documents.items()}
    if len(documents) <= MAX_DOCUMENTS:
        return documents
    gold = case.sample.gold_docs
    order = sorted(documents, key=lambda identity: not (gold and gold_found(gold, documents[identity].ids)))
    return {identity: documents[identity] for identity in order[:MAX_DOCUMENTS]}


def sentences_of(case: Case) -> tuple[tuple[Sentence, ...], list[int]]:
    """The different sentences of a case's reasoning, and which of them stands there, in order.

    Each counts once but is shown wherever it stands: "that is wrong" means what is before it. Of very many sentences
    those that state something are shown, once each.
    """
    found: dict[str, Sentence] = {}
    order: list[str] = []
    for piece in case.thoughts:
        for text in sentences(piece.whole):
            if forms := " ".join(word_forms(text)):  # "-" says nothing
                forms = " ".join([forms, *map(str.strip, _SIGN.findall(text))])
                place = (piece.start, text in piece.text)
                words = Statement(content_words(text), False, text)
                known = found.get(forms) or Sentence(text, (), len(words.words) >= enough(words))
                found[forms] = known._replace(places=(*known.places, place))
                order.append(forms)
    if len(order) > MAX_SENTENCES:
        order = [forms for forms, sentence in found.items() if sentence.states]
    places = {forms: place for place, forms in enumerate(found)}
    return tuple(found.values()), [places[forms] for forms in order]


def _as_shown(case: Case, documents: Mapping[str, Document]) -> list[str]:
    """The documents as far as the trajectory shows them: the model cannot use what `document_tokens` cut off.

    One that was cut, or rendered in another way, as it was shown, from its own beginning on if that is there. Where a
    document's place is not certain, the longest text between tags that is a beginning of it; its whole text if there is
    none, as where another environment writes no tags.
    """
    known = texts_shown(case.trajectory, case.sample.searches)
    spans = [" ".join(text.split()) for text in case.trajectory.documents]
    found = []
    for identity, document in documents.items():
        whole, title, text = (
            " ".join(part.split()) for part in (full_text(document), document.title, document.text)
        )
        shown = known.get(identity)
        if shown is None:
            parts = (span[start:] for span in spans if (start := span.find(whole[:_BEGINNING])) >= 0)
            found.append(max(filter(whole.startswith, parts), key=len, default=whole))
        elif text in shown and title in shown:
            found.append(whole)
        else:
            found.append(shown[max(shown.find(whole[:_BEGINNING]), 0) :])
    return found


def _in_words(triple: Triple) -> str:
    return f"{triple.head} {triple.relation} {triple.tail}".replace("_", " ")
