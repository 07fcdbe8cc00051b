"""Reading a corpus: rows checked where they are read, as documents with their evidence levels.

A row has an id and a text and may have `title, source, year, evidence_type, evidence_type_method, evidence_level,
publication_types`, under these names or those of `_NAMES`, in any case; other columns (pmid, doi, license, ...) are
kept in `Document.extra`. Without an id, a PMID or DOI is one. MedRAG's `contents` repeats title and `content`;
Search-R1's has both alone, the title on its first line. HTML entities are resolved. Of several columns for one field
the first that is not empty counts; a text may be a list of texts (SciFact's sentences), a year a date (2019-05-01).
NaN counts as a missing value, and 12.0 as the id 12, as pandas writes them; an infinity anywhere, or a NaN inside a
list or object, is refused: JSON has neither. A wrong row names its file, line and field. Nothing is held in memory but
the row at hand and the ids.
"""

from __future__ import annotations

import datetime
import functools
import html
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from html.entities import html5
from pathlib import Path
from typing import Any

from medr3_plugin.errors import RowError, UserError, shown
from medr3_plugin.records import Document, article_ids
from medr3_plugin.retrieval.corpus import evidence
from medr3_plugin.retrieval.corpus.rows import BadRows, rows_of

__all__ = ["BadRows", "RowError", "document_of", "documents_of", "read_corpus", "rows_of"]

_NAMES = {
    "id": ("id", "_id", "_key", "doc_id", "docid", "document_id"),
    "text": ("text", "content", "contents", "abstract", "abstracttext", "passage", "body"),
    "year": ("year", "publication_year"),
}
"""Field -> the columns it is read from, the first that is there."""
_KNOWN = frozenset((
    *(name for names in _NAMES.values() for name in names), "title", "source", "publication_types",
    "evidence_type", "evidence_type_method", "evidence_level",
))  # fmt: skip
_BETWEEN = re.compile(r"[\s-]+")  # Evidence Type
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_YEARS = range(-3000, 3001)  # an int16 column, and nothing written before Sumer
_WHOLE = re.compile(r"\s*(-?\d{1,9})(?:\.0*)?\s*")
# 2019-05-01, 05/2019, May 2019, 20190501
_DATE = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?:(?:0[1-9]|1[0-2])[0-3]\d)?(?!\d)")
_NOTHING = frozenset(("", "nan", "n/a", "none", "null", "<na>"))  # a number that a table does not have
_DEEPEST = 64  # of lists and objects in a column; what reads the index later gives up at some depth, too


def read_corpus(
    source: str | Path | Iterable[str | Path],
    *,
    bad_rows: BadRows | None = None,
) -> Iterator[Document]:
    """The documents of a corpus, validated, with their evidence levels.

    Args:
        source: a file, a folder of files (see `rows.files_of`), a folder written by `Dataset.save_to_disk`, a Hugging
            Face dataset `owner/name[[:config]:split]`, or several of these.
        bad_rows: when given, wrong rows are counted there and skipped; else the first one raises.

    Raises:
        RowError: a wrong row (file, line, field).
        UserError: a source that cannot be read at all, or not one document.
    """
    seen: set[str] = set()
    yield from documents_of(rows_of(source, bad_rows), seen, bad_rows)
    if not seen:
        parts = [source] if isinstance(source, (str, Path)) else source
        wrong = (
            f"; wrong rows: {bad_rows.count:,}, the first: {bad_rows.messages[0]}"
            if bad_rows and bad_rows.count
            else ""
        )
        raise UserError(f"{', '.join(map(str, parts))}: no documents in it{wrong}")


def documents_of(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    seen: set[str],
    bad_rows: BadRows | None = None,
) -> Iterator[Document]:
    """Checked documents from `(place, row)` pairs; `seen` holds the ids so far. See `read_corpus`."""
    for where, row in rows:
        try:
            document = document_of(row, where)
            if document.id in seen:
                raise RowError(f"{where}: field 'id': {document.id!r} occurred before; ids must be unique")
        except RowError as error:
            if bad_rows is None:
                raise
            bad_rows.add(str(error))
            continue
        seen.add(document.id)
        yield document


def document_of(row: Mapping[str, Any], where: str) -> Document:
    """A checked document from a raw row; a column that is NaN is missing.

    Raises:
        RowError: with `where`, the field and what was expected.
    """
    columns = _known_columns(row)
    identity = _identity(columns, where)
    joined = "contents" in columns and not {"text", "content", "title"} & columns.keys()
    repeated = "content" in columns and "text" not in columns
    text = _resolved(_text(columns, where, *_NAMES["text"]))
    if repeated:
        columns.pop("contents", None)
    title = _resolved(_text(columns, where, "title"))
    if joined:
        title, text = _apart(text)
    if not text.strip():
        raise RowError(f"{where}: field 'text': empty")
    source = _text(columns, where, "source")
    for name, value in (("id", identity), ("title", title), ("text", text), ("source", source)):
        _check_encodable(where, name, value)
    named = next((name for name in _NAMES["year"] if name in columns), "year")
    year = _whole_number(_year_of(columns.pop(named, None)), where, named, _YEARS)
    levels = range(evidence.LOWEST, evidence.HIGHEST + 1)
    level = _whole_number(columns.pop("evidence_level", None), where, "evidence_level", levels)
    kind = columns.pop("evidence_type", None)
    if kind is not None and not isinstance(kind, str):
        raise RowError(f"{where}: field 'evidence_type': expected a string, got {shown(kind)}")
    types = columns.get("publication_types")
    if types is not None and not isinstance(types, (str, list, tuple)):
        raise RowError(
            f"{where}: field 'publication_types': expected a string or a list of strings, got {shown(types)}"
        )
    found = evidence.assess(
        {**columns, "title": title, "text": text, "evidence_type": kind, "evidence_level": level}
    )
    columns["evidence_type_method"] = found.method
    if kind and level is None and evidence.is_unknown(kind):
        columns[evidence.STATED] = kind
    return Document(
        id=identity,
        title=title,
        text=text,
        source=source,
        evidence_type=found.type,
        evidence_level=found.level,
        year=year,
        extra=_plain(columns, where),
    )


def _known_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are not NaN; those that mean something here under their names in lower case."""
    columns: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, float) and math.isnan(value):
            continue
        known = _known_name(name)
        columns[name if known in row else known] = value
    for names in _NAMES.values():
        given = [name for name in names if name in columns]
        if len(given) > 1:
            empty = [name for name in given if columns[name] in (None, "")]
            for name in empty if len(empty) < len(given) else ():
                del columns[name]
    return columns


@functools.lru_cache(maxsize=1 << 10)  # a file has the same columns in every row
def _known_name(column: Any) -> Any:
    """The name under which a column means something here; its own if it means nothing."""
    lower = _BETWEEN.sub("_", str(column).strip().lower())
    return lower if lower in _KNOWN else column


def _identity(columns: dict[str, Any], where: str) -> str:
    """The id, taken out; else the PMID or DOI of an article, which stays."""
    name = next((name for name in _NAMES["id"] if name in columns), "")
    identity = columns.pop(name, None)
    if identity is None or identity == "":
        identity = next(iter(sorted(article_ids(columns), reverse=True)), identity)
    if isinstance(identity, float) and identity.is_integer():  # a column with nulls in it
        identity = int(identity)
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity.strip():
        raise RowError(
            f"{where}: field 'id': expected a non-empty string (or 'pmid' or 'doi' in place of it), "
            + (f"found none{_among(columns)}" if identity is None else f"got {shown(identity)}")
        )
    return identity


def _resolved(text: str) -> str:
    """`Na&#43;` as Na+; twice, for PubMed's releases hold `&amp;lt;`. An ampersand that begins no entity stays."""
    if "&" in text:
        for _ in range(2):
            text = _ENTITY.sub(_character, text)
    return text


def _character(entity: re.Match[str]) -> str:
    """What an entity stands for; `html.unescape` would take &not out of &nothing;."""
    name = entity[0][1:]
    return html.unescape(entity[0]) if name[0] == "#" else html5.get(name, entity[0])


def _text(columns: dict[str, Any], where: str, *names: str) -> str:
    """The first of the named columns that is there, taken out; the others stay."""
    for name in names:
        if name in columns:
            value = columns.pop(name)
            if name in _NAMES["text"] and isinstance(value, (list, tuple)) and value:
                value = " ".join(value) if all(isinstance(part, str) for part in value) else value
            if value is not None and not isinstance(value, str):
                raise RowError(f"{where}: field {name!r}: expected a string, got {shown(value)}")
            return value or ""
    if names[0] == "text":
        raise RowError(f"{where}: field 'text' is missing{_among(columns)}")
    return ""


def _among(columns: Mapping[str, Any]) -> str:
    """The columns that a row has instead."""
    named = ", ".join(map(shown, list(columns)[:6]))
    return f" among the columns {named}{', ...' if len(columns) > 6 else ''}" if columns else ""


def _year_of(value: Any) -> Any:
    """The year of a date, the first of several; anything else as it is."""
    if isinstance(value, datetime.date):
        return value.year
    found = _DATE.search(str(value)) if isinstance(value, str | int) else None
    return found[1] if found else value


def _apart(contents: str) -> tuple[str, str]:
    """(title, text) of Search-R1's `contents`: the title, often in quotes, on a line of its own before the text."""
    head, _, rest = contents.partition("\n")
    return (head.strip().strip('"'), rest) if rest.strip() else ("", contents)


def _check_encodable(where: str, name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            f"{where}: field {name!r}: half a surrogate pair at character {error.start}"
        ) from error


def _whole_number(value: Any, where: str, name: str, allowed: range) -> int | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
        return None
    if isinstance(value, str) and (whole := _WHOLE.fullmatch(value)):
        value = int(whole[1])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise RowError(
            f"{where}: field {name!r}: expected a whole number {allowed[0]} to {allowed[-1]}, "
            f"got {shown(value)}"
        )
    return value


def _plain(columns: dict[str, Any], where: str) -> dict[str, Any]:
    """Further columns as JSON can hold them (parquet yields dates, arrays, bytes)."""
    plain: dict[str, Any] = {}
    for name, value in columns.items():
        if value is None:
            continue
        if isinstance(value, str):
            _check_encodable(where, name, f"{name}{value}")
            plain[str(name)] = value
            continue
        if _deeper_than(value, _DEEPEST):
            raise RowError(f"{where}: field {name!r}: nested deeper than {_DEEPEST} levels")
        kept = value
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except TypeError:
            kept = text = str(value)
        except ValueError as error:
            raise RowError(
                f"{where}: field {name!r}: NaN or an infinity, which JSON cannot hold; write null"
            ) from error
        if not isinstance(kept, str) and _holds_long_number(kept):
            raise RowError(
                f"{where}: field {name!r}: a whole number of more than 64 bits; write it as a string"
            )
        _check_encodable(where, name, f"{name}{text}")
        plain[str(name)] = kept
    return plain


def _holds_long_number(value: Any) -> bool:
    """Whether a whole number in `value` is longer than fast readers of JSON keep exactly."""
    if isinstance(value, Mapping):
        return any(map(_holds_long_number, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_long_number, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, (Mapping, list, tuple)):
        return False
    items = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_deeper_than(item, levels - 1) for item in items)
