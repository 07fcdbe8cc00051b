"""One question as every loader yields it, before it becomes a training row."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medr3_plugin.errors import RowError
from medr3_plugin.records import Reference
from medr3_plugin.rows import options as choices
from medr3_plugin.rows.values import clean, has
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


def options_of(value: object) -> dict[str, str]:
    """The options of a choice question, see `rows.options.options_of`.

    Raises:
        RowError: another shape, an empty option, or fewer than two.
    """
    options = choices.options_of(value, "key 'options'")
    if options is None:
        raise RowError("key 'options': expected two options or more, an object letter -> text, or a list")
    return options


def choice_item(
    dataset: str,
    own_id: object,
    question: str,
    options: Mapping[str, str],
    letter: str | Sequence[str],
    *,
    gold_docs: Sequence[str] = (),
    split: str = "train",
    references: tuple[Reference, ...] = (),
) -> Item:
    """An item of a choice question; `letter`: the right option, or several of which each is."""
    return Item(
        id=stable_id(dataset, own_id, question, options),
        dataset=dataset,
        question=question,
        answers=tuple(dict.fromkeys(options[one] for one in letter)),
        options=dict(options),
        gold_docs=tuple(gold_docs),
        split=split,
        references=references,
    )
