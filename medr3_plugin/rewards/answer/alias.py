"""Verifier of names: diagnoses, drugs, factoids with a list of accepted aliases."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Protocol

from medr3_plugin.judge.base import PARTLY, RIGHT, WRONG, Verdict
from medr3_plugin.rewards.answer.doubt import (
    ALTERNATIVE,
    HEDGE,
    REFUSAL,
    mentions,
    starts_negated,
)
from medr3_plugin.rewards.answer.partial import QUALIFIERS, relation
from medr3_plugin.rewards.answer.statement import core
from medr3_plugin.text import abbreviated, compact, fold, has_cjk, listed, plain

SOURCE = "rule:alias"
_MAX_PARTS = 24  # no name has that many commas
_MAX_ASIDES = 3
_MAX_WORDS = 12  # an answer of more words is prose: only the exact forms below decide

_STRONG = re.compile(
    r"\s*(?:[;\n/|；]|(?:^|\s)(?:or|and/or|versus|vs\.?|oder|ou|eller|или)\s|或者|或是|还是|或|、|\d+[.)]\s)\s*",
    re.I,
)
_WEAK = re.compile(r"\s*(?:[,，+&]|(?:^|\s)(?:and|plus|und|et|y)\s|以及|和|及|与)\s*", re.I)
_PARENTHESES = re.compile(r"\s*[(（\[]([^()（）\[\]]{1,120})[)）\]]")
_PEOPLE = re.compile(r"(?<![-\w])((?:Mc|Mac)?[A-Z][a-z]{3,})[-–]((?:Mc|Mac)?[A-Z][a-z]{3,})(?![-\w])")
# a sentence, not an item of a list
_SENTENCE_BELOW = re.compile(
    r"\n[\"'(“]?[A-Z](?=[^\n]*\b(?:is|are|was|were|has|have|this|these|match|fit|explain|support)(?:s|es)?\b)"
    r"(?:[^\n]*? ){3}"
)
_ORIGIN = re.compile(r",?\s+(?:due to|caused by|secondary to|resulting from)\s+|,?\s*由", re.I)
_SAME = (
    r"(?:(?:also|formerly|previously|otherwise|commonly) (?:known|called|named|termed)(?: as)?|aka|a\.k\.a\.?|i\.e\.?|"
    r"abbreviated(?: as)?|synonyms?|又称|又名|也称)"
)
_SAME_AS = re.compile(rf"^(?:{_SAME}|also|formerly|previously|or|即|=)[,:：]?\s*", re.I)
_BETWEEN_SAME = re.compile(rf"\s*[,，;:]?\s*(?<![\w]){_SAME}[,:：]?\s+|\s*[,，]?\s*(?:又称|又名|也称)", re.I)
# an aside that only files the name
_FILED_UNDER = re.compile(
    r"\s*[(\[]#?(?:O?MIM|ORPHA(?:NET)?|MONDO|DOID|HP|MeSH|ICD(?:-?1[01])?(?:-CM)?)\b[^()\[\]]{0,20}[)\]]",
    re.I,
)
# behind a symbol these words say nothing new: "the BRCA1 gene"
_PRODUCT = re.compile(r"(?<=[A-Z0-9]) (?:gene|protein)s?$")
_FUNCTION_WORDS = frozenset(
    listed("without not no of to from by in on than before after versus due because cause causing for and or")
)
# upper-case abbreviations whose lower-case form is an everyday word
_CODE = re.compile(r"[A-Z][A-Z0-9-]{1,7}")
_EVERYDAY = frozenset(
    listed("all aids as is it he or and are was may can pad map sad hit cat net not has had the pain")
)


class Names(Hashable, Protocol):
    """What the verifier needs of a vocabulary (`knowledge.vocabulary.Vocabulary` has it)."""

    def normalise(self, text: str) -> str:
        """Canonical name of what `text` names; some normal form of `text` if it is unknown."""
        ...


class Accepted:
    """The accepted names of one question, in every spelling that counts as the same."""

    def __init__(self, answers: Sequence[str], vocabulary: Names | None = None) -> None:
        self.names = tuple(name for answer in answers for name in _spelled(_PRODUCT.sub("", plain(answer))))
        self.keys = frozenset(fold(name) for name in self.names) - {""}
        self._compact = frozenset(compact(key) for key in self.keys)
        self._bags = frozenset(bag for name in self.names if (bag := _bag(name)))
        self._inverted = any("," in name for name in self.names)
        self._shouted = frozenset(
            fold(name) for name in self.names if name.isupper() and name.casefold() in _EVERYDAY
        )
        self._vocabulary = vocabulary
        self._canonical = (
            frozenset(vocabulary.normalise(name) for name in self.names) if vocabulary else frozenset()
        )

    def holds(self, name: str) -> bool:
        """Whether `name`, as a whole, is an accepted name."""
        name = _PRODUCT.sub("", name)
        key = fold(name)
        if not key or (key in self._shouted and not name.strip().isupper()) or self.is_other_code(name):
            return False
        if key in self.keys or compact(key) in self._compact:
            return True
        if (self._inverted or "," in name) and _bag(name) in self._bags:
            return True
        return self._vocabulary is not None and self._vocabulary.normalise(name) in self._canonical

    def is_other_code(self, name: str) -> bool:
        """Whether `name` and an accepted name are codes that differ in an S that looks like a plural."""
        key = fold(name)
        codes = {code.replace("-", "") for code in self.names if _CODE.fullmatch(code) and fold(code) == key}
        return bool(codes) and _CODE.fullmatch(name) is not None and name.replace("-", "") not in codes

    def is_short_for(self, short: str) -> bool:
        """Whether `short` is the initials of an accepted name ("SLE" for systemic lupus erythematosus)."""
        return any(_is_acronym(short, name) for name in self.names)


def is_accepted(texts: Sequence[str], answers: Sequence[str], vocabulary: Names | None = None) -> bool:
    """Whether one of `texts` is an accepted name and nothing else."""
    accepted = _accepted(tuple(answers), vocabulary)
    return any(_is_name(text, accepted) for text in texts)


def verify_alias(
    said: Sequence[str], answers: Sequence[str], vocabulary: Names | None = None
) -> Verdict | None:
    """Verdict on the readings of an answer against accepted names; None if no rule can tell.

    Args:
        said: see `answer_statement.readings`.
        answers: accepted names.
        vocabulary: further synonyms.

    >>> gold = ["Ehlers-Danlos syndrome, classic type, 1"]
    >>> def level(text):
    ...     return verify_alias([text], gold).level
    >>> level("classic Ehlers–Danlos syndrome type 1"), level("Ehlers-Danlos syndrome")
    (2, 1)
    >>> level("Ehlers-Danlos syndrome, classic type, 1 or Marfan syndrome")
    0
    """
    accepted = _accepted(tuple(answers), vocabulary)
    text = said[-1]
    if is_accepted(said, answers, vocabulary):
        return Verdict(RIGHT, "the answer is an accepted name", SOURCE)
    claim = core(text)
    if is_accepted([core(one) for one in said], answers, vocabulary):
        return Verdict(RIGHT, "the answer is an accepted name with a reason", SOURCE)
    return _several(claim, accepted) or _doubtful(text, claim, accepted) or _related(claim, accepted)


@lru_cache(maxsize=4096)
def _accepted(answers: tuple[str, ...], vocabulary: Names | None) -> Accepted:
    return Accepted(answers, vocabulary)


def _is_name(text: str, accepted: Accepted) -> bool:
    """An accepted name, alone or with its abbreviation, another accepted name or its code in a database."""
    text = _FILED_UNDER.sub("", text)
    if accepted.holds(text):
        return True
    asides = _PARENTHESES.findall(text)
    names = _BETWEEN_SAME.split(" ".join(_PARENTHESES.sub(" ", text).split()))
    if not 1 < len(names) + len(asides) <= _MAX_ASIDES + 1:
        return False
    names += [_SAME_AS.sub("", aside) for aside in asides]
    held = [accepted.holds(name) for name in names]
    return any(held) and all(
        known or accepted.is_short_for(name) for known, name in zip(held, names, strict=True)
    )


def _several(claim: str, accepted: Accepted) -> Verdict | None:
    """Lists: right if every part is an accepted name, wrong if an accepted name stands beside another."""
    for separator, certain in ((_STRONG, True), (_WEAK, False)):
        parts = [part.strip(" .()（）-*•") for part in separator.split(claim)]
        parts = [_SAME_AS.sub("", part) for part in parts if part]
        if len(parts) < 2:
            continue
        if len(parts) > _MAX_PARTS:
            return Verdict(WRONG, f"a list of {len(parts)} parts", SOURCE)
        names = [_is_name(part, accepted) or accepted.is_short_for(part) for part in parts]
        if all(names):
            return Verdict(RIGHT, "accepted names of the same thing", SOURCE)
        # a sentence on a line of its own explains, or not: a rule cannot tell
        if any(names) and (certain or _all_names(parts)) and not _SENTENCE_BELOW.search(claim):
            return Verdict(WRONG, "several answers", SOURCE)
    return None


def _all_names(parts: list[str]) -> bool:
    """Whether each part could stand as an answer of its own rather than qualify the part before."""
    qualifiers = re.compile(
        r"(?:type|form|variant|subtype|onset|stage|grade|phase|linked|dominant|recessive)\b|型|期", re.I
    )
    return not any(qualifiers.search(part) or fold(part).isdigit() for part in parts)


def _doubtful(text: str, claim: str, accepted: Accepted) -> Verdict | None:
    """Answers that name an accepted name without committing to it."""
    asserted = negated = False
    for key in accepted.keys:
        said, denied = mentions(text, key)
        asserted, negated = asserted or said, negated or denied
    gold_words = " ".join(accepted.names)
    short = len(fold(claim).split()) <= _MAX_WORDS or has_cjk(claim)
    if negated and not asserted:
        return Verdict(WRONG, "the accepted name is negated", SOURCE)
    if REFUSAL.search(claim) and not REFUSAL.search(gold_words):
        return Verdict(WRONG, "declined to answer", SOURCE) if short or asserted else None
    for cue, reason in ((ALTERNATIVE, "several answers"), (HEDGE, "hedged")):
        if cue.search(claim) and not cue.search(gold_words) and (short or asserted):
            return Verdict(WRONG, reason, SOURCE)
    if short and starts_negated(claim) and not any(starts_negated(name) for name in accepted.names):
        return Verdict(WRONG, "only says what it is not", SOURCE)
    return None


def _related(claim: str, accepted: Accepted) -> Verdict | None:
    found = {relation(claim, name) for name in accepted.names}
    if "same" in found and not accepted.is_other_code(claim):
        return Verdict(RIGHT, "an accepted name, its qualifiers in another order", SOURCE)
    if "broader" in found:
        return Verdict(PARTLY, "a broader name of the same thing", SOURCE)
    if "narrower" in found:
        return Verdict(PARTLY, "a narrower name than is supported", SOURCE)
    origin = _ORIGIN.search(claim)
    if origin and accepted.holds(claim[: origin.start()]):
        return Verdict(PARTLY, "adds a cause that the accepted name does not have", SOURCE)
    if found == {"sibling"}:
        return Verdict(WRONG, "another subtype", SOURCE)
    return None


def _spelled(name: str) -> list[str]:
    """`name` and its sure variants.

    For "long name (ABC)" the two apart, if the second abbreviates the first; for "Weill-Marchesani syndrome"
    the other order of the two people; for "Escherichia coli" the short form.
    """
    names = [name]
    asides = _PARENTHESES.findall(name)
    if len(asides) == 1:
        base = " ".join(_PARENTHESES.sub(" ", name).split())
        names += [base, asides[0]] if _is_acronym(asides[0], base) else []
    if len(_PEOPLE.findall(name)) == 1:
        names.append(_PEOPLE.sub(r"\2-\1", name))
    return [*names, short] if (short := abbreviated(name)) else names


def _is_acronym(short: str, name: str) -> bool:
    """Whether `short` is made of the first letters of the words of `name` ("SLE"), a plural s aside."""
    letters = re.sub(r"[^A-Za-z]", "", short.strip())
    if letters.endswith("s") and letters[:-1].isupper():
        letters = letters[:-1]
    if not 2 <= len(letters) <= 8 or not letters.isupper() or len(short.strip()) > 10:
        return False
    words = re.findall(r"[^\W\d_]+", name)
    initials = "".join(word[0] for word in words)
    content = "".join(
        word[0] for word in words if word.casefold() not in ("of", "the", "and", "with", "in", "a")
    )
    return letters.casefold() in (initials.casefold(), content.casefold())


@lru_cache(maxsize=8192)
def _bag(name: str) -> tuple[str, ...] | None:
    """Key of a name whose qualifiers may stand in any order ("Syndrome, X"): its words, sorted.

    None where order carries meaning (prepositions, "without", a list of phrases) or the name is long.
    """
    parts = name.split(",")
    if len(parts) > 2 and all(len(part.split()) > 1 for part in parts):
        return None
    words = [word for word in fold(name).split() if word != "type"]
    if not 1 < len(words) <= 16 or not _FUNCTION_WORDS.isdisjoint(words):
        return None
    if sum(word.isdigit() for word in words) > 1:  # each number stays with its word: "GM1, type 2"
        words = [word for word in fold(name).split() if word not in QUALIFIERS]
        words = [f"{words[i - 1]} {word}" if i and word.isdigit() else word for i, word in enumerate(words)]
        words += QUALIFIERS.intersection(fold(name).split())
    return tuple(sorted(words))
