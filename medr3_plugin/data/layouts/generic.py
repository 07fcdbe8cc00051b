"""The generic layout: `question` and `answer` (or `answers`), and what else a row may know.

    {"id": "1", "question": "…", "options": {"A": "…", "B": "…"}, "answer_idx": "B"}
    {"id": "2", "question": "…", "answers": ["Marfan syndrome", "MFS"], "gold_docs": ["hpoa:OMIM:154700"]}

Also accepted: names in any case, `option` or `choices` for `options`, as a list or a column for each (`A`, `B`, … or
`option_a`, …), `answer` as a letter, `label`/`correct` for the letter, `answer_aliases`, `answer` as a list of accepted
answers (or of synonym lists), `split`, `dataset`, and verl rows of other recipes (see `rows`). A number as `answer` is
the option with this text if there is one, else an index from 0, as a number as `label` always is. Where several options
are accepted, each of them is a right answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medr3_plugin.data.questions.items import (
    Item,
    choice_item,
    clean,
    has,
    letters_by_text,
    options_of,
    require,
    right_letter,
    stable_id,
)
from medr3_plugin.data.questions.reading import RawRow, split_name
from medr3_plugin.errors import RowError, UserError
from medr3_plugin.rows import accepted, sample_of
from medr3_plugin.rows.options import LABELS, OPTIONS, numbered_option, option_columns
from medr3_plugin.rows.values import is_missing, whole_number

_ANSWERS = ("answers", "answer", "golden_answers")
_OTHERS = ("question", "answer_aliases", "gold_docs", "id", "qid", "split", "dataset")
_KNOWN = {*LABELS, *_ANSWERS, *OPTIONS, *_OTHERS}


def parser(dataset: str) -> Callable[[Sequence[RawRow]], Callable[[RawRow], Item]]:
    """The layout as `dataset`; a row's own key `dataset` wins for `generic`."""

    def of_rows(rows: Sequence[RawRow]) -> Callable[[RawRow], Item]:
        _refuse_count_from_one(rows)
        return lambda row: item(dataset, row)

    return of_rows


def _refuse_count_from_one(rows: Sequence[RawRow]) -> None:
    """Numbers of options count from 0. One past the last, and no 0, shows that a file counts from 1.

    Were only the rows that show it left out, the others would be read as the option after the right one.

    Raises:
        UserError: it does.
    """
    beyond, within = "", False
    for row in rows:
        data = {} if "reward_model" in row.data else _known_names(row.data)
        value = data.get("answer") if (label := _label(data)) is None else label
        number = whole_number(value)
        if number == 0:
            return
        try:
            options = options_of(_options(data)) if number else {}
        except RowError:  # named when its turn comes
            continue
        if options and not ({str(number)} & options.keys() or letters_by_text(options, clean(str(value)))):
            within = within or 0 < int(number or 0) < len(options)
            if number == len(options):
                beyond = beyond or f"{row.where}: the right option is {number} of {number}"
    if beyond and within:
        raise UserError(
            f"{beyond}, and in no row 0: the labels count from 1; subtract 1 from each, or give letters"
        )


def fits(data: Mapping[str, Any]) -> bool:
    """Whether a row is in the generic layout."""
    return "reward_model" in data or ("question" in data and any(map(data.__contains__, _ANSWERS + LABELS)))


def item(dataset: str, row: RawRow) -> Item:
    """The item of a row in the generic layout.

    Raises:
        RowError: question or answer is missing, or the answer is none of the options.
    """
    if "reward_model" in row.data:
        return _verl_item(dataset, row)
    data = _known_names(row.data)
    question = require(data, "question")
    if dataset == "generic":
        dataset = clean(data.get("dataset")) or dataset
    own_id = data.get("id", data.get("_id", data.get("qid")))
    gold_docs = _texts(data.get("gold_docs"), "gold_docs")
    split = split_name(data.get("split")) or row.split or "train"
    options = _options(data)
    if not is_missing(options) and options not in ("", [], {}):
        letters = options_of(options)
        return choice_item(
            dataset,
            own_id=own_id,
            question=question,
            options=letters,
            letter=_accepted_letters(data, letters),
            gold_docs=gold_docs,
            split=split,
        )
    answers = tuple(dict.fromkeys([*_answers(data), *_texts(data.get("answer_aliases"), "answer_aliases")]))
    if not answers:
        raise RowError(f"key 'answer' or 'answers' is missing or empty{has(row.data)}")
    return Item(
        id=stable_id(dataset, own_id, question),
        dataset=dataset,
        question=question,
        answers=answers,
        gold_docs=gold_docs,
        split=split,
    )


def _known_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with the names that mean something here as they are known (`Question`, `Option A`)."""
    known = {name: re.sub(r"[\s-]+", "_", name.strip().lower()) for name in data}
    return {
        key
        if (key := known[name]) not in data and (key in _KNOWN or key.startswith("option_"))
        else name: value
        for name, value in data.items()
    }


def _verl_item(dataset: str, row: RawRow) -> Item:
    """The item of a row in the form of verl's training data, of whatever recipe."""
    sample = sample_of(row.data, row.where)
    if dataset in ("generic", "search_r1"):
        dataset = sample.dataset or dataset
    own = "" if sample.id == row.where else sample.id
    info = row.data.get("extra_info") or {}
    split = split_name(info.get("split")) or row.split or "train"
    common: dict[str, Any] = {"gold_docs": sample.gold_docs, "split": split}
    if sample.options:
        letters = tuple(dict.fromkeys(right_letter(sample.options, answer) for answer in sample.answers))
        return choice_item(
            dataset, own_id=own, question=sample.question, options=sample.options, letter=letters, **common
        )
    question = clean(sample.question)
    return Item(stable_id(dataset, own, question), dataset, question, sample.answers, **common)


def _options(data: Mapping[str, Any]) -> Any:
    return next((data[key] for key in OPTIONS if data.get(key) is not None), option_columns(data))


def _accepted_letters(data: Mapping[str, Any], options: Mapping[str, str]) -> tuple[str, ...]:
    answer = data.get("answer")
    several = answer if isinstance(answer, list) and len(answer) > 1 else None
    if several is None or any(data.get(key) is not None for key in LABELS):
        return (_letter(data, options),)
    return tuple(dict.fromkeys(_letter({"answer": one}, options) for one in several))


def _label(data: Mapping[str, Any]) -> Any:
    return next((data[key] for key in LABELS if not is_missing(data.get(key))), None)


def _letter(data: Mapping[str, Any], options: Mapping[str, str]) -> str:
    label, answer = _label(data), data.get("answer")
    if isinstance(answer, list):
        answer = answer[0] if answer else None
    if isinstance(label, list):
        if len(label) != 1:
            raise RowError(
                f"the right option is {label!r}; give one letter, or several as a list under 'answer'"
            )
        label = label[0]
    if label is None and not clean(answer):
        raise RowError("key 'answer' or 'answer_idx' is missing or empty")
    if label is not None:
        letter = numbered_option(label, options, "the label")
        return right_letter(options, letter or label, answer if isinstance(answer, str) else None)
    if letters_by_text(options, clean(answer)):
        return right_letter(options, None, answer)
    return right_letter(options, numbered_option(answer, options, "key 'answer'"), answer)


def _answers(data: Mapping[str, Any]) -> tuple[str, ...]:
    value = next((data[key] for key in _ANSWERS if data.get(key) is not None), None)
    if isinstance(value, list) and value and all(isinstance(entry, list) for entry in value):
        # lists of synonyms: one list is one answer with aliases; several are an enumeration
        if len(value) > 1:
            raise RowError(
                "key 'answer' holds several answers with synonyms each; give one list of accepted answers"
            )
        value = value[0]
    if isinstance(value, Mapping | str):
        value = list(accepted(value, "key 'answer'")) if clean(value) else None
    return _texts(value, "answer")


def _texts(value: Any, key: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(v, list | Mapping) for v in value)
    ):
        raise RowError(f"key {key!r} must be a text or a list of texts")
    if isinstance(value, str) and value.startswith("["):  # a list in a column of a csv
        value = accepted(value, f"key {key!r}")
    entries = value if isinstance(value, list | tuple) else [value]
    return tuple(text for text in map(clean, entries) if text)
