"""From reasoning text to triples: the extractor protocol and the lexicon extractor.

An extractor sees the text alone. It never sees a reference graph: an extractor that does copies it, and the
agreement that is then measured is its own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from medr3_plugin.knowledge.phrases import PhraseFinder
from medr3_plugin.knowledge.relation import is_negated
from medr3_plugin.knowledge.statements import asserted_sentences
from medr3_plugin.knowledge.text import Word, raw_words, word_form
from medr3_plugin.knowledge.vocabulary import Mention
from medr3_plugin.records import Triple

_PRONOUN = re.compile(r"\W*(?:it|this|these|they|which|its|their|该病|其|它|此病)(?!\w*[a-z])", re.IGNORECASE)
# what may stand between two members of a list; _CARRY takes a negation along ("no fever, cough or rash")
_CARRY = frozenset(("or", "nor", "或"))
_RESTART = frozenset(
    ("and", "but", "plus", "also", "as", "well", "with", "both", "和", "与", "及", "以", "但")
)
_SEPARATOR = re.compile(r"[,，、/]")
_NEGATION = frozenset(("no", "not", "without", "never", "无", "不", "没", "未"))
_IN_A_LIST = _CARRY | _RESTART | _NEGATION

MAX_TRIPLES = 400
"""Triples taken from one text; later ones are left out, so that length does not pay without limit."""


class EntityFinder(Protocol):
    """Finds entities in text and gives names their canonical form: a `Vocabulary` or a `PhraseFinder`."""

    def find(self, text: str) -> Sequence[Mention]:
        """Entities in `text`, in order and without overlaps."""
        ...

    def find_in(self, text: str, tokens: Sequence[Word]) -> Sequence[Mention]:
        """As `find`, for a text whose words are known already."""
        ...

    def knows(self, entity: str) -> bool:
        """Whether `find` would find every mention of this canonical entity."""
        ...

    def normalise(self, text: str) -> str:
        """Canonical form of the entity that `text` names."""
        ...


class Extractor(Protocol):
    """Turns the model's own reasoning into triples.

    Attributes:
        remote: extraction waits for a service, so that many texts should be under way at the same time.
    """

    remote: bool

    async def aextract(self, text: str) -> tuple[Triple, ...]:
        """Triples stated in `text`, in order.

        Raises:
            JudgeFailure: the extractor is a service and failed.
        """
        ...


class LexiconExtractor:
    """Triples from entity mentions and their order in a sentence; deterministic, no model.

    Mentions that only commas and conjunctions separate form a list. Every member of a list is linked to
    every member of the next list of the sentence, the words between being the relation. A sentence that opens
    with a pronoun takes the first list of the sentence before as its own. A negated member of a list ("fever
    but no cough") makes its edges negated. What is not asserted is
    left out: questions, conditions, what others say, and what is denied as a whole (`knowledge.statements`).

    >>> from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary
    >>> names = ("measles", "fever", "cough", "rubella")
    >>> extractor = LexiconExtractor(Vocabulary(Entry(name) for name in names))
    >>> for t in extractor.extract("Measles causes fever and cough. It is not rubella."):
    ...     print(t.head, "|", t.relation, "|", t.tail)
    measles | causes | fever
    measles | causes | cough
    measles | It is not | rubella

    Args:
        finder: where entities come from; without one, runs of content words are taken for entities.
        max_triples: limit for one text.
    """

    remote = False

    def __init__(self, finder: EntityFinder | None = None, max_triples: int = MAX_TRIPLES) -> None:
        self.finder: EntityFinder = finder if finder is not None else PhraseFinder()
        self.max_triples = max_triples

    def extract(self, text: str) -> tuple[Triple, ...]:
        """Distinct triples in `text`, in order of appearance; linear time."""
        seen: dict[tuple[str, bool, str], Triple] = {}
        topic: list[_Member] = []
        for sentence in asserted_sentences(text):
            groups = _groups(sentence, self.finder.find(sentence))
            if not groups:
                continue
            if topic and _PRONOUN.match(sentence):
                relation = sentence[: groups[0].start].strip()
                groups[0] = groups[0]._replace(relation=relation)
                groups.insert(0, _Group(topic, "", 0))
            for left, right in itertools.pairwise(groups):
                for head in left.members:
                    for tail in right.members:
                        relation = f"not {right.relation}" if tail.negated else right.relation
                        key = (head.entity, is_negated(relation), tail.entity)
                        if head.entity != tail.entity and key not in seen:
                            seen[key] = Triple(head.entity, relation, tail.entity)
                            if len(seen) >= self.max_triples:
                                return tuple(seen.values())
            topic = groups[0].members
        return tuple(seen.values())

    async def aextract(self, text: str) -> tuple[Triple, ...]:
        """As `extract`; fulfils the `Extractor` protocol."""
        return self.extract(text)


class _Member(NamedTuple):
    entity: str
    negated: bool


class _Group(NamedTuple):
    """Members of one list; the words before it in the sentence; its offset."""

    members: list[_Member]
    relation: str
    start: int


def _groups(sentence: str, mentions: Sequence[Mention]) -> list[_Group]:
    groups: list[_Group] = []
    for i, mention in enumerate(mentions):
        between = sentence[mentions[i - 1].end : mention.start] if i else ""
        negated = _list_negation(between, groups[-1].members[-1].negated) if i else None
        if negated is None:
            groups.append(_Group([_Member(mention.entity, False)], between.strip(), mention.start))
        else:
            groups[-1].members.append(_Member(mention.entity, negated))
    return groups


def _list_negation(between: str, before: bool) -> bool | None:
    """None if `between` does not continue a list; else whether the next member of the list is negated."""
    forms = []
    for word in raw_words(between):
        if form := word_form(word):
            if form not in _IN_A_LIST:
                return None
            forms.append(form)
    if not _SEPARATOR.search(between) and not _CARRY.union(_RESTART).intersection(forms):
        return None
    if _NEGATION.intersection(forms):
        return True
    return before and not _RESTART.intersection(forms)
