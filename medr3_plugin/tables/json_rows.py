"""Rows of JSON: an object a line, or one document that holds them all."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError
from medr3_plugin.tables.files import RawRow, lines

MIRAGE_PART = "_part"
"""Key of a row of MIRAGE's file: the question set it belongs to."""
_ROWS = "questions data documents docs articles passages corpus rows records items".split()  # noqa: SIM905
"""Keys of a JSON object under which its rows may stand."""
_DEEP = 200
"""Brackets in a line from which on it is tried whether what was read can be written, too."""


class _Twice(ValueError):
    """A key that appears twice in a JSON object."""


def is_one_document(path: Path) -> bool:
    """Whether a `.json` file is one document; several releases put one object a line into `.json` files."""
    numbered = lines(path)
    first = next(numbered, (0, b""))[1]
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True
    return next(numbered, None) is None


def json_lines(path: Path, split: str = "") -> Iterator[RawRow]:
    """Rows of a file with an object a line, whatever it is called."""
    for number, line in lines(path):
        where = f"{path}:{number}"
        try:
            data = json.loads(line.decode("utf-8"), object_pairs_hook=_without_repetition)
        except (ValueError, RecursionError) as error:
            yield RawRow(where, {"raw": line.decode("utf-8", "backslashreplace")}, split, _no_row(error))
            continue
        if isinstance(data, dict) and b"\\u" not in line and line.count(b"[") + line.count(b"{") < _DEEP:
            yield RawRow(where, data, split)  # no half surrogate pair, and not deep: nothing to be checked
        elif isinstance(data, list):
            yield RawRow(
                where, {"raw": data}, split, "expected an object, found a list; write one object per line"
            )
        else:
            yield _checked(where, data, split)


def _no_row(error: Exception) -> str:
    """Why a line could not be decoded."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8; convert the file to UTF-8"
    if isinstance(error, json.JSONDecodeError):
        remedy = (
            "write one object per line, with nothing between them (an array belongs in a file named .json)"
        )
        return f"not JSON: {error}; {remedy}"
    if isinstance(error, RecursionError):
        return "nested too deeply to be a row"
    if isinstance(error, _Twice):
        return f"{error}; keep one of them"
    # Python reads no longer numbers, as their conversion takes quadratic time
    return f"a number of more than {sys.get_int_max_str_digits()} digits; write it as a string"


def _checked(where: str, data: Any, split: str) -> RawRow:
    if not isinstance(data, Mapping):
        return RawRow(
            where, {"raw": data}, split, f"expected an object, found {json.dumps(data, default=str)[:60]}"
        )
    try:
        for key, value in data.items():
            json.dumps({key: value}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        lossless, about = {"raw": json.dumps(data)}, f"key {key!r}: half a surrogate pair"
        return RawRow(where, lossless, split, f"{about} (\\ud…): not a character; write both halves")
    except RecursionError:  # read, but cannot be written to the rejected rows
        return RawRow(where, {}, split, "nested too deeply to be a row")
    return RawRow(where, data, split)


def document_rows(path: Path, raw: bytes, split: str) -> Iterator[RawRow]:
    """A JSON array of rows, an object id -> row, one with the rows under a key of `_ROWS`, or MIRAGE's file."""
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_repetition)
    except ValueError as error:  # UnicodeDecodeError is one
        rule = "; JSON has no comments, and a comma only between entries" * isinstance(
            error, json.JSONDecodeError
        )
        raise UserError(f"{path}: not a UTF-8 JSON document: {error}{rule}") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply; expected a list of rows") from error
    if isinstance(document, Mapping) and not {"id", "question", "text"} & document.keys():
        document = next((document[k] for k in _ROWS if isinstance(document.get(k), list)), document)
    if _is_mirage(document):
        for part, rows in document.items():
            for key, data in rows.items():
                yield _checked(f"{path}#{part}/{key}", {"_key": key, MIRAGE_PART: part, **data}, split)
    elif isinstance(document, list):
        for number, data in enumerate(document, start=1):
            yield _checked(f"{path}#{number}", data, split)
    elif (
        isinstance(document, Mapping) and document and all(isinstance(v, Mapping) for v in document.values())
    ):
        for key, data in document.items():
            yield _checked(f"{path}#{key}", {"_key": key, **data}, split)
    elif isinstance(document, Mapping):
        yield _checked(f"{path}#1", document, split)
    else:
        raise UserError(f"{path}: expected a list of rows or an object, found {type(document).__name__}")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as a dict; one with a key twice is refused, as Python would silently keep only the last value."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Twice(f"the key {twice!r} appears twice in an object")
    return unique


def _is_mirage(document: Any) -> bool:
    """Whether it is MIRAGE's `benchmark.json`: question sets by name, in each of them id -> row."""
    return (
        isinstance(document, Mapping)
        and bool(document)
        and document.keys() <= {"medqa", "medmcqa", "pubmedqa", "bioasq", "mmlu"}
        and all(
            isinstance(rows, Mapping)
            and all(isinstance(row, Mapping) and "question" in row for row in rows.values())
            for rows in document.values()
        )
    )
