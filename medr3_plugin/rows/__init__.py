"""Reads a row of data, whoever wrote it, as the `Sample` that rewards and evaluation use; the only module that does.

Known rows are verl's (ours by `medr3 data prepare`, or another recipe's, such as Search-R1's), and plain ones with
`question` and `answer` (`medr3 score`). In a verl row the accepted answers are `extra_info.answers`, else
`reward_model.ground_truth`: a text, a list of texts, or `{"target": …}` of either.

Columns of a parquet that has rows of four and of five options are merged: an option, or a whole field, that is null
is not there. A text such as "None", "NA" or "null" is content like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from medr3_plugin.errors import RowError, shown
from medr3_plugin.records import Reference, Sample, Triple
from medr3_plugin.rows.options import (
    LABELS,
    OPTIONS,
    letter_of,
    numbered_option,
    option_columns,
    option_text,
    options_of,
)
from medr3_plugin.rows.values import is_missing, number_as_text, plain
from medr3_plugin.text import name_key
from medr3_plugin.yaml_section import mistake

Form = TypeVar("Form")

_ODD_JSON = re.compile(r"\\u[dD][89a-fA-F]|NaN")
"""What pydantic does not read in JSON: half an emoji, of a text that was cut, and a table's empty cell."""
_PLACE = re.compile(r"\d+(?:\.0)?")


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
    info = plain(row.get("extra_info")) or {}
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
        stage_progress=_progress(plain(info.get("stage_progress")), where),
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
            or isinstance(plain(value), list | Mapping)
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
    messages = plain(_first("prompt", row))
    messages = plain(_first("raw_prompt", row)) if messages is None else messages
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
        value = plain(holder.get(key))
        if not is_missing(value) and value != []:
            also = row.get("answer_aliases") if holder is row else None
            return tuple(
                dict.fromkeys(
                    answer
                    for name, held in ((key, value), ("answer_aliases", plain(also)))
                    if not is_missing(held) and held != []
                    for answer in accepted(held, f"{where}: field {name!r}")
                )
            )
    for key in LABELS if options else ():
        if not is_missing(label := plain(row.get(key))):
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
        letter = "" if name_key(answer) in texts else letter_of(answer)
        return letter if letter in options else option_text(answer, options)

    return tuple(dict.fromkeys(map(named, answers)))


def accepted(value: Any, place: str) -> tuple[str, ...]:
    """Accepted answers from a text, a number, a list of them, `{"target": …}`, or any of these as JSON.

    Raises:
        RowError: another shape, or an empty answer.

    >>> accepted('{"target": ["A"]}', "x"), accepted(3, "x")
    (('A',), ('3',))
    """
    value = plain(value)
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
    answers = [number_as_text(entry) for entry in entries]
    if not answers or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        raise RowError(f"{expected}, none empty; got {shown(value)}")
    return tuple(dict.fromkeys(answers))


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
    value = plain(value)
    if is_missing(value) or value == "":
        return None
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plain)
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
    value = plain(value)
    if is_missing(value):
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise RowError(f"{place}: expected a list of strings, got {shown(value)}")
    return tuple(value)


def _first(key: str, *holders: Mapping[str, Any]) -> Any:
    """The value of the first holder that has one."""
    return next((holder[key] for holder in holders if not is_missing(holder.get(key))), None)
