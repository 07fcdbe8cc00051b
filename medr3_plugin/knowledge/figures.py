"""Whose figure a number is: "15.4% with fidaxomicin against 25.3% with vancomycin" and the same two turned round.

Who swaps the figures of two groups says the contrary of what a study found, in its own words and numbers. A sentence is
cut where a comparison joins its parts; a number belongs to what is said of it in its part.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from medr3_plugin.knowledge.statements import Statement, stems
from medr3_plugin.knowledge.statements import statements as clauses_of
from medr3_plugin.knowledge.text import sentences

_PARTS = re.compile(
    r"(,(?!\d)|[;)]|\b(?:and|versus|vs|against|compared|than|but|while|whereas|or)\b|[，、；）与和而比])",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])\d+(?:[.,]\d+)*")
_OF_A_GROUP = re.compile(
    r"[ %]{0,3}(?:[^\W\d]+ ){0,2}?"
    r"(?:with|in|for|on|among|of|by|under|given|receiving|without|at|after|during)\b",
    re.IGNORECASE,
)
_WITHOUT = re.compile(r"\b(?:without|not|no|none)\b|[未不无]", re.IGNORECASE)
_BRACKET = re.compile(r" ?[(（]([^()（）]{0,80})[)）]")
_SPREAD = re.compile(
    r"(?:\b9[059] ?% ?)?\b(?:CI|confidence interval|SD|SE|IQR|range)\b|\b[Pp] ?[<>=≤]|±|标准差|置信区间"
)
_ADJECTIVE = re.compile(r"[-–][A-Za-z]")
_MOST = 16
"""Numbers of a sentence that is read: a table is not."""

Figures = Mapping[str, frozenset[str]]
"""The numbers of a sentence, each with the content words of what it is said of."""


def figures(sentence: str) -> Figures:
    """The numbers of a sentence that stand there once; none of a sentence with one number, or of a table.

    >>> {number: sorted(of) for number, of in figures("Relief came in 78% with oxygen and 20% with air.").items()}
    {'78': ['oxygen'], '20': ['air']}
    """
    sentence = _BRACKET.sub(_without_spread, sentence)
    if not 1 < len(_numbers(sentence)) <= _MOST:
        return {}
    found: dict[str, frozenset[str]] = {}
    again: set[str] = set()
    pieces = _PARTS.split(sentence)  # part, what joins, part, ...
    before_it: frozenset[str] = frozenset()
    for part, joint in zip(pieces[::2], ["", *pieces[1::2]], strict=True):
        numbers = _numbers(part)
        words: list[frozenset[str]] = []
        for place, number in enumerate(numbers):
            before = part[numbers[place - 1].end() if place else 0 : number.start()]
            after = part[number.end() : numbers[place + 1].start() if place + 1 < len(numbers) else len(part)]
            words.append(_words(after if _OF_A_GROUP.match(after) else before))
        for place in range(len(numbers) - 2, -1, -1):  # 465 of 925 died
            words[place] = words[place] or words[place + 1]
        for place in range(1, len(numbers)):  # 1463 (14.5%)
            words[place] = words[place] or words[place - 1]
        if numbers and joint in (",", "，") and not words[0]:  # with hypothermia, 17% against 24%
            words[0] = before_it
        before_it = _words(part)
        for number, of in zip(numbers, words, strict=True):
            again |= {number[0]} & found.keys()
            found[number[0]] = of
    return {number: of for number, of in found.items() if number not in again}


def _numbers(text: str) -> list[re.Match[str]]:
    """The numbers of a text, but for those of an adjective ("90-day")."""
    return [found for found in _NUMBER.finditer(text) if not _ADJECTIVE.match(text, found.end())]


def _without_spread(bracket: re.Match[str]) -> str:
    """A bracket up to an interval or a P value, which belong to no group: "(95% CI, 15.1 to 21.3)"."""
    spread = _SPREAD.search(bracket[1])
    if spread is None:
        return bracket[0]
    kept = bracket[1][: spread.start()].rstrip(" ,;，；")
    return f" ({kept})" if kept else ""


def _words(said: str) -> frozenset[str]:
    return frozenset(stems(said)) or (frozenset(("without",)) if _WITHOUT.search(said) else frozenset())


def figures_of(text: str) -> list[Figures]:
    """The figures of each sentence that compares two or more."""
    return [found for sentence in sentences(text) if len(found := figures(sentence)) > 1]


def swapped(own: Figures, other: Figures) -> bool:
    """Whether a sentence gives two numbers of another one to each other's groups.

    >>> source = figures("Fewer patients in the fidaxomicin group had a recurrence (15.4% versus 25.3%, P=0.005).")
    >>> swapped(figures("Fidaxomicin had a recurrence of 25.3% and vancomycin one of 15.4%."), source)
    True
    >>> swapped(figures("Recurrence was 25.3% with vancomycin and 15.4% with fidaxomicin."), source)
    False
    """
    common = [number for number in other if own.get(number)]  # in the order of the other sentence
    return any(_turned(own, other, pair) for pair in itertools.combinations(common, 2))


def _turned(own: Figures, other: Figures, pair: tuple[str, str]) -> bool:
    """Whether of two numbers each belongs to what the other one belongs to in the other sentence.

    What a sentence says of both it may say beside the first alone ("survival was 32 months with A, 21 with B"), so a
    word that went over to the other number proves nothing, unless one came back, or the second had no word.
    """
    first, second = pair
    kept, went = [], []
    for mine, its in ((first, second), (second, first)):
        words = own[mine] - own[its]
        kept.append(words & other[mine] - other[its])
        went.append(words & other[its] - other[mine])
    if all(kept):
        return False
    return all(went) or (not any(kept) and bool(went[1]) and not other[second])


def misquoting(
    statements: Iterable[Statement], text: str, sources: Sequence[Sequence[Figures]]
) -> set[Statement]:
    """Those of a text's statements that give a figure which it swaps with another one of the same sentence."""
    found: set[Statement] = set()
    if not any(sources):
        return found
    for sentence in sentences(text):
        own = figures(sentence)
        if len(own) > 1 and any(swapped(own, other) for source in sources for other in source):
            clauses = {one.text.strip() for one in clauses_of(sentence)}
            found |= {one for one in statements if one.text.strip() in clauses and _NUMBER.search(one.text)}
    return found
