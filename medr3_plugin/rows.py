"""Reads a row of data, whoever wrote it, as the `Sample` that rewards and evaluation use; the only module that does.

Known rows are verl's (ours by `medr3 data prepare`, or another recipe's, such as Search-R1's), and plain ones with
`question` and `answer` (`medr3 score`). In a verl row the accepted answers are `extra_info.answers`, else
`reward_model.ground_truth`: a text, a list of texts, or `{"target": …}` of either.

Columns of a parquet that has rows of four and of five options are merged: an option, or a whole field, that is null
is not there. A text such as "None", "NA" or "null" is content like any other.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase as LETTERS  # noqa: N812 (a constant here)
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from medr3_plugin.errors import RowError, shown
from medr3_plugin.records import Reference, Sample, Triple
from medr3_plugin.text import name_key
from medr3_plugin.yaml_section import mistake

Form = TypeVar("Form")

_MARKS = (". ", ") ", ": ", "、", ".", ")", ":")  # between an option's letter and its text
OPTIONS = ("options", "option", "choices")
"""Names under which a row may have its options."""
LABELS = ("answer_idx", "label", "correct", "correct_option", "answer_letter", "answerkey", "answerKey")
"""Names under which a row may have the letter of its right option, or the number that counts it."""
_ODD_JSON = re.compile(r"\\u[dD][89a-fA-F]|NaN")
"""What pydantic does not read in JSON: half an emoji, of a text that was cut, and a table's empty cell."""
_PLACE = re.compile(r"\d+(?:\.0)?")
_LINE = re.compile(r"\(?([A-Z])(?:[.):、）：]\s*|\s+)(\S.*)")
"""A line of a text that lists options."""


def sample_of(row: Mapping[str, Any], where: str, *, response: str = "") -> Sample:
    """The sample of a row, checked; what the environment recorded is not part of a row.

    Args:
        row: columns of the row; arrays of numpy count as lists.
        where: file and line, for messages.
        response: the trajectory's text.

    Raises:
        RowError: names `where`, the field, and what is expected.

    >>> row = {"reward_model": {"ground_truth": {"target": ["vitamin C", "ascorbic acid"]}}, "extra_info": {"index": 7},
    ...        "prompt": [{"role": "user", "content": "Which vitamin prevents scurvy?"}]}
    >>> sample = sample_of(row, "train.parquet#1")
    >>> sample.id, sample.question, sample.answers
    ('7', 'Which vitamin prevents scurvy?', ('vitamin C', 'ascorbic acid'))
    """
    info = _plain(row.get("extra_info")) or {}
    if not isinstance(info, Mapping):
        raise RowError(f"{where}: field 'extra_info': expected an object, got {shown(info)}")
    named = next((name for name in OPTIONS if _first(name, info, row) is not None), "")
    given = _first(named, info, row) if named else option_columns(row)
    options = options_of(given, f"{where}: field {named or OPTIONS[0]!r}")
    return Sample(
        id=_identity(info, row, where),
        question=_question(info, row, options, where),
        response=response,
        answers=_among(options, _answers(info, row, options, where), where),
        options=options,
        dataset=str(_first("dataset", info, row) or row.get("data_source") or ""),
        gold_docs=texts_of(_first("gold_docs", info, row), f"{where}: field 'gold_docs'"),
        references=references_of(_first("references", info, row), where),
        stage=str(info.get("stage") or row.get("stage") or "joint"),
        stage_progress=_progress(_plain(info.get("stage_progress")), where),
    )


def _progress(value: Any, where: str) -> float:
    if not isinstance(value, int | float | None):
        raise RowError(f"{where}: field 'stage_progress': expected a number, got {shown(value)}")
    return float(value or 0.0)


def _identity(info: Mapping[str, Any], row: Mapping[str, Any], where: str) -> str:
    for value in (info.get("id"), row.get("id"), info.get("index")):
        if is_missing(value):
            continue
        if (
            isinstance(value, bool | float)
            or not str(value).strip()
            or isinstance(_plain(value), list | Mapping)
        ):
            raise RowError(f"{where}: field 'id': expected a string or a whole number, got {shown(value)}")
        return str(value)
    return where


def _question(
    info: Mapping[str, Any], row: Mapping[str, Any], options: Mapping[str, str] | None, where: str
) -> str:
    value = _first("question", info, row)
    if value is not None and not isinstance(value, str):
        raise RowError(f"{where}: field 'question': expected a string, got {shown(value)}")
    if value:
        bare = info.get("original_question")
        whole = isinstance(bare, str) and bare and options and value.startswith(bare)
        return str(bare) if whole else without_options(value, options)
    messages = _plain(_first("prompt", row))
    messages = _plain(_first("raw_prompt", row)) if messages is None else messages
    turns = [m for m in messages if isinstance(m, Mapping)] if isinstance(messages, list | tuple) else []
    asked = [turn.get("content") for turn in turns if turn.get("role") == "user"]
    if asked and isinstance(asked[-1], str):
        return without_options(asked[-1], options)
    raise RowError(f"{where}: field 'question' is missing")


def without_options(question: str, options: Mapping[str, str] | None) -> str:
    """The question without a list of its options at the end, one "A. text" a line.

    >>> without_options("Which?\\nA. this\\nB. that", {"A": "this", "B": "that"})
    'Which?'
    """
    for mark in (".", ")"):
        listed = "".join(f"\n{letter}{mark} {text}" for letter, text in (options or {}).items())
        if listed and question.rstrip().endswith(listed):
            return question.rstrip().removesuffix(listed).rstrip()
    return question


def _answers(
    info: Mapping[str, Any], row: Mapping[str, Any], options: Mapping[str, str] | None, where: str
) -> tuple[str, ...]:
    reward_model = row.get("reward_model")
    candidates = [(info, "answers")]
    if isinstance(reward_model, Mapping):
        candidates.append((reward_model, "ground_truth"))  # before the row's: they may hold the solution
    candidates += [(row, key) for key in ("answers", "answer", "golden_answers")]
    for holder, key in candidates:
        value = _plain(holder.get(key))
        if not is_missing(value) and value != []:
            also = row.get("answer_aliases") if holder is row else None
            return tuple(
                dict.fromkeys(
                    answer
                    for name, held in ((key, value), ("answer_aliases", _plain(also)))
                    if not is_missing(held) and held != []
                    for answer in accepted(held, f"{where}: field {name!r}")
                )
            )
    for key in LABELS if options else ():
        if not is_missing(label := _plain(row.get(key))):
            place = f"{where}: field {key!r}"
            return accepted(numbered_option(label, options or {}, place) or label, place)
    raise RowError(f"{where}: field 'answer' is missing (nor is there a reward_model.ground_truth)")


def _among(options: Mapping[str, str] | None, answers: tuple[str, ...], where: str) -> tuple[str, ...]:
    """`answers` without an option's letter before its text, and without marks around a letter ("(b)").

    Raises:
        RowError: they are numbers that name no option.
    """
    if not options:
        return answers
    texts = {name_key(text) for text in options.values()}
    known = texts | {letter.casefold() for letter in options}
    if all(_PLACE.fullmatch(answer) and name_key(answer) not in known for answer in answers):
        raise RowError(
            f"{where}: field 'answer': {', '.join(answers)} is not an option; give the option's letter or its text"
        )

    def named(answer: str) -> str:
        letter = "" if name_key(answer) in texts else _letter(answer)
        return letter if letter in options else option_text(answer, options)

    return tuple(dict.fromkeys(map(named, answers)))


def accepted(value: Any, place: str) -> tuple[str, ...]:
    """Accepted answers from a text, a number, a list of them, `{"target": …}`, or any of these as JSON.

    Raises:
        RowError: another shape, or an empty answer.

    >>> accepted('{"target": ["A"]}', "x"), accepted(3, "x")
    (('A',), ('3',))
    """
    value = _plain(value)
    expected = f"{place}: expected an accepted answer, or a list of them, or {{'target': …}}"
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            read = json.loads(value)
        except (ValueError, RecursionError):
            read = value
            if value.lstrip().startswith(("{'", "['")):
                raise RowError(
                    f"{expected}; {shown(value)} is the text of an object: write the object"
                ) from None
        if isinstance(read, Mapping) or (
            isinstance(read, list) and read and all(isinstance(v, str) for v in read)
        ):
            value = read
    if isinstance(value, Mapping):
        present = {key: held for key, held in value.items() if not is_missing(held)}
        if set(present) != {"target"}:
            raise RowError(f"{expected}, got an object with {', '.join(map(repr, present)) or 'no key'}")
        return accepted(present["target"], f"{place}.target")
    entries = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    answers = [_number_as_text(entry) for entry in entries]
    if not answers or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        raise RowError(f"{expected}, none empty; got {shown(value)}")
    return tuple(dict.fromkeys(answers))


def option_text(answer: str, options: Mapping[str, str]) -> str:
    """The option's text where `answer` is that behind the option's letter; else `answer`.

    >>> option_text("B. Sepsis", {"A": "Gout", "B": "Sepsis"}), option_text("A. Sepsis", {"A": "Gout", "B": "Sepsis"})
    ('Sepsis', 'A. Sepsis')
    """
    lettered = (
        text for letter, text in options.items() for mark in _MARKS if answer == f"{letter}{mark}{text}"
    )
    return next(lettered, answer)


def options_of(value: Any, place: str) -> dict[str, str] | None:
    """Options in any of the usual shapes -> letter -> text; None where there are none.

    A mapping letter -> text, a list of texts, a list of objects (`key`/`value`, `letter`/`content`, `label`/`text`),
    `{"label": [...], "text": [...]}`, or one of these as JSON. A letter is given by place before anything is left
    out. Left out are null and, at the end, empty texts: four options in a table of five columns.

    Raises:
        RowError: another shape, an empty option, or fewer than two options.

    >>> options_of(["None", "One", "Two"], "x"), options_of({"A": "yes", "B": "no", "C": None}, "x")
    ({'A': 'None', 'B': 'One', 'C': 'Two'}, {'A': 'yes', 'B': 'no'})
    >>> options_of(["A. Gout", "B. Sepsis"], "x")
    {'A': 'Gout', 'B': 'Sepsis'}
    """
    value = _plain(value)
    if isinstance(value, str) and value.strip():
        value = _written(value, place)
    if is_missing(value) or value in ("", [], {}):
        return None
    pairs = list(_pairs(value))
    while pairs and (is_missing(pairs[-1][1]) or pairs[-1][1] == ""):
        pairs.pop()
    if not isinstance(value, Mapping | list) or not (2 <= len(pairs) <= len(LETTERS)):
        raise RowError(
            f"{place}: expected two options or more: an object letter -> text, or a list; got {shown(value)}"
        )
    options: dict[str, str] = {}
    for letter, given in pairs:
        if is_missing(given) and isinstance(value, Mapping):  # a merged column of other rows
            continue
        text = _number_as_text(given)
        if not isinstance(text, str) or not text.strip():
            raise RowError(f"{place.removesuffix(chr(39))}.{letter}': expected a string, got {shown(text)}")
        if letter in options:
            raise RowError(f"{place}: the letter {letter} appears twice")
        options[letter] = text
    if len(options) < 2:
        raise RowError(f"{place}: expected two options or more, got {shown(value)}")
    return _without_letters(options)


def _written(text: str, place: str) -> Any:
    """Options from JSON, Python's notation of it (pandas writes that into a csv), or lines that begin with A, B, …"""
    lines = [_LINE.fullmatch(line.strip()) for line in text.strip().splitlines()]
    listed = {line[1]: line[2] for line in lines if line}
    if len(lines) > 1 and list(listed) == list(LETTERS[: len(lines)]):
        return listed
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    raise RowError(
        f'{place}: expected options: JSON such as ["…", "…"], a line or a column for each; got {shown(text)}'
    )


def option_columns(row: Mapping[str, Any]) -> list[Any] | None:
    """Options that have a column each, `A`, `B`, … or `option_a`, … in any case; None if there are none."""
    columns = {key.lower(): value for key, value in row.items() if len(key) <= len("option_a")}
    for form in ("{}", "option_{}"):
        named = [columns.get(form.format(letter.lower())) for letter in LETTERS]
        last = next((i for i, value in enumerate(named) if value is None), len(named))
        if last >= 2:
            return named[:last]
    return None


def whole_number(value: Any) -> int | None:
    """2 of 2, 2.0 and "2"; None for what is no whole number."""
    text = str(_number_as_text(value)).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,9}(?:\.0)?", text):
        return None
    return int(float(text))


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


def _without_letters(options: dict[str, str]) -> dict[str, str]:
    """Options whose texts all begin with their own letters ("A. Gout", "B. Sepsis") without these."""
    texts = {}
    for letter, text in options.items():
        mark = next((mark for mark in _MARKS if text.startswith(f"{letter}{mark}")), None)
        if mark is None or not (rest := text[len(letter) + len(mark) :].strip()):
            return options
        texts[letter] = rest
    species = all(text.isalpha() and text.islower() for text in texts.values())  # "A. baumannii", "B. cereus"
    return options if species else texts


def _pairs(value: Any) -> Iterable[tuple[str, Any]]:
    columns = [value.get(key) for key in ("label", "text")] if isinstance(value, Mapping) else [None]
    if all(isinstance(column, list | tuple) for column in columns):  # ARC's column-wise shape
        value = [
            {"label": label, "text": text} for label, text in zip(value["label"], value["text"], strict=False)
        ]
    if isinstance(value, Mapping):
        yield from ((_letter(name), text) for name, text in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, entry in enumerate(value):
            letter = LETTERS[number] if number < len(LETTERS) else str(number + 1)
            if isinstance(entry, Mapping):
                name = entry.get("key", entry.get("letter", entry.get("label", letter)))
                yield _letter(name), entry.get("value", entry.get("content", entry.get("text")))
            else:
                yield letter, entry


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _letter(name: Any) -> str:
    return str(name).strip().strip("().:（）．：、").upper()


class _Reference(BaseModel):
    """As it is written; null and absent are the same."""

    triples: tuple[Triple, ...] | None = None
    text: str | None = None


_REFERENCES, _TRIPLES = TypeAdapter(list[_Reference]), TypeAdapter(tuple[Triple, ...])


def references_of(value: Any, where: str) -> tuple[Reference, ...]:
    """References: `[{"triples": [[head, relation, tail, from_retrieval], …], "text"}, …]`, or that as JSON.

    Raises:
        RowError: another shape.
    """
    read = _read(_REFERENCES, value, f"{where}: references")
    return tuple(Reference(one.triples or (), one.text or "") for one in read or ())


def triples_of(value: Any, place: str) -> tuple[Triple, ...]:
    """Triples of a graph from `[[head, relation, tail, from_retrieval], …]`; the last may be left out.

    Raises:
        RowError: another shape.
    """
    return _read(_TRIPLES, value, place) or ()


def _read(adapter: TypeAdapter[Form], value: Any, place: str) -> Form | None:
    """A value, or its JSON, in the form of `adapter`; None for null and an empty text."""
    value = _plain(value)
    if is_missing(value) or value == "":
        return None
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)
        if _ODD_JSON.search(text):
            text = json.dumps(json.loads(text, parse_constant=lambda _: None), ensure_ascii=False)
        return adapter.validate_json(text.encode(errors="replace"), strict=True)
    except ValidationError as error:
        raise RowError(str(mistake(error, place))) from None
    except (ValueError, RecursionError) as error:
        raise RowError(f"{place}: not JSON: {error}") from None


def texts_of(value: Any, place: str) -> tuple[str, ...]:
    """A list of texts; empty for null.

    Raises:
        RowError: another shape.
    """
    value = _plain(value)
    if is_missing(value):
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise RowError(f"{place}: expected a list of strings, got {shown(value)}")
    return tuple(value)


def is_missing(value: Any) -> bool:
    """Null, or NaN, as pandas writes it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _first(key: str, *holders: Mapping[str, Any]) -> Any:
    """The value of the first holder that has one."""
    return next((holder[key] for holder in holders if not is_missing(holder.get(key))), None)


def _plain(value: Any) -> Any:
    """Lists and numbers for numpy's arrays and scalars."""
    return value.tolist() if hasattr(value, "tolist") else value
