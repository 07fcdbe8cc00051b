"""Reading a corpus: jsonl(.gz), parquet, a folder of these, or a Hugging Face dataset, row by row.

Rows have `id` and `text` (or MedRAG's `content`), and may have `title, source, evidence_type,
evidence_type_method, evidence_level, publication_types, year, license, ...`; other columns are kept in
`Document.extra`. Every row is checked where it is read; a wrong one names its file, line and field.
Nothing is held in memory but the row at hand and eight bytes a document for the uniqueness of ids.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval import evidence

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_YEARS = range(-3000, 3001)  # an int16 column, and nothing written before Sumer


@dataclass(slots=True)
class BadRows:
    """Rows that were skipped: how many, and the first messages.

    Attributes:
        limit: messages kept.
    """

    limit: int = 20
    count: int = 0
    messages: list[str] = field(default_factory=list)

    def add(self, message: str) -> None:
        """Count one bad row."""
        self.count += 1
        if len(self.messages) < self.limit:
            self.messages.append(message)


class RowError(UserError):
    """One row of a corpus is wrong."""


def read_corpus(
    source: str | Path | Iterable[str | Path],
    *,
    bad_rows: BadRows | None = None,
    classifier: evidence.Classifier | None = None,
) -> Iterator[Document]:
    """The documents of a corpus, validated, with their evidence levels.

    Args:
        source: a file, a folder of files (sorted by name), a folder written by `Dataset.save_to_disk`, a
            Hugging Face dataset `owner/name` (optionally `owner/name:split`), or several of these.
        bad_rows: when given, wrong rows are counted there and skipped; else the first one raises.
        classifier: see `evidence.assess`.

    Raises:
        RowError: a wrong row (file, line, field).
        UserError: a source that cannot be read at all.
    """
    seen = IdSet()
    for where, row in rows_of(source, bad_rows):
        try:
            document = document_of(row, where, classifier)
            if not seen.add(document.id):
                raise RowError(f"{where}: field 'id': {document.id!r} occurred before; ids must be unique")
        except RowError as error:
            if bad_rows is None:
                raise
            bad_rows.add(str(error))
            continue
        yield document


def rows_of(
    source: str | Path | Iterable[str | Path], bad_rows: BadRows | None = None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """`(place, row)` of every row, unchecked; the place is `file, line n` or the like."""
    if not isinstance(source, (str, Path)):
        for part in source:
            yield from rows_of(part, bad_rows)
        return
    path = Path(source)
    if path.is_file():
        yield from _file_rows(path, bad_rows)
    elif path.is_dir():
        if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
            yield from _saved_dataset_rows(path)
            return
        files = sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
        if not files:
            raise UserError(f"{path}: no corpus file in this folder (expected {', '.join(SUFFIXES)})")
        for file in files:
            yield from _file_rows(file, bad_rows)
    elif _looks_like_hub_name(str(source)):
        yield from _hub_rows(str(source))
    else:
        raise UserError(f"{source}: no such corpus file, folder or Hugging Face dataset (owner/name)")


def _looks_like_hub_name(name: str) -> bool:
    owner, _, rest = name.partition("/")
    return (
        bool(owner and rest)
        and "/" not in rest
        and not name.startswith((".", "/", "~"))
        and (not name.endswith(SUFFIXES))
    )


def _file_rows(path: Path, bad_rows: BadRows | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.name.endswith(".parquet"):
        yield from _parquet_rows(path)
        return
    if not path.name.endswith(SUFFIXES):
        raise UserError(f"{path}: unknown corpus format; expected one of {', '.join(SUFFIXES)}")
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as lines:
        number = 0
        try:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    yield f"{path}, line {number}", _parse(line)
                except ValueError as error:
                    message = f"{path}, line {number}: not a JSON object ({error})"
                    if bad_rows is None:
                        raise RowError(message) from error
                    bad_rows.add(message)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path}: cannot be read past line {number} ({error})") from error


def _parse(line: bytes) -> Mapping[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f"a {type(row).__name__}")
    return row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "data", "reading parquet") from error
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: cannot be read past row {number} ({error})") from error


def _saved_dataset_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    datasets = _datasets()
    loaded = datasets.load_from_disk(str(path))
    splits = loaded if isinstance(loaded, Mapping) else {"": loaded}
    for split, dataset in splits.items():
        place = f"{path}/{split}" if split else str(path)
        for number, row in enumerate(dataset, 1):
            yield f"{place}, row {number}", row


def _hub_rows(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    datasets = _datasets()
    repository, _, split = name.partition(":")
    try:
        dataset = datasets.load_dataset(repository, split=split or "train", streaming=True)
        for number, row in enumerate(dataset, 1):
            yield f"{name}, row {number}", row
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{name}: no such file, and not readable as a Hugging Face dataset ({message})"
        ) from error


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("datasets", "data", "reading a Hugging Face dataset") from error
    return datasets


def document_of(
    row: Mapping[str, Any], where: str, classifier: evidence.Classifier | None = None
) -> Document:
    """A checked document from a raw row.

    Raises:
        RowError: with `where`, the field and what was expected.
    """
    columns = dict(row)
    identity = columns.pop("id", None)
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity.strip():
        raise RowError(f"{where}: field 'id': expected a non-empty string, got {_shown(identity)}")
    # MedRAG's snippets: `content` is the text, `contents` repeats the title before it
    text = _text(columns, where, "text", "content", "contents")
    if "content" in row and "text" not in row:
        columns.pop("contents", None)
    if not text.strip():
        raise RowError(f"{where}: field 'text': empty")
    title = _text(columns, where, "title")
    source = _text(columns, where, "source")
    for name, value in (("id", identity), ("title", title), ("text", text), ("source", source)):
        _check_encodable(where, name, value)
    year = _whole_number(columns.pop("year", None), where, "year", _YEARS)
    levels = range(evidence.LOWEST, evidence.HIGHEST + 1)
    level = _whole_number(columns.pop("evidence_level", None), where, "evidence_level", levels)
    kind = columns.pop("evidence_type", None)
    if kind is not None and not isinstance(kind, str):
        raise RowError(f"{where}: field 'evidence_type': expected a string, got {_shown(kind)}")
    found = evidence.assess(
        {**columns, "title": title, "text": text, "evidence_type": kind, "evidence_level": level}, classifier
    )
    columns["evidence_type_method"] = found.method
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


def _text(columns: dict[str, Any], where: str, *names: str) -> str:
    """The first of the named columns that is there, taken out; the others stay."""
    for name in names:
        if name in columns:
            value = columns.pop(name)
            if value is None:
                return ""
            if not isinstance(value, str):
                raise RowError(f"{where}: field {name!r}: expected a string, got {_shown(value)}")
            return value
    if names[0] == "text":
        raise RowError(f"{where}: field 'text' is missing")
    return ""


def _check_encodable(where: str, name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            f"{where}: field {name!r}: half a surrogate pair at character {error.start}"
        ) from error


def _whole_number(value: Any, where: str, name: str, allowed: range) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise RowError(
            f"{where}: field {name!r}: expected a whole number {allowed[0]} to {allowed[-1]}, "
            f"got {_shown(value)}"
        )
    return value


def _plain(columns: dict[str, Any], where: str) -> dict[str, Any]:
    """Further columns as JSON can hold them (parquet yields dates, arrays, bytes)."""
    plain: dict[str, Any] = {}
    for name, value in columns.items():
        if value is None:
            continue
        try:
            json.dumps(value, ensure_ascii=False).encode()
            plain[str(name)] = value
        except (TypeError, ValueError):
            try:
                plain[str(name)] = str(value)
                plain[str(name)].encode()
            except UnicodeEncodeError as error:
                raise RowError(f"{where}: field {name!r}: half a surrogate pair") from error
    return plain


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class IdSet:
    """A set of strings in eight bytes each: 64-bit hashes in one sorted array and a small recent set.

    Two different ids are taken for one with a probability of about n² / 2⁶⁵: 8·10⁻⁵ for 54 million.
    """

    def __init__(self, merge_at: int = 1 << 18) -> None:
        self._sorted = np.empty(0, dtype=np.uint64)
        self._recent: set[int] = set()
        self._merge_at = merge_at

    def add(self, identity: str) -> bool:
        """Put `identity` in; whether it was new."""
        digest = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "little")
        if digest in self._recent:
            return False
        place = int(np.searchsorted(self._sorted, np.uint64(digest)))
        if place < len(self._sorted) and int(self._sorted[place]) == digest:
            return False
        self._recent.add(digest)
        if len(self._recent) >= self._merge_at:
            recent = np.fromiter(self._recent, dtype=np.uint64, count=len(self._recent))
            self._sorted = np.union1d(self._sorted, recent)
            self._recent.clear()
        return True

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)
