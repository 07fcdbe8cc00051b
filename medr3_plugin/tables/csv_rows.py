"""Rows of csv and tsv, as spreadsheets and releases write them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from medr3_plugin.errors import UserError
from medr3_plugin.tables.files import RawRow

_ESCAPED = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as `surrogateescape` decodes it."""


def _delimiter(text: str, usual: str, names: Collection[str] | None) -> str:
    """What separates the columns: where a header has no comma, the semicolon or tab that it has (Excel in Europe)."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    if header.startswith("sep=") and len(header.rstrip()) == 5:  # Excel's own first line
        return header[4]
    if names is not None:
        named = (other for other in (usual, *";\t") if _names(header.split(other)) & set(names))
        return next(named, usual)
    return next((other for other in (usual, *";\t") if other in header), usual)


def _names(columns: Iterable[str]) -> set[str]:
    return {column.strip(' "\r').lower() for column in columns}


# an unlikely last line: a quote that is never closed takes it into its field
_END = "end-of-file-d41d8cd98f00"


def _header(where: str, columns: list[str], names: Collection[str] | None) -> list[str]:
    """A first line as the names of columns; none if it has none of `names`."""
    if names is not None and not _names(columns) & set(names):
        return []
    if twice := next((name for name in columns if name and columns.count(name) > 1), ""):
        raise UserError(f"{where}: column {twice!r} appears twice in the header; rename one of them")
    return columns


def csv_rows(
    path: Path, raw: bytes, split: str, delimiter: str, names: Collection[str] | None
) -> Iterator[RawRow]:
    """Rows by header; a file without a known header (MMLU) gives `_columns` instead."""
    if not raw:
        return
    # bytes that are no UTF-8 spoil their own row: quotes, commas and line ends are ASCII in any code page
    text = raw.decode("utf-8", "surrogateescape")
    # whole articles; Python's limit is 128 kB
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + len(_END)))
    reader = csv.reader(
        io.StringIO(f"{text}\n{_END}", newline=""), delimiter=_delimiter(text, delimiter, names)
    )
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            columns = next(reader)
        except csv.Error as error:
            raise UserError(f"{path}:{line}: {error}; is a quote left open?") from error
        if columns == [_END]:
            return
        if columns and columns[-1].endswith(_END):
            raise UserError(f"{path}:{line}: a quote in this row is never closed; close or double it")
        if not columns or columns == ["sep=", ""]:  # an empty line, or Excel's first
            continue
        where = f"{path}:{line}"
        if header is None:
            header = _header(where, columns, names)
            if header and (odd := _no_text(columns)):
                raise UserError(f"{where}: {odd}")
            if header:
                continue
        yield _csv_row(where, path.name, columns, header, split)


def _csv_row(where: str, file: str, columns: list[str], header: list[str], split: str) -> RawRow:
    if odd := _no_text(columns):
        return RawRow(where, {"raw": [_shown(cell) for cell in columns]}, split, odd)
    if not header:
        return RawRow(where, {"_columns": columns, "_file": file}, split)
    if len(columns) != len(header):
        lossless = {"raw": columns}
        return RawRow(where, lossless, split, f"{len(columns)} columns, the header has {len(header)}")
    return RawRow(where, dict(zip(header, columns, strict=True)), split)


def _no_text(columns: Iterable[str]) -> str:
    """What is wrong with the bytes of a csv's row; "" if nothing."""
    for number, cell in enumerate(columns, 1):
        if not cell.isascii() and _ESCAPED.search(cell):
            return f"column {number} is not UTF-8 ({_shown(cell)[:60]}); convert the file to UTF-8"
    return ""


def _shown(cell: str) -> str:
    return cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
