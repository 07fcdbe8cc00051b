"""Raw rows of a corpus from jsonl(.gz), parquet, a folder of these, or a Hugging Face dataset, one at a time."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medr3_plugin.errors import MissingExtra, RowError, UserError
from medr3_plugin.hub_name import is_hub_name

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")


@dataclass(slots=True)
class BadRows:
    """Rows that were skipped: how many, and the first messages.

    Attributes:
        limit: messages kept.
        record: told every message, also those past the limit.
    """

    limit: int = 20
    count: int = 0
    messages: list[str] = field(default_factory=list)
    record: Callable[[str], object] | None = None

    def add(self, message: str) -> None:
        """Count one bad row."""
        self.count += 1
        if self.record is not None:
            self.record(message)
        if len(self.messages) < self.limit:
            self.messages.append(message)


def rows_of(
    source: str | Path | Iterable[str | Path], bad_rows: BadRows | None = None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """`(place, row)` of every row, unchecked; the place is `file, line n` or the like."""
    if not isinstance(source, (str, Path)):
        for part in source:
            yield from rows_of(part, bad_rows)
        return
    if is_hub_name(source):
        yield from _hub_rows(str(source))
    elif _is_saved_dataset(Path(source)):
        yield from _saved_dataset_rows(Path(source))
    else:
        for file in files_of(source):
            yield from _file_rows(file, bad_rows)


def files_of(source: str | Path) -> list[Path]:
    """The files a local source is read from, in that order.

    Raises:
        UserError: there is none.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{source}: no such corpus file, folder or Hugging Face dataset (owner/name)")
    if _is_saved_dataset(path):
        return sorted(file for file in path.rglob("*") if file.is_file())
    files = sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
    if not files:
        raise UserError(f"{path}: no corpus file in this folder (expected {', '.join(SUFFIXES)})")
    return files


def _is_saved_dataset(path: Path) -> bool:
    return (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file()


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
    try:
        row = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
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
    place, number = str(path), 0
    try:
        loaded = datasets.load_from_disk(str(path))
        splits = loaded if isinstance(loaded, Mapping) else {"": loaded}
        for split, dataset in splits.items():
            place = f"{path}/{split}" if split else str(path)
            for number, row in enumerate(dataset, 1):
                yield f"{place}, row {number}", row
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Arrow's errors of damaged files are ValueErrors
        raise UserError(
            f"{place}: cannot be read past row {number} as a saved Hugging Face dataset ({error})"
        ) from error


def _hub_rows(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Rows of `owner/name`, `owner/name:split` or `owner/name:config:split`, streamed; split `train` if empty.

    Raises:
        UserError: a name of another form, no such data set, configuration or split, or no network.
    """
    repository, *parts = name.split(":")
    if len(parts) > 2:
        raise UserError(f"{name}: expected owner/name, owner/name:split or owner/name:config:split")
    config, split = ["", "", *parts][-2:]
    datasets = _datasets()
    try:
        dataset = datasets.load_dataset(repository, config or None, split=split or "train", streaming=True)
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
