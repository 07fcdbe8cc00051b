"""Raw rows of a corpus from tables, text files, a folder of either, or a Hugging Face dataset, one at a time."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medr3_plugin import tables
from medr3_plugin.errors import RowError, UserError, needs
from medr3_plugin.hub_name import hub_or_cache, hub_parts, is_hub_name
from medr3_plugin.retrieval.corpus import pubmed

logger = logging.getLogger(__name__)

TEXTS = (".txt", ".md")
TABLES = (*tables.SUFFIXES, pubmed.SUFFIX)
SUMMARY = "SOURCES.json"
"""Beside the files of a collected corpus (`corpus.build`): what they hold."""
_NO_ROWS = frozenset({SUMMARY, "dataset_infos.json"})
_HEADING = re.compile(r"\s*#\s+(.+?)\s*#*\s*?(?:\n|\Z)")


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
        files = files_of(source)
        _name_left_aside(Path(source), files)
        for file in files:
            yield from _file_rows(file, Path(source), bad_rows)


def files_of(source: str | Path) -> list[Path]:
    """The files a local source is read from, in that order: those of its tables, else all below it, else texts.

    Beside queries or judgements (`queries.jsonl`, `qrels.tsv`; BEIR, R2MED), only the table `corpus` is the corpus.

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
    if (path / "manifest.json").is_file() and (path / "documents").is_dir():
        raise UserError(f"{path} is an index, not a corpus: give the corpus that it was built from")
    inside = sorted(
        file for file in path.rglob("*") if file.is_file() and not _hidden(file.relative_to(path))
    )
    rows = [file for file in inside if tables.suffix_of(file) in TABLES and file.name not in _NO_ROWS]
    if any(
        file.name.startswith(("queries.", "query.", "qrels.")) for file in rows
    ):  # BEIR's folder of a test set
        rows = [file for file in rows if file.name.startswith("corpus.")] or rows
    # beside rows, a text is a README or a licence
    files = (
        [file for file in rows if file.parent == path]
        or rows
        or [file for file in inside if file.suffix.lower() in TEXTS]
    )
    if not files:
        expected = ", ".join((*TABLES, *TEXTS))
        raise UserError(f"{path}: no corpus file in this folder (expected {expected})")
    return files


def _name_left_aside(folder: Path, files: list[Path]) -> None:
    """Warn of what a folder holds beside the files that are read: somebody may think that it is read, too."""
    if not folder.is_dir() or files[0].name.startswith("corpus."):  # beside it are queries and judgements
        return
    texts = files[0].suffix.lower() in TEXTS
    left = {file for file in folder.rglob("*") if file.is_file() and not _hidden(file.relative_to(folder))}
    if not texts:  # what is no table beside tables is a README or a licence
        left = {file for file in left if tables.suffix_of(file) in TABLES and file.parent != folder}
    if aside := Counter(tables.suffix_of(file) or "no ending" for file in left.difference(files)):
        counts = ", ".join(f"{ending} ({count})" for ending, count in sorted(aside.items()))
        why = (
            "only .txt and .md are texts" if texts else "its own tables are read, not those of its subfolders"
        )
        logger.warning("%s: not read: %s; %s", folder, counts, why)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_saved_dataset(path: Path) -> bool:
    return (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file()


def _file_rows(path: Path, root: Path, bad_rows: BadRows | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if path.suffix.lower() in TEXTS:
        rows: Iterable[tables.RawRow] = [_text_file(path, root)]
    elif tables.suffix_of(path) == pubmed.SUFFIX:
        rows = pubmed.pubmed_rows(path)
    else:
        rows = tables.read_file(path)
    for row in rows:
        if not row.error:
            yield row.where, row.data
        elif bad_rows is None:
            raise RowError(f"{row.where}: {row.error}")
        else:
            bad_rows.add(f"{row.where}: {row.error}")


def _text_file(path: Path, root: Path) -> tables.RawRow:
    """A text as a row: its path below the folder as id, the folder as source, a heading or its name as title."""
    try:
        text = tables.content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        return tables.RawRow(
            str(path), {}, error=f"byte {error.start + 1} is not UTF-8; convert the file to UTF-8"
        )
    except UserError as error:
        return tables.RawRow(str(path), {}, error=str(error).removeprefix(f"{path}: "))
    heading = _HEADING.match(text) if path.suffix.lower() == ".md" else None
    return tables.RawRow(
        str(path),
        {
            "id": path.relative_to(root).as_posix() if root.is_dir() else path.name,
            "title": heading[1] if heading else path.stem.replace("_", " "),
            "text": text[heading.end() :] if heading else text,
            "source": root.resolve().name if root.is_dir() else path.parent.resolve().name,
        },
    )


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
        UserError: a name of another form, no such dataset, configuration or split, or no network.
    """
    repository, config, split = hub_parts(name)
    datasets = _datasets()
    try:
        with hub_or_cache(name):
            dataset = datasets.load_dataset(
                repository, config or None, split=split or "train", streaming=True
            )
        for number, row in enumerate(dataset, 1):
            yield f"{name}, row {number}", row
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{name}: no such file, and not readable as a Hugging Face dataset ({message})"
        ) from error


def _datasets() -> Any:
    with needs("datasets", "data", "reading a Hugging Face dataset"):
        import datasets
    return datasets
