"""The documents of an index on disk: opened in milliseconds, read one at a time, never all in memory.

A folder with
* `rows.jsonl`: one JSON object per document, in index order,
* `offsets.npy`: `[documents + 1]` int64, where each line starts,
* `levels.npy` (uint8), `years.npy` (int16), `source_codes.npy` (int32): the columns filters look at,
* `sources.json`: the names behind the source codes.

The arrays and the rows are memory-mapped, so that several processes on one machine share them.
"""

from __future__ import annotations

import array
import hashlib
import json
import mmap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval.corpus.evidence import STATED

try:
    import orjson
except ImportError:
    _loads: Callable[[bytes], Any] = json.loads
else:
    _loads = orjson.loads  # reads a row in a quarter of the time

_ENCODER = json.JSONEncoder(ensure_ascii=False)  # `json.dumps` makes one for every row

_FIELDS = tuple(field.name for field in fields(Document) if field.name != "extra")  # which is last

NO_YEAR = -32768
"""How the year column (int16) says that a document has none."""
LONG = 20_000
"""Characters of a text beyond which a document is counted as long: five times a paper's abstract."""


def indexed_text(document: Document) -> str:
    """What the engines index and rerank: `title. text`."""
    return f"{document.title}. {document.text}" if document.title else document.text


def document_from_row(row: dict[str, Any]) -> Document:
    """The inverse of `Document.row`; the row must stem from it."""
    columns: list[Any] = [*map(row.pop, _FIELDS), row]
    return Document(*columns)


def mapped(path: Path, kinds: str) -> npt.NDArray[Any]:
    """A one-dimensional array of an index, memory-mapped.

    Args:
        kinds: the kinds of numbers (`dtype.kind`) that it may hold.

    Raises:
        ValueError: the file holds something else, such as pickled objects or an archive.
    """
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in kinds:
        raise ValueError(f"{path.name} is no array of numbers")
    return np.asarray(array)  # over the same mapping: indexing an np.memmap costs a Python object each time


class StoreWriter:
    """Writes a store row by row; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rows = (folder / "rows.jsonl").open("wb")
        self._digest = hashlib.sha256()
        self._offsets = array.array("q", [0])
        self._levels = array.array("B")
        self._years = array.array("h")
        self._codes = array.array("i")
        self._sources: dict[str, int] = {}
        self._types: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._longest = self._long = 0

    def add(self, document: Document) -> None:
        """Append one document."""
        line = _ENCODER.encode(document.row()).encode() + b"\n"
        self._rows.write(line)
        self._digest.update(line)
        self._offsets.append(self._offsets[-1] + len(line))
        self._levels.append(document.evidence_level)
        self._years.append(NO_YEAR if document.year is None else document.year)
        self._codes.append(self._sources.setdefault(document.source, len(self._sources)))
        self._types[document.evidence_type] += 1
        if stated := document.extra.get(STATED):
            self._unknown[str(stated)] += 1
        self._longest = max(self._longest, len(document.text))
        self._long += len(document.text) > LONG

    def summary(self) -> dict[str, Any]:
        """Count, checksum of the rows, counts of levels and types, and lengths, for the manifest."""
        levels = Counter(self._levels)
        return {
            "count": len(self._levels),
            "sha256": self._digest.hexdigest(),
            "evidence_levels": {str(level): levels[level] for level in sorted(levels)},
            "evidence_types": dict(self._types.most_common()),
            "unknown_evidence_types": dict(self._unknown.most_common()),
            "longest": self._longest,
            "long": self._long,
        }

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()
        if kind is not None:
            return
        np.save(self._folder / "offsets.npy", np.frombuffer(self._offsets, dtype=np.int64))
        np.save(self._folder / "levels.npy", np.frombuffer(self._levels, dtype=np.uint8))
        np.save(self._folder / "years.npy", np.frombuffer(self._years, dtype=np.int16))
        np.save(self._folder / "source_codes.npy", np.frombuffer(self._codes, dtype=np.int32))
        (self._folder / "sources.json").write_text(json.dumps(list(self._sources), ensure_ascii=False))


class DocumentStore:
    """Random access to the documents of an index; safe to use from several threads.

    Raises:
        UserError: the folder does not hold a complete store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._offsets = mapped(folder / "offsets.npy", "i")
            self.levels = mapped(folder / "levels.npy", "u")
            self.years = mapped(folder / "years.npy", "i")
            self.source_codes = mapped(folder / "source_codes.npy", "i")
            self.sources: list[str] = json.loads((folder / "sources.json").read_text())
            if not isinstance(self.sources, list) or not all(isinstance(n, str) for n in self.sources):
                raise ValueError("sources.json is no list of names")
            with (folder / "rows.jsonl").open("rb") as rows:
                self._rows = mmap.mmap(rows.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError, EOFError, RecursionError) as error:
            raise UserError(
                f"{folder}: not a complete document store ({error}); build the index again"
            ) from error
        columns = (self.levels, self.years, self.source_codes)
        if (
            not len(self._offsets)
            or any(len(column) != len(self) for column in columns)
            or self._offsets[-1] != len(self._rows)
        ):
            raise UserError(
                f"{folder}: the document store's files do not fit together; build the index again"
            )

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: int) -> Document:
        if row < 0:
            raise IndexError(row)
        return document_from_row(_loads(self._rows[self._offsets[row] : self._offsets[row + 1]]))

    def __iter__(self) -> Iterator[Document]:
        return (self[row] for row in range(len(self)))

    def columns(self) -> dict[str, dict[str, int]]:
        """How many documents each source and each year has: `sources`, the largest first, and `years`, in order."""
        by_code = np.bincount(self.source_codes, minlength=len(self.sources))
        years, counts = np.unique(self.years[self.years != NO_YEAR], return_counts=True)
        return {
            "sources": {
                self.sources[code]: int(by_code[code]) for code in np.argsort(-by_code, kind="stable")
            },
            "years": {str(year): int(count) for year, count in zip(years, counts, strict=True)},
        }

    def texts(self, start: int = 0, stop: int | None = None) -> Iterator[str]:
        """`indexed_text` of the documents of a range of rows."""
        for row in range(start, len(self) if stop is None else stop):
            yield indexed_text(self[row])

    def close(self) -> None:
        """Unmap the rows; documents already returned stay valid."""
        self._rows.close()
