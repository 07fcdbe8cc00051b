"""Whether two texts agree: their statements compared, by content words and polarity.

Two statements are about the same thing if most content words of the shorter one occur in the other; their polarity and
their directions then say whether they agree or contradict each other. A statement is about a fact (a triple) if it
holds half of the words of both its ends.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from itertools import chain, repeat
from typing import NamedTuple

from medr3_plugin.knowledge.directions import Direction, directions, opposite
from medr3_plugin.knowledge.statements import Statement, content_words, denies, stems, without_denials
from medr3_plugin.text import simplified

# findings of a person are not facts of medicine: "he does not have fever" contradicts no document
_PERSON = re.compile(
    r"\b(?:patients?|he|she|his|her|him|we|i|they|man|woman|boy|girl|child|infant|denies|denied)\b|患者|病人|他|她|我",
    re.IGNORECASE,
)
_PASSIVE = re.compile(r"\b(?:by|from|due to|because of|after|with|of|in)\b|由|被|因", re.IGNORECASE)

ENOUGH = 3
"""Fewest common content words of two clauses that speak of the same thing."""
_CAUSING = frozenset(("caus", "provok", "precipitat", "induc"))
"""What causes a thing at one dose may prevent it at another."""
_CHINESE = "\u3400"
_MOST = 0.6
"""Smallest share of the shorter clause's content words that are common."""
_OF_LIST = 0.4
"""Smallest share of a list's content words that are common: in a list of everything some clause is sure to be."""


def enough(statement: Statement) -> int:
    """Fewest common content words of a clause; a Chinese word of two characters takes two pairs."""
    if statement.text.isascii() or not any(word >= _CHINESE for word in statement.words):
        return ENOUGH
    return 2 * ENOUGH - 1


class Fact(NamedTuple):
    """A triple: the content words of its head alone and of its tail alone, whether it is negated, its directions.

    Attributes:
        how: content words of its relation that are no direction ("excretion" of "raises excretion of").
    """

    head: frozenset[str]
    tail: frozenset[str]
    denied: bool
    turns: tuple[Direction, ...]
    how: frozenset[str]


class Said(NamedTuple):
    """How often own statements agree with others, and how often they contradict them."""

    agreeing: int = 0
    contradicting: int = 0

    def plus(self, *others: Said) -> Said:
        """All together."""
        return Said(
            self.agreeing + sum(other.agreeing for other in others),
            self.contradicting + sum(other.contradicting for other in others),
        )

    @property
    def balance(self) -> float:
        """(agreeing − contradicting) / (agreeing + contradicting), in [-1, 1]; 1 if nothing is contradicted."""
        if not self.contradicting:
            return 1.0
        return (self.agreeing - self.contradicting) / (self.agreeing + self.contradicting)


class _NamingHalf(dict[frozenset[str], frozenset[int]]):
    """The words of a name -> places of the statements that hold half of them; references name the same things."""

    def __init__(self, places: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self._places = places

    def __missing__(self, name: frozenset[str]) -> frozenset[int]:
        places = list(chain.from_iterable(self._places[word] for word in name if word in self._places))
        if len(name) > 2 and places:
            places = [place for place, held in Counter(places).items() if 2 * held >= len(name)]
        found = self[name] = frozenset(places)
        return found


class StatementIndex:
    """The statements of a text, found by their words.

    Args:
        names: content words of the names in the text: a statement that shares a name and no more agrees with nothing.
    """

    def __init__(self, found: Sequence[Statement], names: Iterable[frozenset[str]] = ()) -> None:
        self.statements = found
        self._names: dict[str, list[frozenset[str]]] = {}  # each under one of its words
        for name in filter(None, names):
            self._names.setdefault(min(name), []).append(name)
        self._places: dict[str, list[int]] = {}
        for place, statement in enumerate(found):
            for word in statement.words:
                self._places.setdefault(word, []).append(place)
        self._words = frozenset(self._places)
        self.naming_half = _NamingHalf(self._places)

    def polarities(self, statement: Statement) -> set[bool]:
        """`denied` of the closest statements on the same matter: most words of the shorter of the two are common.

        One that says the opposite ("raises" for "lowers") counts as its denial.
        """
        common = statement.words & self._words
        if len(common) < ENOUGH or len(common) < (least := enough(statement)):
            return set()
        size, listed = len(statement.words), not statement.denied and "," in statement.text
        counts = Counter(chain.from_iterable(map(self._places.__getitem__, common)))
        close = {
            place: shared
            for place, shared in counts.items()
            if shared >= least
            and shared >= _MOST * min(size, len(self.statements[place].words))
            and not (listed and shared < _OF_LIST * size)
        }
        if not close:
            return set()
        if not statement.denied:
            known = chain.from_iterable(map(self._names.__getitem__, statement.words & self._names.keys()))
            held = [name for name in known if name <= statement.words]
            shared = [statement.words & self.statements[place].words for place in close]
            if held and all(any(words <= name for name in held) for words in shared):
                return set()
        closest, turns = max(close.values()), directions(statement.text)
        found = [self.statements[place] for place, shared in close.items() if shared == closest]
        return {other.denied != opposite(turns, directions(other.text)) for other in found}

    def is_of_the_subject(self, words: frozenset[str]) -> bool:
        """Whether words name what the text is about (its first statement, as a title) and what else it does not deny.

        In a profile ("Scurvy. Signs: gingivitis, ...") no clause has both, so "scurvy has gingivitis" is like none.
        """
        subject = self.statements[0].words if self.statements else frozenset()
        if not subject or len(subject & words) < _MOST * len(subject):
            return False
        known = chain.from_iterable(map(self._names.__getitem__, words & self._names.keys()))
        return any(name <= words and name.isdisjoint(subject) and not self._denies(name) for name in known)

    def _denies(self, name: frozenset[str]) -> bool:
        """Whether all statements that hold a name deny."""
        return bool(found := self.naming([name])) and all(statement.denied for statement in found)

    def naming(self, *names: Iterable[frozenset[str]]) -> list[Statement]:
        """The statements that name each of several things: that hold all words of one of its `names`."""
        common: set[int] | None = None
        for spellings in names:
            places: set[int] = set()
            for words in spellings:
                if words and all(word in self._places for word in words):
                    places |= set.intersection(*(set(self._places[word]) for word in words))
            common = places if common is None else common & places
            if not common:
                return []
        return [self.statements[place] for place in sorted(common or ())]


class OfFacts(NamedTuple):
    """What statements say of facts.

    Attributes:
        said: number of facts that are stated, and that are denied.
        stating: number of statements that state one.
        speaking: number of statements that speak of one, whatever they say.
        denying: the statements that deny one and state none.
    """

    said: Said
    stating: int
    speaking: int
    denying: frozenset[Statement]


def agreement(
    own: Iterable[Statement],
    others: Sequence[StatementIndex],
    false: Set[Statement] = frozenset(),
    *,
    anywhere: bool = False,
) -> Said:
    """How many of the own statements agree with one of the others, and how many contradict one.

    A statement that does both (two documents disagree) agrees. What is denied of a person contradicts nothing.

    Args:
        false: statements that are known to be false: they agree with nothing, and contradict those on the same matter.
        anywhere: they contradict the others, in whatever words these put it.

    >>> from medr3_plugin.knowledge.statements import statements
    >>> facts = StatementIndex(statements("Thiazides raise serum urate. Urate crystals inflame joints."))
    >>> agreement(statements("Thiazides do not raise serum urate. The urate crystals inflame joints."), [facts])
    Said(agreeing=1, contradicting=1)
    """
    found = compared(own, others, false, anywhere=anywhere)
    counts = Counter(agrees for _, agrees in found)
    return Said(counts[True], counts[False])


def compared(
    own: Iterable[Statement],
    others: Sequence[StatementIndex],
    false: Set[Statement] = frozenset(),
    *,
    anywhere: bool = False,
) -> Iterator[tuple[Statement, bool]]:
    """The own statements that agree with one of the others (True) or contradict one (False); see `agreement`."""
    for statement in own:
        spoken_of = anywhere and statement in false
        for other in others:
            if polarities := other.polarities(statement):
                if statement.denied in polarities and statement not in false:
                    yield statement, True
                    break
                spoken_of = True
        else:
            if spoken_of and not _of_a_person(statement.text):
                yield statement, False


def fact(head: str, relation: str, tail: str) -> Fact:
    """A triple as a fact that statements can state."""
    of_head, of_tail = content_words(head), content_words(tail)
    words = simplified(f"{head} {relation} {tail}".replace("_", " "))
    how = frozenset(word for word in content_words(relation.replace("_", " ")) if not directions(word))
    return Fact(
        of_head - of_tail or of_head, of_tail - of_head or of_tail, denies(words), directions(words), how
    )


def stated(own: StatementIndex, facts: Sequence[Fact]) -> OfFacts:
    """Which of `facts` the own statements state, and which they deny.

    A statement speaks of a fact if it holds half of the words of its head and of its tail, the head first (or in a
    passive clause, anywhere). A fact that is stated and denied counts as denied. "A lowers B" denies "A raises B". Of
    "A lowers B" says "A does not clear B" nothing, and of "A raises the excretion of B" says "A loses B" nothing.

    >>> from medr3_plugin.knowledge.statements import statements
    >>> facts = [fact("alcohol", "raises", "serum urate"), fact("urate", "forms", "crystals")]
    >>> stated(StatementIndex(statements("Alcohol raises the urate. Urate does not form crystals.")), facts)[:2]
    (Said(agreeing=1, contradicting=1), 1)
    >>> stated(StatementIndex(statements("Alcohol lowers the urate. Urate does not form crystals.")), facts).said
    Said(agreeing=0, contradicting=2)
    """
    agreeing, contradicting, stating, denying = set(), set(), set(), set()
    speaking: set[int] = set()
    for place, (head, tail, denied, turns, how) in enumerate(facts):
        if not (of_head := own.naming_half[head]):
            continue
        of_both = of_head & own.naming_half[tail]
        speaking |= of_both
        for number in of_both:
            statement = own.statements[number]
            ways = directions(statement.text) if turns else ()
            turned = opposite(turns, ways)
            if turned:
                between = directions(_between(statement.text, head, tail))
                incomparable = (
                    not how <= statement.words
                    or not opposite(turns, between)
                    or any(turn.word in _CAUSING for turn in between + turns)
                )
            else:
                incomparable = bool(turns) and not ways and statement.denied != denied
            if incomparable:  # of the same things something else may be true
                continue
            if statement.denied != (denied != turned):
                if not _of_a_person(statement.text):
                    contradicting.add(place)
                    denying.add(number)
            elif (place not in agreeing or number not in stating) and _in_order(statement.text, head, tail):
                agreeing.add(place)
                stating.add(number)
    said = Said(len(agreeing - contradicting), len(contradicting))
    denials = frozenset(own.statements[number] for number in denying - stating)
    return OfFacts(said, len(stating), len(speaking), denials)


@lru_cache(maxsize=8192)
def _of_a_person(text: str) -> bool:
    return _PERSON.search(text) is not None


def _between(text: str, head: frozenset[str], tail: frozenset[str]) -> str:
    """What stands between head and tail; empty if the tail comes first."""
    text = text.lower()
    start, end = (
        min((place for word in words if (place := text.find(word)) >= 0), default=-1)
        for words in (head, tail)
    )
    return text[start:end] if start >= 0 else ""


def _in_order(text: str, head: frozenset[str], tail: frozenset[str]) -> bool:
    places = _places(text)
    return not places or min(map(places.get, head, _NOWHERE)) <= min(map(places.get, tail, _NOWHERE))


_NOWHERE = repeat(math.inf)


@lru_cache(maxsize=8192)
def _places(text: str) -> dict[str, int]:
    """Where a clause's content words stand first; nothing for a passive one, which may name them in any order."""
    if _PASSIVE.search(text):
        return {}
    places: dict[str, int] = {}
    for place, stem in enumerate(stems(without_denials(text)[0])):
        places.setdefault(stem, place)
    return places
