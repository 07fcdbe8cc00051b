"""Reads a row of data, whoever wrote it, as the `Sample` that rewards and evaluation use; the only module that does.

Known rows are verl's (ours by `medr3 data prepare`, or another recipe's, such as Search-R1's), and plain ones with
`question` and `answer` (`medr3 score`). In a verl row the accepted answers are `extra_info.answers`, else
`reward_model.ground_truth`: a text, a list of texts, or `{"target": …}` of either.

Columns of a parquet that has rows of four and of five options are merged: an option, or a whole field, that is null
is not there. A text such as "None", "NA" or "null" is content like any other.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from medr3_plugin.errors import RowError, UserError, shown
from medr3_plugin.records import Reference, Sample, Triple
from medr3_plugin.rows.options import (
    LABELS,
    LETTERS,
    OPTIONS,
    labelled,
    letter_of,
    letters_by_text,
    listed_options,
    lists_in_line,
    named_options,
    numbered_option,
    option_columns,
    option_text,
    options_of,
    right_letter,
)
from medr3_plugin.rows.values import (
    clean,
    has,
    is_empty,
    is_missing,
    name_of,
    names_of,
    number_as_text,
    plain,
    whole_number,
)
from medr3_plugin.text import name_key
from medr3_plugin.yaml_section import mistake

Form = TypeVar("Form")

_ODD_JSON = re.compile(r"\\u[dD][89a-fA-F]|NaN")
"""What pydantic does not read in JSON: half an emoji, of a text that was cut, and a table's empty cell."""
ANSWERS = ("answers", "answer", "golden_answers")
"""Names under which a row may have its accepted answers."""
IDS = ("id", "_id", "qid")
"""Names under which a row may have its id."""


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
    named, given = _given_options(info, row)
    options = options_of(given, f"{where}: field {named!r}")
    question = _question(info, row, options, where)
    if options is None:
        question, options = _options_in(question, info, row, where)
    return Sample(
        id=_identity(info, row, where),
        question=question,
        response=response,
        answers=_answers(info, row, options, where),
        options=options,
        dataset=str(_first("dataset", info, row) or row.get("data_source") or ""),
        gold_docs=names_of(_first("gold_docs", info, row), f"{where}: field 'gold_docs'"),
        references=references_of(_first("references", info, row), where),
        stage=str(info.get("stage") or row.get("stage") or "joint"),
        stage_progress=_progress(plain(info.get("stage_progress")), where),
    )


def _given_options(*holders: Mapping[str, Any]) -> tuple[str, Any]:
    """The name of the field that has a row's options, and what it has."""
    for name in OPTIONS:
        if (value := _first(name, *holders)) is not None:
            return name, value
    return OPTIONS[0], option_columns(holders[-1])


def _options_in(
    question: str, info: Mapping[str, Any], row: Mapping[str, Any], where: str
) -> tuple[str, dict[str, str] | None]:
    """The question without the options that it lists itself, and these, if the accepted answers name some of them.

    Raises:
        RowError: the accepted answer is the letter of an option that cannot be told from the question's text.
    """
    label = label_of(row)
    by_letter = label is not None and isinstance(label[1], str) and letter_of(label[1]) in LETTERS
    golds = (str(label[1]),) if label and by_letter else _answers(info, row, None, where)
    without, options = listed_options(question)
    if options and all(named_options(options, gold) for gold in golds):
        return without, options
    if all(len(letter_of(gold)) == 1 and letter_of(gold) in LETTERS for gold in golds) and lists_in_line(
        question
    ):
        raise RowError(
            f"{where}: the answer {golds[0]!r} is a letter: give the options as 'options', or in the question, each "
            "in a line that begins with its letter (A. …)"
        )
    return question, None


def _progress(value: Any, where: str) -> float:
    if not isinstance(value, int | float | None):
        raise RowError(f"{where}: field 'stage_progress': expected a number, got {shown(value)}")
    return float(value or 0.0)


def _identity(info: Mapping[str, Any], row: Mapping[str, Any], where: str) -> str:
    place = f"{where}: field 'id'"
    values = (info.get("id"), *map(row.get, IDS), info.get("index"))
    return next((name for value in values if (name := name_of(value, place))), where)


def _question(
    info: Mapping[str, Any], row: Mapping[str, Any], options: Mapping[str, str] | None, where: str
) -> str:
    value = _first("question", info, row)
    if value is not None and not isinstance(value, str):
        raise RowError(f"{where}: field 'question': expected a string, got {shown(value)}")
    if value and value.strip():
        bare = info.get("original_question")
        whole = isinstance(bare, str) and bare and options and value.startswith(bare)
        return str(bare) if whole else without_options(html.unescape(value), options)
    messages = plain(_first("prompt", row))
    messages = plain(_first("raw_prompt", row)) if messages is None else messages
    turns = [m for m in messages if isinstance(m, Mapping)] if isinstance(messages, list | tuple) else []
    asked = [turn.get("content") for turn in turns if turn.get("role") == "user"]
    if asked and isinstance(asked[-1], str):
        return without_options(asked[-1], options)
    raise RowError(f"{where}: field 'question' is missing or empty{has(row)}")


def without_options(question: str, options: Mapping[str, str] | None) -> str:
    """The question without a list of its options at the end, one "A. text" a line.

    >>> without_options("Which?\\nA. this\\nB. that", {"A": "this", "B": "that"})
    'Which?'
    """
    if not options:
        return question
    lines = question.rstrip().split("\n")
    listed = [clean(line) for line in lines[-len(options) :]]
    read = list(map(labelled, listed, options))
    if [label[1] for label in read if label] == list(options.values()):
        return "\n".join(lines[: -len(options)]).rstrip()
    return question


def _answers(
    info: Mapping[str, Any], row: Mapping[str, Any], options: Mapping[str, str] | None, where: str
) -> tuple[str, ...]:
    """The accepted answers; options are named by their texts."""
    truth = row.get("reward_model")
    for holder, key in ((info, "answers"), (truth if isinstance(truth, Mapping) else {}, "ground_truth")):
        if not is_empty(value := plain(holder.get(key))):  # before the row's, which may be a solution
            place = f"{where}: field {key!r}"
            return _among(options, accepted(value, place), place)
    given = ((key, plain(row.get(key))) for key in ANSWERS)
    name, value = next(((key, value) for key, value in given if not is_empty(value)), ("answer", None))
    place = f"{where}: field {name!r}"
    label = label_of(row) if options else None
    # a label that names no option says something else, unless nothing but it names one
    if options and label and (is_empty(value) or _names_one(label[1], options)):
        return (options[_labelled(label[1], value, options, f"{where}: field {label[0]!r}")],)
    if is_empty(value):
        wanted = "'answer_idx'" if options else "'answers'"
        raise RowError(f"{where}: field 'answer' or {wanted} is missing or empty{has(row)}")
    if not options:
        aliases = plain(row.get("answer_aliases"))
        more = () if is_empty(aliases) else accepted(aliases, f"{where}: field 'answer_aliases'")
        return tuple(dict.fromkeys((*accepted(value, place), *more)))
    if isinstance(value, bool) and letters_by_text(options, str(value)):
        value = str(value)
    answers = accepted(value, place)
    if name == "answers":  # of a run's trajectory: the options' texts, also where one is another's letter
        return _among(options, answers, place)
    return tuple(dict.fromkeys(_named(answer, options, place) for answer in answers))


def label_of(row: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The field that names the right option by letter or number, and what it has."""
    given = ((key, plain(row.get(key))) for key in LABELS)
    return next(((key, value) for key, value in given if not is_empty(value)), None)


def _names_one(label: Any, options: Mapping[str, str]) -> bool:
    named = isinstance(label, str) and named_options(options, clean(label))
    return isinstance(label, list) or whole_number(label) is not None or bool(named)


def _labelled(label: Any, answer: Any, options: Mapping[str, str], place: str) -> str:
    """The letter of the option that a label names, which the answer beside it must not contradict."""
    if isinstance(label, list):
        if len(label) != 1:
            raise RowError(f"{place}: {shown(label)}; give one letter, or several as a list under 'answer'")
        label = label[0]
    if isinstance(answer, list):
        answer = answer[0]
    try:
        letter = numbered_option(label, options, place)
        return right_letter(options, letter or label, answer if isinstance(answer, str) else None)
    except RowError as error:
        raise RowError(f"{place}: {str(error).removeprefix(f'{place}: ')}") from None


def _named(answer: str, options: Mapping[str, str], place: str) -> str:
    """The text of the option that an answer names by its letter, its text or a number; any other answer unchanged."""
    number = None if letters_by_text(options, answer) else numbered_option(answer, options, place)
    if number is not None:
        return options[number]
    found = named_options(options, answer)
    if len(found) > 1:
        raise RowError(
            f"{place}: {answer!r} fits the options {', '.join(sorted(found))}; give the letter as 'answer_idx'"
        )
    return options[found.pop()] if found else answer


def _among(options: Mapping[str, str] | None, answers: tuple[str, ...], place: str) -> tuple[str, ...]:
    """`answers` that are letters of options, or begin with one, as the options' texts.

    Raises:
        RowError: they are numbers that name no option.
    """
    if not options:
        return answers
    texts = {name_key(text) for text in options.values()}
    known = texts | {letter.casefold() for letter in options}
    if all(whole_number(answer) is not None and name_key(answer) not in known for answer in answers):
        raise RowError(
            f"{place}: {', '.join(answers)} is not an option; give the option's letter or its text"
        )

    def named(answer: str) -> str:
        letter = "" if name_key(answer) in texts else letter_of(answer)
        return options[letter] if letter in options else option_text(answer, options)

    return tuple(dict.fromkeys(map(named, answers)))


class CountFromOne:
    """Whether the numbers by which rows name their right option count from 1: one past the last, and none is 0.

    Were only the rows that show it left out, the others would be read as the option after the right one.
    """

    def __init__(self) -> None:
        self._past = ""
        self._within = self._zero = False

    def see(self, row: Mapping[str, Any], where: str) -> None:
        """Note a plain row; rows of verl have no numbers."""
        label = label_of(row)
        number = whole_number(plain(row.get("answer")) if label is None else label[1])
        if number is None or self._zero or "reward_model" in row:
            return
        self._zero = number == 0
        try:
            options = options_of(_given_options(row)[1], "options") or {}
        except RowError:  # named when its turn comes
            return
        if options and not ({str(number)} & options.keys() or letters_by_text(options, str(number))):
            self._within = self._within or 0 < number < len(options)
            if number == len(options):
                self._past = self._past or f"{where}: the right option is {number} of {number}"

    def check(self) -> None:
        """To be called after the last row.

        Raises:
            UserError: they count from 1.
        """
        if self._past and self._within and not self._zero:
            raise UserError(
                f"{self._past}, and in no row 0: the labels count from 1; subtract 1 from each, or give letters"
            )


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
    entries = [plain(entry) for entry in (value if isinstance(value, list | tuple) else [value])]
    entries = [entry for entry in entries if not is_empty(entry)]
    if entries and all(isinstance(entry, list) for entry in entries):
        # lists of synonyms: one list is one answer with aliases; several are an enumeration
        if len(entries) > 1:
            raise RowError(f"{place}: several answers with synonyms each; give one list of accepted answers")
        entries = [plain(entry) for entry in entries[0] if not is_empty(plain(entry))]
    answers = [number_as_text(entry) for entry in entries]
    if not answers or not all(isinstance(answer, str) for answer in answers):
        raise RowError(f"{expected}, not empty; got {shown(value)}")
    return tuple(dict.fromkeys(map(clean, answers)))


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


def _first(key: str, *holders: Mapping[str, Any]) -> Any:
    """The value of the first holder that has one."""
    return next((holder[key] for holder in holders if not is_missing(holder.get(key))), None)
