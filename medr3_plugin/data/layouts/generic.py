"""The generic layout: `question` and `answer` (or `answers`), and what else a row may know.

    {"id": "1", "question": "…", "options": {"A": "…", "B": "…"}, "answer_idx": "B"}
    {"id": "2", "question": "…", "answers": ["Marfan syndrome", "MFS"], "gold_docs": ["hpoa:OMIM:154700"]}

Also accepted: `options` or `choices` as a list, `answer` as a letter, `label`/`correct` for the letter,
`answer_aliases`, `answer` as a list of accepted answers (or of synonym lists), `split`, `dataset`. A number as
`answer` is the option with this text if there is one, else an index from 0, as a number as `label` always is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medr3_plugin.data.questions.items import (
    LETTERS,
    Item,
    choice_item,
    clean,
    letters_by_text,
    options_of,
    require,
    right_letter,
    stable_id,
)
from medr3_plugin.data.questions.reading import RawRow, split_name
from medr3_plugin.errors import RowError

_LETTER_KEYS = ("answer_idx", "label", "correct", "correct_option", "answer_letter")


def parser(dataset: str) -> Callable[[Sequence[RawRow]], Callable[[RawRow], Item]]:
    """The layout as `dataset`; a row's own key `dataset` wins for `generic`."""
    return lambda _: lambda row: item(dataset, row)


def fits(data: Mapping[str, Any]) -> bool:
    """Whether a row is in the generic layout."""
    return "question" in data and (
        "answers" in data or "answer" in data or any(key in data for key in _LETTER_KEYS)
    )


def item(dataset: str, row: RawRow) -> Item:
    """The item of a row in the generic layout.

    Raises:
        RowError: question or answer is missing, or the answer is none of the options.
    """
    data = row.data
    question = require(data, "question")
    if dataset == "generic":
        dataset = clean(data.get("dataset")) or dataset
    own_id = data.get("id", data.get("_id", data.get("qid")))
    gold_docs = _texts(data.get("gold_docs"), "gold_docs")
    split = split_name(data.get("split")) or row.split or "train"
    options = data.get("options", data.get("choices"))
    if options:
        letters = options_of(options)
        letter = _letter(data, letters)
        return choice_item(
            dataset,
            own_id=own_id,
            question=question,
            options=letters,
            letter=letter,
            gold_docs=gold_docs,
            split=split,
        )
    answers = tuple(dict.fromkeys([*_answers(data), *_texts(data.get("answer_aliases"), "answer_aliases")]))
    if not answers:
        raise RowError("key 'answer' or 'answers' is missing or empty")
    return Item(
        id=stable_id(dataset, own_id, question),
        dataset=dataset,
        question=question,
        answers=answers,
        gold_docs=gold_docs,
        split=split,
    )


def _letter(data: Mapping[str, Any], options: Mapping[str, str]) -> str:
    label = next((data[key] for key in _LETTER_KEYS if data.get(key) is not None), None)
    answer = data.get("answer")
    if isinstance(answer, list):
        answer = answer[0] if answer else None
    if (number := _number(label)) is None and label is None and not letters_by_text(options, clean(answer)):
        number = _number(answer)
    if number is None or str(number) in options:  # options named 1, 2, …
        return right_letter(options, label if number is None else str(number), answer)
    letters = sorted(options)
    if not 0 <= number < len(letters):
        raise RowError(f"answer index {number} is outside 0 to {len(letters) - 1}")
    return right_letter(options, letters[number], answer if isinstance(answer, str) else None)


def _number(value: Any) -> int | None:
    """A whole number, as 2 or 2.0 (a column with nulls in it); None for anything else."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if whole or (isinstance(value, float) and value.is_integer()) else None


def _answers(data: Mapping[str, Any]) -> tuple[str, ...]:
    value = data.get("answers", data.get("answer"))
    if isinstance(value, list) and value and all(isinstance(entry, list) for entry in value):
        # lists of synonyms: one list is one answer with aliases; several are an enumeration
        if len(value) > 1:
            raise RowError(
                "key 'answer' holds several answers with synonyms each; give one list of accepted answers"
            )
        value = value[0]
    return _texts(value, "answer")


def _texts(value: Any, key: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(v, list | Mapping) for v in value)
    ):
        raise RowError(f"key {key!r} must be a text or a list of texts")
    entries = value if isinstance(value, list | tuple) else [value]
    return tuple(text for text in map(clean, entries) if text)


__all__ = ["LETTERS", "fits", "item", "parser"]
