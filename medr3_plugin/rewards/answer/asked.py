"""Claims that say an open question again: "Cortisol is its main ligand", "Aspirin inhibits cyclooxygenase"."""

from __future__ import annotations

from itertools import pairwise

from medr3_plugin.rewards.answer import beside, doubts, wording
from medr3_plugin.rewards.answer.names import Question, stem


def is_own(word: str, question: Question) -> bool:
    """Whether a word, in any of its forms, stands in the question."""
    return word not in wording.LOADED and (word in question.words or stem(word) in question.stems)


def says_again(words: list[str], question: Question) -> bool:
    """Whether words that lead to an open question's answer are its own, with a verb that does not tell of the past."""
    verb = any(
        word in doubts.FINITE or (word.endswith(("ed", "s")) and word not in wording.PLAIN)
        for word in words[1:]
    )
    return (
        (verb or words[-1] in ("named", "called"))
        and relates_as_asked(words, question)
        and wording.PAST.isdisjoint(words)
        and wording.FAMILY.isdisjoint(words)
        and all(beside.is_plain([word], question) or is_own(word, question) for word in words)
    )


def asked_again(after: list[str], question: Question) -> bool:
    """Whether behind an open question's answer stand its own words: "Cortisol is its main ligand", "five sites"."""
    own = [word for word in after if word not in wording.PLAIN and word not in wording.MARKS]
    known = all(beside.is_plain([word], question) or is_own(word, question) for word in after)
    if not (after and known and wording.FAMILY.isdisjoint(after) and relates_as_asked(after, question)):
        return False
    first = after[0]
    if first in doubts.FINITE:
        return len(own) > (2 if first in wording.PAST else 1)
    if first in wording.PREPOSITIONS:
        return len(own) > 0
    return first not in doubts.JOINING and (question.counts or after == [question.asked_for])


def relates_as_asked(words: list[str], question: Question) -> bool:
    """Whether the words beside an answer relate it to the rest as the question does.

    What inhibits A is not what "A inhibits B" names: the words stand in the question's order, or turned round with
    an active verb made passive.
    """
    *_, last = " ".join(words).strip(" ,").split(" , ")
    said = last.split()
    own = [place for word in said if (place := _place(word, question)) is not None]
    turned = len(own) > 1 and own[0] > own[-1]
    return turned == (len(own) > 1 and _is_passive(said) != _is_passive(question.asking.split()))


def _place(word: str, question: Question) -> int | None:
    """Where a word of content, in any of its forms, stands in the question."""
    kind = word == question.asked_for and not word.endswith("s")  # "which kinase", but not "what causes"
    bears = not kind and (word not in wording.PLAIN or word.startswith(("lead", "cause")))
    return question.places.get(stem(word)) if bears else None


def _is_passive(words: list[str]) -> bool:
    return any(
        after in ("by", "from") and word.endswith(("ed", "s", "t", "n")) for word, after in pairwise(words)
    )
