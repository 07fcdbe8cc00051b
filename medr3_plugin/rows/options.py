"""Options of a choice question, and the letters and numbers that name one of them."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase as LETTERS  # noqa: N812 (a constant here)
from typing import Any

from medr3_plugin.errors import RowError, shown
from medr3_plugin.rows.values import clean, is_empty, is_missing, number_as_text, plain, whole_number
from medr3_plugin.text import bare_words, name_key

OPTIONS = ("options", "option", "choices")
"""Names under which a row may have its options."""
LABELS = ("answer_idx", "label", "correct", "correct_option", "answer_letter", "answerkey", "answerKey")
"""Names under which a row may have the letter of its right option, or the number that counts it."""
_LINE = re.compile(r"\(?([A-Z])(?:[.):、）：]\s*|\s+)(\S.*)")
"""A line of a text that lists options."""
_LISTED = re.compile(r"\s*\(?([A-Za-z])[.):、．）：]\s*(\S.*)")
"""A line of a question that gives an option."""
_IN_LINE = re.compile(r"(?<!\S)\(?[Aa][.):、．）：]\s*\S.*?\s\(?[Bb][.):、．）：]\s*\S", re.DOTALL)
"""Options that stand in a running text."""
_MARK = r"\.|[)）\]】][.．:：、]?|[．。:：、]"
_LABEL = re.compile(
    rf"(?:(?:option|choice|选项) ?)?[(（\[【]?(?:([^\W\d]{{1,4}})({_MARK}| [-–—](?= ))|(\d\d?)(?:{_MARK})(?!\d))"
    r"(?![(（\[【][^\W_][)）\]】]) ?(\S.*)",
    re.DOTALL | re.IGNORECASE,
)
"""An option's text behind its letter or number: "A. ", "(A) ", "A．", "【A】", "a) ", "A - ", "Option A: ", "1. ".

1.5 mg, 1、2 (two statements), 1 - 2 weeks and (A)(B) have none.
"""
_CALLED = re.compile(r"(?:option|choice|answer|选项|答案)(?: |: ?)?([A-Z])", re.IGNORECASE)
"""A letter that is called one, "Option C"."""


def option_text(answer: str, options: Mapping[str, str]) -> str:
    """The option's text where `answer` is that behind the option's letter; else `answer`.

    >>> options = {"A": "Gout", "B": "Sepsis"}
    >>> [option_text(answer, options) for answer in ("B. Sepsis", "(2) sepsis", "A. Sepsis", "B. cereus")]
    ['Sepsis', 'Sepsis', 'A. Sepsis', 'B. cereus']
    """
    own = _same(answer)
    for letter, text in options.items():
        if own == _same(f"{letter} {text}") or (
            (found := labelled(answer, letter)) and _same(found[1]) == _same(text)
        ):
            return text
    return answer


def _same(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def options_of(value: Any, place: str) -> dict[str, str] | None:
    """Options in any of the usual shapes -> letter -> text; None where there are none.

    A mapping letter -> text, a list of texts, a list of objects (`key`/`value`, `letter`/`content`, `label`/`text`),
    `{"label": [...], "text": [...]}`, or one of these as JSON. A letter is given by place before anything is left
    out. Left out are null and, at the end, empty texts: four options in a table of five columns.

    Raises:
        RowError: another shape, an empty option, or fewer than two options.

    >>> options_of(["None", "One", "Two"], "x"), options_of({"A": "yes", "B": "no", "C": None}, "x")
    ({'A': 'None', 'B': 'One', 'C': 'Two'}, {'A': 'yes', 'B': 'no'})
    >>> options_of(["A. Gout", "B. Sepsis"], "x"), options_of(["A beta", "B cell"], "x")
    ({'A': 'Gout', 'B': 'Sepsis'}, {'A': 'A beta', 'B': 'B cell'})
    """
    value = plain(value)
    if isinstance(value, str) and value.strip():
        value = _written(value, place)
    if is_empty(value):
        return None
    pairs = list(_pairs(value))
    while pairs and (is_missing(pairs[-1][1]) or pairs[-1][1] == ""):
        pairs.pop()
    if not isinstance(value, Mapping | list) or not (2 <= len(pairs) <= len(LETTERS)):
        raise RowError(
            f"{place}: expected 2 to {len(LETTERS)} options: an object letter -> text, or a list; got {shown(value)}"
        )
    options: dict[str, str] = {}
    for letter, given in pairs:
        if is_missing(given) and isinstance(value, Mapping):  # a merged column of other rows
            continue
        text = number_as_text(given)
        if not isinstance(text, str) or not text.strip():
            raise RowError(f"{place.removesuffix(chr(39))}.{letter}': expected a string, got {shown(text)}")
        if letter in options:
            raise RowError(f"{place}: the letter {letter} appears twice")
        options[letter] = clean(text)
    if len(options) < 2:
        raise RowError(f"{place}: expected 2 to {len(LETTERS)} options, got {shown(value)}")
    return _without_labels(options)


def _written(text: str, place: str) -> Any:
    """Options from JSON, Python's notation of it (pandas writes that into a csv), or lines that begin with A, B, …"""
    written = [line.strip() for line in text.strip().splitlines()]
    lines = [line for line in map(_LINE.fullmatch, written) if line]
    listed = {line[1]: line[2] for line in lines}
    if len(written) > 1 and list(listed) == list(LETTERS[: len(written)]):
        return listed
    if 1 < len(written) <= len(LETTERS) and all(map(labelled, written, LETTERS)):
        return written
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    raise RowError(
        f'{place}: expected options: JSON such as ["…", "…"], a line or a column for each; got {shown(text)}'
    )


def listed_options(question: str) -> tuple[str, dict[str, str]]:
    """A question and the options that it lists, a line each; no options if it lists none, or what only looks like some.

    The question is returned without them, unless something follows.

    >>> listed_options("Which is it?\\nA. Gout\\nB) Sepsis\\n")
    ('Which is it?', {'A': 'Gout', 'B': 'Sepsis'})
    >>> listed_options("Is it A. Gout or B. Sepsis?")
    ('Is it A. Gout or B. Sepsis?', {})
    """
    lines = question.rstrip().split("\n")
    options: dict[str, str] = {}
    start = end = 0
    for number, line in enumerate(lines):
        found = _LISTED.fullmatch(line)
        if found and found[1].upper() == "A":
            options, start = {}, number
        if found and found[1].upper() == "".join(LETTERS[len(options) : len(options) + 1]):
            options[found[1].upper()] = clean(found[2])
            end = number + 1
    between = any(line.strip() and not _LISTED.fullmatch(line) for line in lines[start:end])
    rest = "\n".join(lines[end:])
    if len(options) < 2 or between or lists_in_line(rest):
        return question, {}
    return question if rest else "\n".join(lines[:start]).rstrip(), options


def lists_in_line(text: str) -> bool:
    """Whether a text seems to list options, in lines or not."""
    return _IN_LINE.search(text) is not None


def option_columns(row: Mapping[str, Any]) -> list[Any] | None:
    """Options that have a column each, `A`, `B`, … or `option_a`, … in any case; None if there are none."""
    columns = {key.lower(): value for key, value in row.items() if len(key) <= len("option_a")}
    for form in ("{}", "option_{}"):
        named = [columns.get(form.format(letter.lower())) for letter in LETTERS]
        last = next((i for i, value in enumerate(named) if value is None), len(named))
        if last >= 2:
            return named[:last]
    return None


def numbered_option(value: Any, options: Mapping[str, str], place: str) -> str | None:
    """The letter of the option that a number counts from 0: 2, 2.0 (a column with nulls) or "2" (a csv).

    Returns:
        None if `value` is no whole number, or is itself an option's name (options named 1, 2, …).

    Raises:
        RowError: there is no such option, or a text is also that of another option.
    """
    number = whole_number(value)
    if number is None:
        return None
    if str(number) in options:
        return str(number)
    # counted over the letters, not over what is there: an option that is null keeps its place
    letters = LETTERS if options.keys() <= set(LETTERS) else sorted(options)
    if not 0 <= number < len(letters) or letters[number] not in options:
        raise RowError(
            f"{place}: answer index {number} names none of the options {', '.join(sorted(options))}, counted from 0"
        )
    text = str(value).strip()
    same = [letter for letter, option in options.items() if name_key(option) == name_key(text)]
    if isinstance(value, str) and same and same != [letters[number]]:
        raise RowError(
            f"{place}: {text!r} is option {same[0]}, and counted from 0 it is option {letters[number]}: give the letter"
        )
    return letters[number]


def right_letter(options: Mapping[str, str], label: object, text: object = None) -> str:
    """The letter of the right option, from a label (a letter or an option's text) and the answer's text.

    Raises:
        RowError: the label names no option, or label and text name different ones.
    """
    label, text = clean(label), clean(text)
    named = letter_of(option_text(label or text, options))
    if label and named in options:
        # the text beside a letter may be worded freely; it only must not be another option's own text
        stated = letters_by_text(options, option_text(text, options)) or {letter_of(text)} & options.keys()
        if stated and named not in stated:
            raise RowError(f"label {label!r} and answer text {text!r} name different options")
        return named
    found = named_options(options, label, text)
    if len(found) == 1:
        return found.pop()
    answer = label or text
    if not found:
        several = named and options.keys() >= set(named)
        together = "; only one option can be right, or each of a list by itself" if several else ""
        raise RowError(f"answer {answer!r} names none of the options {', '.join(options)}{together}")
    raise RowError(
        f"answer {answer!r} fits the options {', '.join(sorted(found))}; give the letter as 'answer_idx'"
    )


def named_options(options: Mapping[str, str], *names: str) -> set[str]:
    """Letters of the options that any of the names is the text of; the first that is not empty may be a letter."""
    names = tuple(option_text(name, options) for name in names if name)
    found = {letter for name in names for letter in letters_by_text(options, name)}
    return found | ({letter_of(names[0])} & options.keys() if names else set())


def letters_by_text(options: Mapping[str, str], text: str) -> list[str]:
    """Letters of the options with this text; signs ("< 5", "> 5") are ignored only if nothing matches."""
    if not text:
        return []
    exact = [letter for letter, option in options.items() if option.casefold() == text.casefold()]
    return exact or [
        letter
        for letter, option in options.items()
        if bare_words(option) and bare_words(option) == bare_words(text)
    ]


def _without_labels(options: dict[str, str]) -> dict[str, str]:
    """Options that all begin with their own letters or numbers ("A. Gout", "(B) Sepsis") without these.

    One without its own shows that the others' are words: "A: T" and "G: C", vitamin "B" and "B cells".
    """
    read = {letter: labelled(text, letter) for letter, text in options.items()}
    texts = {letter: found[1] for letter, found in read.items() if found}
    if len(texts) < len(options):
        return options
    abbreviated = all(found and found[0] == "." for found in read.values())
    species = abbreviated and all(text.isalpha() and text.islower() for text in texts.values())
    return options if species else texts  # "A. baumannii", "B. cereus"


def labelled(text: str, letter: str) -> tuple[str, str] | None:
    """The mark behind an option's letter, or the number of its place, and the text; None without such a label.

    >>> [labelled(text, "B") for text in ("（B）贫血", "b) Gout", "B. Gout", "B cell", "B-cell", "2.5 mg", "C. Gout")]
    [('）', '贫血'), (')', 'Gout'), ('.', 'Gout'), None, None, None, None]
    """
    found = _LABEL.fullmatch(text)
    if not found:
        return None
    label = unicodedata.normalize("NFKC", found[1] or found[3]).upper()
    return (found[2] or "", found[4]) if label in _labels(letter) else None


def _labels(letter: str) -> tuple[str, ...]:
    """What an option may be called: by its letter, or by the number of its place."""
    return (letter, str(LETTERS.index(letter) + 1)) if len(letter) == 1 and letter in LETTERS else (letter,)


def _pairs(value: Any) -> Iterable[tuple[str, Any]]:
    columns = [value.get(key) for key in ("label", "text")] if isinstance(value, Mapping) else [None]
    if all(isinstance(column, list | tuple) for column in columns):  # ARC's column-wise shape
        value = [
            {"label": label, "text": text} for label, text in zip(value["label"], value["text"], strict=False)
        ]
    if isinstance(value, Mapping):
        yield from ((letter_of(name), text) for name, text in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, entry in enumerate(value):
            letter = LETTERS[number] if number < len(LETTERS) else str(number + 1)
            if isinstance(entry, Mapping):
                name = entry.get("key", entry.get("letter", entry.get("label", letter)))
                yield letter_of(name), entry.get("value", entry.get("content", entry.get("text")))
            else:
                yield letter, entry


def letter_of(name: Any) -> str:
    """An option's letter without the marks around it, in upper case: B of "( b )", "**B**" and "Option B"."""
    letter = unicodedata.normalize("NFKC", str(name)).strip(" \t\r\n()[]{}.:、\"'*_").upper()
    called = _CALLED.fullmatch(letter)
    return called[1].upper() if called else letter
