"""Rows of a dataset from local files in whatever container it came in, or from the Hugging Face Hub."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError, needs
from medr3_plugin.hub_name import hub_or_cache, hub_parts, is_hub_name
from medr3_plugin.tables import MIRAGE_PART, SUFFIXES, RawRow, read_file, suffix_of

__all__ = ["MIRAGE_PART", "RawRow", "by_file", "read", "split_name", "split_of"]

WRITTEN_BESIDE = (".parquet.report.json", ".parquet.rejected.jsonl")
"""Ends of the names that `medr3 data` gives to the reports beside a parquet: no rows of a dataset."""
_PARQUET_BRANCH = "refs/convert/parquet"
"""Where the Hub keeps its own copy of datasets that come as a script: `<configuration>/<split>/*.parquet`."""
_SPLITS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}


def read(source: str, *, split: str = "", config: str = "", hub_file: str = "") -> Iterator[RawRow]:
    """Rows of `source`: a file, a folder of files, or a Hub dataset.

    Args:
        split: only rows of this split (`dev`, `val` and `validation` are one), by their key `split`, the
            file's name or its folder's; of a folder's files that name none, only rows that do.
        config: configuration of a Hub dataset.
        hub_file: the one file of a Hub dataset that is meant, where it has several and no configurations.

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
        for row in _read_file(file):
            own = split_name(row.data.get("split")) or row.split
            found.add(own)
            if not wanted or own == wanted:
                any_row = True
                yield row
    if wanted and not any_row:
        named = ", ".join(sorted(found - {""}))
        there = (
            f"splits found: {named}" if named else "no file, folder or key 'split' names one, so leave it out"
        )
        raise UserError(f"{source}: no row of split {split!r}; {there}")


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
        yield str(file), list(_read_file(file))


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
        if file.is_file() and suffix_of(file) in SUFFIXES and not file.name.endswith(WRITTEN_BESIDE)
    ]
    if not files:
        raise UserError(f"{path}: no {', '.join(SUFFIXES)} file in this folder")
    return files


def split_of(path: Path) -> str:
    """`train`, `dev` or `test` if a word of the file's name or its whole folder's name says so; else ""."""
    words = re.split(r"[^a-z]+", path.name.lower())
    return next((_SPLITS[word] for word in [*words, path.parent.name.lower()] if word in _SPLITS), "")


def _read_file(path: Path) -> Iterator[RawRow]:
    any_row = False
    for row in read_file(path, split=split_of(path), header=("question", "id")):
        any_row = True
        yield row
    if not any_row:
        raise UserError(f"{path}: the file is empty, or has no more than a header")


def _read_hub(source: str, split: str = "", config: str = "", file: str = "") -> Iterator[RawRow]:
    name, own_config, own_split = hub_parts(source)
    for option, given, own in (
        ("--split", split_name(split), split_name(own_split)),
        ("--config", config, own_config),
    ):
        if given and own and given != own:
            raise UserError(f"{source}: it names another one than {option} {given}; leave one of them out")
    split = split or own_split
    loaded = _load_hub(name, config or own_config, file)
    parts = {part: rows for part, rows in loaded.items() if split_name(split) in ("", split_name(part))}
    if not parts:
        raise UserError(f"{name}: no row of split {split!r}; splits found: {', '.join(loaded)}")
    for part, rows in parts.items():
        for number, data in enumerate(rows, start=1):
            yield RawRow(f"{name}[{part}]#{number}", data, split_name(part))


def _load_hub(name: str, config: str = "", file: str = "") -> Mapping[str, Any]:
    """Split -> rows of a dataset of the Hugging Face Hub.

    Args:
        name: `owner/name`.
        file: only this file of it.

    Raises:
        UserError: it is not there or cannot be read, or the configuration is missing or wrong: those that
            exist are listed.
    """
    with needs("datasets", "data", f"loading {name} from the Hub"):
        import datasets

    if not sys.stderr.isatty():
        datasets.disable_progress_bars()

    # not found, no network, ambiguous or wrong configuration, files that do not fit together
    failures = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
    try:
        with hub_or_cache(name):
            return _loaded(datasets, name, config, file)
    except failures as error:
        message = " ".join(str(error).split()) or type(error).__name__
        configs = re.search(r"[Aa]vailable(?: configs)?: (\[.*?\])", message)
        if configs:
            wrong = f"has no configuration {config!r}" if config else "has several configurations"
            raise UserError(
                f"{name}: it {wrong}; name one of {configs[1]}, as {name}:CONFIG:SPLIT or with --config"
            ) from error
        raise UserError(
            f"{name}: no such file or folder, and it cannot be loaded from the Hub ({message[:300]}); "
            "download it and give the path"
        ) from error


def _loaded(datasets: Any, name: str, config: str, file: str) -> Mapping[str, Any]:
    try:
        return datasets.load_dataset(name, config or None, data_files=file or None)
    except RuntimeError as error:
        if "scripts are no longer supported" not in str(error):
            raise
        if not config:
            raise UserError(
                f"{name} comes as a script, so the Hub's parquet copy is read: name the "
                f"configuration, as {name}:CONFIG:SPLIT or with --config"
            ) from error
        return datasets.load_dataset(name, data_dir=config, revision=_PARQUET_BRANCH)
