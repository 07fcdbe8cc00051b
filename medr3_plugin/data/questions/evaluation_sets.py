"""Questions of evaluation files in whatever layout they came, to compare training questions with.

Labels do not matter here: a row without one, or with a wrong one, is compared too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medr3_plugin.data.questions import reading
from medr3_plugin.data.questions.items import Item, options_of
from medr3_plugin.errors import RowError, UserError
from medr3_plugin.rows.values import clean

_QUESTION = ("original_question", "question", "QUESTION", "Question", "body", "case_report", "problem")
_OPTIONS = ("options", "choices", "Options")
_ID = ("id", "_id", "_key", "pubid", "qid")


def read(source: str) -> Iterator[tuple[reading.RawRow, Item | None]]:
    """Each row of a file, folder or Hub dataset with its question; None for a row that asks nothing.

    Raises:
        UserError: a file of which no row holds a question.
    """
    for name, rows in reading.by_file(source):
        items = [None if row.error else _item(row) for row in rows]
        if not any(items):
            raise UserError(
                f"{name}: no row has a question to compare with (searched: "
                f"{', '.join(_QUESTION)}, 'prompt'); convert it to rows with 'question', or leave it out"
            )
        yield from zip(rows, items, strict=True)


def _item(row: reading.RawRow) -> Item | None:
    info = row.data.get("extra_info")  # verl's: ours, or another recipe's
    for data in (info, row.data.get("data"), row.data):
        if isinstance(data, Mapping) and (question := _question(data)):
            own = next((name for key in _ID if (name := clean(data.get(key)))), row.where)
            return Item(own, "", question, ("",), options=_options(data))
    return None


def _question(data: Mapping[str, Any]) -> str:
    for key in _QUESTION:
        if isinstance(value := data.get(key), str) and (text := clean(value)):
            return text
    if "_columns" in data:  # MMLU without header
        return clean(data["_columns"][0]) if len(data["_columns"]) == 6 else ""
    prompt = data.get("prompt")
    if isinstance(prompt, str):
        return clean(prompt)
    turns = [turn for turn in prompt or () if isinstance(turn, Mapping)] if isinstance(prompt, list) else []
    return clean(" ".join(str(turn.get("content")) for turn in turns if turn.get("role") == "user"))


def _options(data: Mapping[str, Any]) -> dict[str, str] | None:
    value: Any = next((data[key] for key in _OPTIONS if data.get(key)), None)
    if "opa" in data:
        value = [data.get(key) for key in ("opa", "opb", "opc", "opd")]
    elif "_columns" in data:
        value = data["_columns"][1:5]
    try:
        return options_of(value)
    except RowError:
        return None
