"""Rows of files in the containers that data come in: jsonl, json, csv, tsv, parquet, and .gz or .zst of the text forms.

Text is UTF-8, or UTF-16 with a byte order mark, as Windows writes it. Lines and parquet batches are streamed; a csv
file or a JSON document is held in memory whole.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError, needs
from medr3_plugin.outputs import whole
from medr3_plugin.tables.csv_rows import csv_rows
from medr3_plugin.tables.files import RawRow, content, opened
from medr3_plugin.tables.json_rows import MIRAGE_PART, document_rows, is_one_document, json_lines

__all__ = [
    "MIRAGE_PART",
    "PACKED",
    "SUFFIXES",
    "RawRow",
    "content",
    "json_lines",
    "opened",
    "read_file",
    "suffix_of",
    "write_jsonl",
]

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
PACKED = (".gz", ".zst")
_REMEDIES = {
    (".xlsx", ".xls", ".ods"): "save its sheet as csv",
    (".zip", ".tar", ".tgz", ".7z", ".bz2", ".xz"): "unpack it",
    (".xml", ".nbib", ".ris", ".bib"): "write its records as rows of jsonl or csv",
    (".pdf", ".html", ".htm", ".docx"): "write its text to a .txt file",
}


def write_jsonl(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write rows to a `.jsonl` or `.jsonl.gz` file, whole or not at all; returns how many.

    Compressed files carry no time stamp: the same rows give the same bytes.
    """
    written = 0
    with whole(path) as draft, draft.open("wb") as raw:
        packed = path.suffix.lower() == ".gz"
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
        yield from csv_rows(path, content(path), split, "\t" if suffix == ".tsv" else ",", header)
    elif suffix in (".jsonl", ".ndjson") or not is_one_document(path):
        yield from json_lines(path, split)
    elif raw := content(path):
        yield from document_rows(path, raw, split)


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
