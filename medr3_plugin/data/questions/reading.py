"""Rows of a data set from local files in whatever container it came in, or from the Hugging Face Hub."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medr3_plugin.data.questions import hub
from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.hub_name import is_hub_name

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
WRITTEN_BESIDE = (".parquet.report.json", ".parquet.rejected.jsonl")
"""Ends of the names that `medr3 data` gives to the reports beside a parquet: no rows of a data set."""
MIRAGE_PART = "_part"
"""Key of a row of MIRAGE's file: the question set it stands in."""
_SPLITS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as read: `where` names file and line (or key), `split` is inferred from the file name.

    `error` is set, and `data` holds the raw text, if the row could not be decoded.
    """

    where: str
    data: Mapping[str, Any]
    split: str = ""
    error: str = ""


def read(source: str, *, split: str = "", config: str = "", hub_file: str = "") -> Iterator[RawRow]:
    """Rows of `source`: a file, a folder of files, or a Hub data set.

    Args:
        split: only rows of this split (`dev`, `val` and `validation` are one), by their key `split`, the
            file's name or its folder's; of a folder's files that name none, only rows that do.
        config: configuration of a Hub data set.
        hub_file: the one file of a Hub data set that is meant, where it has several and no configurations.

    Raises:
        UserError: nothing there, no row of `split`, or a container that cannot be read at all.
    """
    if is_hub_name(source):
        yield from _read_hub(source, split, config, hub_file)
        return
    wanted, found, any_row = split_name(split), set(), False
    for file in _files(Path(source)):
        if wanted and split_of(file) not in ("", wanted):
            found.add(split_of(file))  # not read: it may be large
            continue
        for row in _read_file(file, split_of(file)):
            own = split_name(row.data.get("split")) or row.split
            found.add(own)
            if not wanted or own == wanted:
                any_row = True
                yield row
    if wanted and not any_row:
        known = ", ".join(sorted(found - {""})) or "none is named by a file, a folder or a key 'split'"
        raise UserError(f"{source}: no row of split {split!r}; splits found: {known}")


def split_name(value: object) -> str:
    """`train`, `dev` or `test` for the names these go by; any other name in lower case; "" for None."""
    name = str(value or "").strip().lower()
    return _SPLITS.get(name, name)


def by_file(source: str) -> Iterator[tuple[str, list[RawRow]]]:
    """As `read`, the rows of each file together, with its name."""
    if is_hub_name(source):
        yield source, list(_read_hub(source))
        return
    for file in _files(Path(source)):
        yield str(file), list(_read_file(file, split_of(file)))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(
            f"{path}: no such file or folder, and not a Hub name of the form owner/name[[:config]:split]"
        )
    files = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and _suffix(file) in SUFFIXES and not file.name.endswith(WRITTEN_BESIDE)
    ]
    if not files:
        raise UserError(f"{path}: no {', '.join(SUFFIXES)} file in this folder")
    return files


def split_of(path: Path) -> str:
    """`train`, `dev` or `test` if a word of the file's name or its whole folder's name says so; else ""."""
    words = re.split(r"[^a-z]+", path.name.lower())
    return next((_SPLITS[word] for word in [*words, path.parent.name.lower()] if word in _SPLITS), "")


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _read_file(path: Path, split: str) -> Iterator[RawRow]:
    suffix = _suffix(path)
    if suffix == ".parquet":
        yield from _read_parquet(path, split)
        return
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown file type; expected {', '.join(SUFFIXES)} (or .gz of one)")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}; get the file again") from error
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        raise UserError(f"{path}: the file is empty")
    if suffix in (".csv", ".tsv"):
        yield from _read_csv(path, raw, split, "\t" if suffix == ".tsv" else ",")
    elif suffix == ".jsonl" or not _is_one_document(raw):
        yield from _read_lines(path, raw, split)
    else:
        yield from _read_document(path, raw, split)


def _is_one_document(raw: bytes) -> bool:
    """Whether a `.json` file is one document; several releases put one object a line into `.json` files."""
    first, _, rest = raw.strip().partition(b"\n")
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True
    return not rest.strip()


def _read_lines(path: Path, raw: bytes, split: str) -> Iterator[RawRow]:
    for number, line in enumerate(raw.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            data = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            lossless = {"raw": line.decode("utf-8", "backslashreplace")}
            yield RawRow(
                where, lossless, split, f"byte {error.start + 1} is not UTF-8; convert the file to UTF-8"
            )
            continue
        except ValueError as error:
            yield RawRow(where, {"raw": line.decode("utf-8")}, split, f"not JSON: {error}")
            continue
        except RecursionError:
            yield RawRow(where, {"raw": line.decode("utf-8")}, split, "nested too deeply to be a row")
            continue
        yield _checked(where, data, split)


def _checked(where: str, data: Any, split: str) -> RawRow:
    if not isinstance(data, Mapping):
        return RawRow(where, {"raw": data}, split, f"expected an object, found {type(data).__name__}")
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        lossless = {"raw": json.dumps(data)}
        return RawRow(where, lossless, split, "half a surrogate pair (\\ud…): no character; write it whole")
    except RecursionError:  # read, but cannot be written to the rejected rows
        return RawRow(where, {}, split, "nested too deeply to be a row")
    return RawRow(where, data, split)


def _read_document(path: Path, raw: bytes, split: str) -> Iterator[RawRow]:
    """A JSON array of rows, an object id -> row, one with the rows under `questions` or `data`, or MIRAGE's file."""
    try:
        document = json.loads(raw.decode("utf-8"))
    except ValueError as error:  # UnicodeDecodeError is one
        raise UserError(f"{path}: not a UTF-8 JSON document: {error}") from error
    except RecursionError as error:
        raise UserError(f"{path}: nested too deeply; expected a list of rows") from error
    if isinstance(document, Mapping):
        document = next(
            (document[k] for k in ("questions", "data") if isinstance(document.get(k), list)), document
        )
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


# an unlikely last line: a quote that is never closed takes it into its field
_END = "end-of-file-d41d8cd98f00"


def _read_csv(path: Path, raw: bytes, split: str, delimiter: str) -> Iterator[RawRow]:
    """Rows by header; a file without a known header (MMLU) gives `_columns` instead."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line}: not UTF-8; convert the file to UTF-8") from error
    reader = csv.reader(io.StringIO(f"{text}\n{_END}", newline=""), delimiter=delimiter)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            columns = next(reader)
        except csv.Error as error:
            raise UserError(f"{path}:{line}: {error}; is a quote not closed?") from error
        if columns == [_END]:
            return
        if columns and columns[-1].endswith(_END):
            raise UserError(f"{path}:{line}: a quote in this row is never closed; close or double it")
        if not columns:  # an empty line
            continue
        where = f"{path}:{reader.line_num}"
        if header is None:
            named = [column.strip().lower() for column in columns]
            header = columns if "question" in named or "id" in named else []
            if header:
                continue
        if header and len(columns) != len(header):
            lossless = {"raw": columns}
            yield RawRow(where, lossless, split, f"{len(columns)} columns, the header has {len(header)}")
        elif header:
            yield RawRow(where, dict(zip(header, columns, strict=True)), split)
        else:
            yield RawRow(where, {"_columns": columns, "_file": path.name}, split)


def _read_parquet(path: Path, split: str) -> Iterator[RawRow]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("pyarrow", "data", "reading parquet files") from error
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a parquet file: {error}") from error
    number = 0
    try:
        for batch in table.iter_batches(batch_size=1024):
            for data in batch.to_pylist():
                number += 1
                yield RawRow(f"{path}#{number}", data, split)
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: bytes that are no text
        raise UserError(f"{path}#{number + 1}: damaged from here on: {error}; get the file again") from error


def _read_hub(source: str, split: str = "", config: str = "", file: str = "") -> Iterator[RawRow]:
    name, *named = source.split(":")
    own_config, own_split = ["", "", *named][-2:]
    for option, given, own in (
        ("--split", split_name(split), split_name(own_split)),
        ("--config", config, own_config),
    ):
        if given and own and given != own:
            raise UserError(f"{source}: it names another one than {option} {given}; leave one of them out")
    split = split or own_split
    loaded = hub.load(name, config or own_config, file)
    parts = {part: rows for part, rows in loaded.items() if split_name(split) in ("", split_name(part))}
    if not parts:
        raise UserError(f"{name}: no row of split {split!r}; splits found: {', '.join(loaded)}")
    for part, rows in parts.items():
        for number, data in enumerate(rows, start=1):
            yield RawRow(f"{name}[{part}]#{number}", data, split_name(part))
