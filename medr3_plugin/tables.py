"""Rows of files in the containers that data come in: jsonl, json, csv, tsv, parquet, and .gz or .zst of the text forms.

Text is UTF-8, or UTF-16 with a byte order mark, as Windows writes it. Lines and parquet batches are streamed; a csv
file or a JSON document is held in memory whole.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from medr3_plugin.errors import UserError, needs
from medr3_plugin.outputs import whole

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
PACKED = (".gz", ".zst")
MIRAGE_PART = "_part"
"""Key of a row of MIRAGE's file: the question set it belongs to."""
_ROWS = "questions data documents docs articles passages corpus rows records items".split()  # noqa: SIM905
"""Keys of a JSON object under which its rows may stand."""
_REMEDIES = {
    (".xlsx", ".xls", ".ods"): "save its sheet as csv",
    (".zip", ".tar", ".tgz", ".7z", ".bz2", ".xz"): "unpack it",
    (".xml", ".nbib", ".ris", ".bib"): "write its records as rows of jsonl or csv",
    (".pdf", ".html", ".htm", ".docx"): "write its text to a .txt file",
}
_SIGNATURES = {
    b"\x1f\x8b": "packed by gzip; add .gz to its name",
    b"(\xb5/\xfd": "packed by zstd; add .zst to its name",
    b"PAR1\x15": "parquet; name it .parquet",
    b"PK\x03\x04": "an Excel file or a zip archive; save its sheet as csv, or unpack it",
    b"\xd0\xcf\x11\xe0": "an Excel file; save its sheet as csv",
    b"%PDF-": "a PDF; write its text to a .txt file",
}
"""First bytes of files that are not text, whatever they are called."""
_ESCAPED = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as `surrogateescape` decodes it."""
_DEEP = 200
"""Brackets in a line from which on it is tried whether what was read can be written, too."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as read: `where` names file and line (or key), `split` is inferred from the file name.

    `error` is set, and `data` holds the raw text, if the row could not be decoded.
    """

    where: str
    data: Mapping[str, Any]
    split: str = ""
    error: str = ""


def write_jsonl(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write rows to a `.jsonl` or `.jsonl.gz` file, whole or not at all; returns how many.

    Compressed files carry no time stamp: the same rows give the same bytes.
    """
    written = 0
    with whole(path) as draft, draft.open("wb") as raw:
        packed = path.suffix == ".gz"
        opened: Any = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if packed else nullcontext(raw)
        with opened as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                written += 1
    return written


def suffix_of(path: Path) -> str:
    """`.csv` of `rows.CSV.gz`."""
    return (Path(path.stem) if path.suffix.lower() in PACKED else path).suffix.lower()


def read_file(path: Path, *, split: str = "", header: Collection[str] | None = None) -> Iterator[RawRow]:
    """Rows of one file; none if it is empty.

    Args:
        split: given to every row.
        header: the first line of a csv file names its columns only if one of these is among them, in lower case;
            rows of a file without names have `_columns` and `_file`. None: it always does.

    Raises:
        UserError: an unknown type, or a file that cannot be read as what it is called.
    """
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        remedy = next((f"; {what}" for endings, what in _REMEDIES.items() if suffix in endings), "")
        raise UserError(
            f"{path}: unknown file type{remedy}; expected {', '.join(SUFFIXES)} (or .gz or .zst of a text form)"
        )
    if suffix == ".parquet":
        yield from _read_parquet(path, split)
    elif suffix in (".csv", ".tsv"):
        yield from _read_csv(path, content(path), split, "\t" if suffix == ".tsv" else ",", header)
    elif suffix in (".jsonl", ".ndjson") or not _is_one_document(path):
        yield from json_lines(path, split)
    elif raw := content(path):
        yield from _read_document(path, raw, split)


def opened(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked."""
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix.lower() != ".zst":
        return path.open("rb")
    with needs("pyarrow", "data", "reading .zst files"):
        import pyarrow as pa
    return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression="zstd")))


def content(path: Path) -> bytes:
    """The whole of a text file, as UTF-8 without a mark; empty if there is nothing but white space in it."""
    try:
        with opened(path) as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, "cannot be read", error) from error
    if _utf16(raw[:8], path):
        try:
            raw = raw.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: damaged UTF-16 at byte {error.start + 1}; get the file again"
            ) from error
    raw = raw.removeprefix(codecs.BOM_UTF8)
    return raw if raw.strip() else b""


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of a text file that are not empty, as UTF-8 without a mark."""
    number = 0
    try:
        with opened(path) as file:
            for number, line in enumerate(_lines(file, path), 1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.strip():
                    yield number, text.strip()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _unreadable(path, f"cannot be read past line {number}", error) from error


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    head = cast(io.BufferedReader, file).peek(8)[:8]
    if not _utf16(head, path):
        return iter(file)
    return (line.encode() for line in io.TextIOWrapper(file, encoding="utf-16", newline="\n"))


def _utf16(head: bytes, path: Path) -> bool:
    """Whether a text begins with UTF-16's byte order mark.

    Raises:
        UserError: it is not marked and cannot be UTF-8 either.
    """
    if kind := next((kind for mark, kind in _SIGNATURES.items() if head.startswith(mark)), ""):
        raise UserError(f"{path}: not text but {kind}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if b"\0" in head:
        raise UserError(
            f"{path}: not UTF-8 text (a file of another kind, or UTF-16 without a byte order mark): convert the file "
            "to UTF-8"
        )
    return False


def _unreadable(path: Path, what: str, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return UserError(f"{path}: {what}: {error.strerror}")
    return UserError(f"{path}: {what}: {error}; get the file again")


def _is_one_document(path: Path) -> bool:
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
            data = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            yield RawRow(where, {"raw": line.decode("utf-8", "backslashreplace")}, split, _no_row(error))
            continue
        if isinstance(data, dict) and b"\\u" not in line and line.count(b"[") + line.count(b"{") < _DEEP:
            yield RawRow(where, data, split)  # no half surrogate pair, and not deep: nothing to be checked
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


def _read_document(path: Path, raw: bytes, split: str) -> Iterator[RawRow]:
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
    """An object as a dict; one with an id twice is refused, as Python would silently keep only the last row."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} appears twice in an object")
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


def _read_csv(
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


def _read_parquet(path: Path, split: str) -> Iterator[RawRow]:
    with needs("pyarrow", "data", "reading parquet files"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a parquet file: {error}") from error
    number = 0
    try:
        for batch in table.iter_batches(batch_size=1024):
            for data in batch.to_pylist():
                number += 1
                yield RawRow(f"{path}#{number}", data, split)
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: bytes that are not text
        raise UserError(f"{path}#{number + 1}: damaged from here on: {error}; get the file again") from error
