"""One question as every loader yields it, before it becomes a training row."""

from __future__ import annotations

import hashlib
import html
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medr3_plugin.errors import RowError
from medr3_plugin.records import Reference
from medr3_plugin.rows import options as choices
from medr3_plugin.text import bare_words

LETTERS = string.ascii_uppercase


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its accepted answers.

    Attributes:
        id: stable over runs and machines: the source's own id, else a hash of question and options.
        answers: accepted answers, the preferred one first; for choice questions the text of the right option.
        options: letter -> text of a choice question, else None.
        gold_docs: ids of documents known to hold the answer.
        split: `train`, `dev` or `test`.
    """

    id: str
    dataset: str
    question: str
    answers: tuple[str, ...]
    options: Mapping[str, str] | None = None
    gold_docs: tuple[str, ...] = ()
    split: str = "train"
    references: tuple[Reference, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two items the same: the folded question, and the options in any order."""
        return bare_words(self.question), *sorted(text.casefold() for text in (self.options or {}).values())


def clean(text: object) -> str:
    """Text with HTML entities resolved and white space collapsed; "" for None and for NaN, pandas' null."""
    return "" if text is None or text != text else " ".join(html.unescape(str(text)).split())  # noqa: PLR0124


def stable_id(dataset: str, own: object, question: str, options: Mapping[str, str] | None = None) -> str:
    """`<dataset>:<own id>`, or a hash of the content for sources without ids (never the row's position)."""
    if clean(own):
        text = str(own).strip()
        return text if text.startswith(f"{dataset}:") else f"{dataset}:{text}"
    content = "\n".join([question, *(f"{letter}={text}" for letter, text in sorted((options or {}).items()))])
    return f"{dataset}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def require(row: Mapping[str, object], *keys: str) -> str:
    """The cleaned text of the first of `keys` that the row has with content.

    Raises:
        RowError: none of them has one, or it is not a string.
    """
    for key in keys:
        if isinstance(row.get(key), Mapping | list):
            raise RowError(f"key {key!r} must be a text")
        if text := clean(row.get(key)):
            return text
    raise RowError(f"key {' or '.join(map(repr, keys))} is missing or empty{has(row)}")


def has(row: Mapping[str, object]) -> str:
    """What a row has instead of the missing key, to be appended to a message."""
    if "_columns" in row:
        return "; the file's first line does not name its columns"
    names = [name for name in row if not name.startswith("_")]
    return f"; the row has {', '.join(names[:12])}{', …' * (len(names) > 12)}" if names else ""


def options_of(value: object) -> dict[str, str]:
    """The options of a choice question, see `rows.options.options_of`, with their texts cleaned.

    Raises:
        RowError: another shape, an empty option, or fewer than two.
    """
    options = choices.options_of(value, "key 'options'")
    if options is None:
        raise RowError("key 'options': expected two options or more, an object letter -> text, or a list")
    return {letter: clean(text) for letter, text in options.items()}


def right_letter(options: Mapping[str, str], label: object, text: object = None) -> str:
    """The letter of the right option, from a label (a letter or an option's text) and the answer's text.

    Raises:
        RowError: the label names no option, or label and text name different ones.
    """
    label, text = (choices.option_text(clean(value), options) for value in (label, text))
    named = re.sub(r"[().:、：（）．\s]", "", clean(label) or clean(text)).upper()
    if clean(label) and named in options:
        # the text beside a letter may be worded freely; it only must not be another option's own text
        stated = letters_by_text(options, clean(text)) or {clean(text).strip("() .").upper()} & options.keys()
        if stated and named not in stated:
            raise RowError(f"label {label!r} and answer text {text!r} name different options")
        return named
    found = {letter for value in (label, text) for letter in letters_by_text(options, clean(value))}
    found |= {named} & options.keys()
    if len(found) == 1:
        return found.pop()
    answer = clean(label) or clean(text)
    if not found:
        several = named and options.keys() >= set(named)
        together = "; only one option can be right, or each of a list by itself" if several else ""
        raise RowError(f"answer {answer!r} names none of the options {', '.join(options)}{together}")
    raise RowError(
        f"answer {answer!r} fits the options {', '.join(sorted(found))}; give the letter as 'answer_idx'"
    )


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


def choice_item(
    dataset: str,
    *,
    own_id: object,
    question: str,
    options: Mapping[str, str],
    letter: str | Sequence[str],
    gold_docs: Sequence[str] = (),
    split: str = "train",
) -> Item:
    """An item of a choice question; `letter`: the right option, or several of which each is."""
    return Item(
        id=stable_id(dataset, own_id, question, options),
        dataset=dataset,
        question=question,
        answers=tuple(options[one] for one in letter),
        options=dict(options),
        gold_docs=tuple(gold_docs),
        split=split,
    )
