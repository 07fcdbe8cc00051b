"""What an answer to one question may name: lettered options, yes/no/maybe, or the accepted names.

Every candidate is a label: an option's letter, `yes`, `no` or `maybe`, or `accepted` in an open question.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

from medr3_plugin.text import (
    abbreviated,
    has_cjk,
    listed,
    name_key,
    plain,
    scan,
    without_the,
    word_keys,
    write,
)

ACCEPTED = "accepted"
YES_NO = {
    "yes": listed("yes true 是 是的 对 正确 有 能 会 可以"),
    "no": listed("no false 否 不 不是 不对 错误 没有 不能 不会 不可以"),
    "maybe": listed("maybe perhaps possibly 可能 也许 不一定 不确定"),
}
# accepted answers that make a question a yes/no question; "correct" may be the name of something
_GOLD_WORDS = listed("yes no maybe true false 是 否 可能")
_ASIDE = re.compile(r"\s*\(([^()]{1,120})\)")
_PRODUCT = re.compile(r"(?<=[A-Z0-9]) (?:gene|protein)s?$")  # behind a symbol these words say nothing new
_SYMBOL = re.compile(r"(?=.*[A-Z])[A-Z0-9-]{2,10}")
_INDEX_NUMBER = re.compile(r"(?:type )?(?:\d+[A-Za-z]?|[IVX]+)")
_ALTERNATIVES = re.compile(r"\b(?:or|versus|vs|either)\b|还是|或")
_SENTENCE_END = re.compile(r"(?<=[.?!]) |\n|(?<=[。？])")
_ENDING, _MIN_STEM = re.compile(r"(?:ment|ing|ed|es|s|e)$"), 4
_MIN_ASKED_WORDS, _MIN_ASKED_CJK = 4, 8
# "All of the following are seen except", "Which one is not true?": the sentence that asks turns round what is asked for
_ASKS = re.compile(r"\bof the following\b|\bexcept\b(?! for)|[?:_？：]$|哪|下列|以下")
_ASKS_FOR_EXCEPTION = re.compile(
    r"\b(?:except(?! for)|not|(?<!at )least|false|incorrect|untrue|unlikely|never|cannot|lacks?|"
    r"contraindicated|exception)\b|n't\b|[不非错误]|除外"
)
_MIN_QUOTED = 3  # words
_JOINING = frozenset(listed("and or"))
_MAX_SHORT = 12  # letters of an abbreviation
_MAX_INVERTED = 4  # parts of an index entry: "Leukemia, myeloid, chronic" has three


class Names(Hashable, Protocol):
    """What the rules need of a vocabulary (`knowledge.vocabulary.Vocabulary` has it)."""

    def synonyms(self, name: str) -> Collection[str]:
        """Other names of exactly the thing that `name` names; empty if it is unknown or ambiguous."""
        ...


@dataclass(frozen=True)
class Question:
    """What the answers to one question are compared with.

    Attributes:
        labels: what may be answered, in order.
        right: the labels that are accepted.
        names: names of a label, as `text.name_key` gives them -> label.
        text: the question, in lower case; empty where it offers alternatives itself ("croup or epiglottitis?").
        asked: the sentences of the question that name no label, as keys.
        letters: whether the labels are option letters.
        verdicts: whether all labels stand for yes, no or maybe.
        negative: whether the question asks for an exception ("All are true except").
        inverted: the names that stand for an index entry ("Syndrome, X"): they hold no comma.
        codes: the accepted names that are one upper-case word.
        written: the accepted names of an open question as they are written.
    """

    labels: tuple[str, ...]
    right: frozenset[str]
    names: Mapping[str, str]
    text: str
    asked: frozenset[str]
    letters: bool = False
    verdicts: bool = False
    negative: bool = False
    inverted: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()

    @property
    def open(self) -> bool:
        """Whether nothing but the accepted names is known."""
        return self.labels == (ACCEPTED,)

    @cached_property
    def unsure(self) -> frozenset[str]:
        """The labels that say maybe."""
        return frozenset(
            label for label in self.labels if label == "maybe" or self.names.get("maybe") == label
        )

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of the question."""
        read = [token.raw for token in scan(self.text)]
        return frozenset(read + re.findall(r"[^\W_]+", self.text) + re.findall(r"[^\W\d_]+|\d+", self.text))

    @cached_property
    def stems(self) -> frozenset[str]:
        """The words of the question without their endings."""
        return frozenset(stem(word) for word in self.words if len(word) > _MIN_STEM)

    def says(self, word: str) -> bool:
        """Whether a word, in any of its forms, stands in the question."""
        keys = word_keys(word)
        return word in self.words or stem(word) in self.stems or (bool(keys) and self.keys.issuperset(keys))

    @cached_property
    def asking_words(self) -> list[str]:
        """The words of the sentence that asks, in order."""
        return re.findall(r"[^\W\d_]+|\d+", _SENTENCE_END.split(self.text.strip())[-1])

    def in_order(self, words: Sequence[str]) -> bool:
        """Whether those of `words`, in any of their forms, that the sentence that asks holds stand in its order."""
        asked = [stem(word) for word in self.asking_words]
        places = [asked.index(stem(word)) for word in words if stem(word) in asked]
        return places == sorted(places)

    def quotes(self, words: Sequence[str]) -> bool:
        """Whether `words` stand together in the question, articles aside; a stroke stands for a mark there."""
        return f" {' '.join('|' if word in _JOINING else word for word in words)} " in self.phrases

    def lists(self, parts: Sequence[Sequence[str]]) -> bool:
        """Whether all `parts` are passages of the question, and too much for a qualifier of a name.

        That is three words, four in several parts, or what stands between marks there, if it is not just one word.
        """
        total, several = sum(map(len, parts)), len(parts) > 1
        items = [self.quotes(["|", *part, "|"]) for part in parts]
        return all(map(self.quotes, parts)) and (total >= _MIN_QUOTED + several or (total > 1 and all(items)))

    @cached_property
    def phrases(self) -> str:
        """The words of the question between blanks, without articles; a stroke for marks and "and"."""
        tokens = [token for token in scan(self.text) if token.raw not in ("a", "an", "the")]
        said = (
            "|" if token.kind in ("stop", "mark") or token.raw in _JOINING
            else "‐" if token.kind == "dash" else token.raw
            for token in tokens
        )  # fmt: skip
        return f" | {' '.join(said)} | ".replace("| |", "|")

    @property
    def counts(self) -> bool:
        """Whether all names are bare numbers."""
        return all(name.isdigit() for name in self.names)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The words of the question as keys: singular, in one spelling."""
        return frozenset(key for word in self.words for key in word_keys(word))

    @cached_property
    def by_start(self) -> Mapping[str, tuple[str, ...]]:
        """First character -> the names and asked sentences that begin with it, the longest first."""
        starts: dict[str, list[str]] = {}
        for name in sorted({*self.names, *self.asked}, key=len, reverse=True):
            starts.setdefault(name[0], []).append(name)
        return {start: tuple(names) for start, names in starts.items()}


def stem(word: str) -> str:
    """A word without the endings of verbs: "inhibits", "inhibited" and "inhibiting" are one.

    >>> {stem(word) for word in ("evaluates", "evaluated", "evaluate", "evaluating")}
    {'evaluat'}
    """
    if word.endswith("ncy"):
        return word[:-2] + "t"  # deficient
    return _ENDING.sub("", word) if len(word) > _MIN_STEM else word


def question_of(
    question: str, answers: Sequence[str], options: Mapping[str, Any] | None, vocabulary: Names | None
) -> Question:
    """The `Question` with these accepted answers; options of None (absent columns) do not count."""
    return _question_of(question, tuple(answers), tuple(_given(options).items()), vocabulary)


def is_outside(answers: Sequence[str], options: Mapping[str, Any] | None) -> bool:
    """Whether none of the accepted answers is one of the options that there are: no rule can decide then.

    >>> options = {"A": "Sepsis", "B": "Gout"}
    >>> [is_outside([answer], options) for answer in ("gout", "B", "Croup")], is_outside(["Croup"], None)
    ([False, False, True], False)
    """
    given = _given(options)
    return bool(given) and not _right_letters(given, answers)


def _given(options: Mapping[str, Any] | None) -> dict[str, str]:
    given = (options or {}).items()
    return {letter.strip().upper(): plain(str(text)) for letter, text in given if text is not None}


@lru_cache(maxsize=2048)
def _question_of(
    question: str, answers: tuple[str, ...], options: tuple[tuple[str, str], ...], vocabulary: Names | None
) -> Question:
    by_letter = dict(options)
    text = plain(question).casefold()
    text = "" if _ALTERNATIVES.search(text) else text
    if right := _right_letters(by_letter, answers):
        others = [name for name in answers if name.strip().upper() not in by_letter]
        names = _option_names(by_letter, right, others)
        verdicts = all(map(_verdict_word, by_letter.values()))
        asked = _asked(question, () if verdicts else names)
        negative = _asks_for_exception(question)
        labels = tuple(by_letter)
        return Question(labels, frozenset(right), names, text, asked, True, verdicts, negative)
    said = {_verdict_word(name) for name in answers}
    if len(said) == 1 and (label := said.pop()):
        asked = _asked(question)
        return Question(tuple(YES_NO), frozenset([label]), _MEANING, text, asked, verdicts=True)
    spelled = [name for answer in answers for name in _spelled(answer)]
    if vocabulary is not None:
        known = [name for answer in answers for name in vocabulary.synonyms(answer)]
        # "blue, methylene" says where an index lists methylene blue: "blue methylene" is no name
        said_as = {name_key(name) for name in (*answers, *known)}
        spelled += [name for name in known if name_key(natural_order(name)) not in said_as - {""}]
    keys = {key for name in spelled if (key := name_key(name))}
    inverted = {key for name in answers if (key := name_key(natural_order(name)))} - keys
    names = dict.fromkeys(keys | inverted, ACCEPTED)
    codes = frozenset(name for name in spelled if name.isalpha() and name.isupper())
    return Question(
        (ACCEPTED,),
        frozenset([ACCEPTED]),
        names,
        text,
        _asked(question, names),
        inverted=frozenset(inverted),
        codes=codes,
        written=frozenset(spelled),
    )


def _asks_for_exception(question: str) -> bool:
    *others, last = (part.strip() for part in _SENTENCE_END.split(plain(question).casefold().strip()))
    asking = [last, *filter(_ASKS.search, others)]
    return any(map(_ASKS_FOR_EXCEPTION.search, asking))


def _asked(question: str, names: Collection[str] = ()) -> frozenset[str]:
    """The sentences of a question as keys, but for short ones and those that hold one of `names`."""
    sentences = (part.strip(" .?:") for part in _SENTENCE_END.split(plain(question)))
    keys = {
        write(without_the(scan(part))).text
        for part in sentences
        if part.count(" ") >= _MIN_ASKED_WORDS - 1 or (has_cjk(part) and len(part) >= _MIN_ASKED_CJK)
    }
    return frozenset(key for key in keys if not any(name in key for name in names))


_MEANING = {name_key(word): label for label, words in YES_NO.items() for word in words}


def _verdict_word(name: str) -> str | None:
    """Yes, no or maybe if `name`, as an accepted answer or option, says that."""
    name = _spelling(name)
    return _MEANING[name_key(name)] if name in _GOLD_WORDS else None


def _right_letters(options: Mapping[str, str], answers: Sequence[str]) -> set[str]:
    """Letters of the accepted options: by text, else by normalised text, else by letter."""
    for key in (_spelling, name_key):
        gold = {key(answer) for answer in answers} - {""}
        if right := {letter for letter, text in options.items() if key(text) in gold}:
            return right
    return {answer.strip().upper() for answer in answers} & options.keys()


def _spelling(text: str) -> str:
    return plain(text).casefold().strip(" .")


def _option_names(
    options: Mapping[str, str], right: Collection[str], others: Sequence[str]
) -> dict[str, str]:
    """Names of the options. A key that two different texts share names neither of them."""
    spelled: dict[str, dict[str, str]] = {}
    own = set(map(name_key, options.values()))
    for letter, text in options.items():
        cased = text.capitalize() if text.isupper() else text.upper()  # "LUNGS" is the plural of no code
        of_species = abbreviated(text) or abbreviated(cased)
        others_of_it = (of_species, " and ".join(text.rsplit(",", 1)), *_spelled(text))
        # the text of an option names no other one
        for key in (name_key(text), name_key(cased), *(set(map(name_key, others_of_it)) - own)):
            spelled.setdefault(key, {}).setdefault(_spelling(text), letter)
        if word := _verdict_word(text):
            for name in YES_NO[word]:
                spelled.setdefault(name_key(name), {}).setdefault(_spelling(text), letter)
    names = {
        key: next(iter(by_text.values())) for key, by_text in spelled.items() if key and len(by_text) == 1
    }
    if len(right) == 1:
        for name in others:
            names.setdefault(name_key(name), next(iter(right)))
    names.pop("", None)
    return names


def _spelled(name: str) -> list[str]:
    """`name` and its sure variants: "long name (ABC)" apart if ABC abbreviates it; the short form of a species."""
    name = _PRODUCT.sub("", plain(name))
    asides = _ASIDE.findall(name)
    base = " ".join(_ASIDE.sub(" ", name).split())
    names = [name, abbreviated(name)]
    if len(asides) == 1 and abbreviates(asides[0], base):
        names += [base, asides[0]]
    if _SYMBOL.fullmatch(name):
        names += [f"{name} gene", f"{name} protein"]
    return [spelled for spelled in names if spelled]


def abbreviates(short: str, name: str) -> bool:
    """Whether `short` is made of the first letters of all words of `name`, and of letters that follow these.

    >>> [abbreviates(short, "nonmetastatic prostate cancer") for short in ("nmPC", "NPC", "PC", "NPX")]
    [True, True, False, False]
    """
    short = name_key(short)
    ends = {0} if len(short) <= _MAX_SHORT else set()
    words = re.findall(r"[^\W\d_]+|\d+", name.casefold())
    for word in words:
        starts, ends = ends, set()
        for start in starts:
            end = start
            for letter in word:
                if short.startswith(letter, end):
                    end += 1
                    ends.add(end)
                elif end == start:
                    break
    return len(words) > 1 and len(short) in ends


def natural_order(name: str) -> str:
    """An index entry as one says it; empty for any other name.

    >>> natural_order("Leukemia, myeloid, chronic"), natural_order("Immunodeficiency, common variable, 13")
    ('chronic myeloid Leukemia', 'common variable Immunodeficiency 13')
    """
    parts = [part.strip() for part in plain(name).split(",")]
    if not 1 < len(parts) <= _MAX_INVERTED or not all(parts):
        return ""
    last = [parts.pop()] if len(parts) > 2 and _INDEX_NUMBER.fullmatch(parts[-1]) else []
    return " ".join([*reversed(parts), *last])
