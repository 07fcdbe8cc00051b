"""Checks of the data's rows: the rewards can read them, and the index has their documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from medr3_plugin.errors import RowError, UserError
from medr3_plugin.recipe.checks.finding import Finding
from medr3_plugin.records import canonical_id
from medr3_plugin.rewards.answer.names import is_outside
from medr3_plugin.rows import sample_of

_SEARCHED = 1_000_000
"""Largest index that is searched for gold documents; larger ones are not checked."""
_COLUMNS = ("data_source", "prompt", "reward_model", "extra_info")


def rows_fit(key: str, files: Sequence[str], indexes: Sequence[Any]) -> Iterator[Finding]:
    """Findings on the rows of the files under `key`; files that are missing or unreadable are left to others.

    Args:
        indexes: the folders of the indexes that are searched.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    gold: set[str] = set()
    outside: list[str] = []
    for file in files:
        path = Path(file).expanduser()
        number = 0
        try:
            table = pq.ParquetFile(path)
            if not set(_COLUMNS) <= set(table.schema_arrow.names):
                continue
        except (pa.ArrowException, OSError):
            continue
        try:
            batches = table.iter_batches(batch_size=1024, columns=list(_COLUMNS))
            rows = (row for batch in batches for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                sample = sample_of(row, f"{file}#{number}")
                gold.update(sample.gold_docs)
                if is_outside(sample.answers, sample.options):
                    outside.append(f"{file}#{number}")
        except RowError as error:
            yield Finding.error(
                key, f"{error}; the rewards cannot read it: rewrite the file with `medr3 data prepare`"
            )
        except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: bytes that are not text
            yield Finding.error(
                key, f"{file}#{number + 1}: damaged from here on: {error}; get the file again"
            )
    if outside:
        yield Finding.note(
            key,
            f"{outside[0]}: the accepted answer is none of the options (as in {len(outside)} of the rows), so no rule "
            "decides an answer: name the option by its letter or its text, or use a judge",
        )
    yield from _gold_is_indexed(key, gold, [str(index) for index in indexes if index])


def _gold_is_indexed(key: str, gold: set[str], indexes: Sequence[str]) -> Iterator[Finding]:
    """Whether any gold document is in an index of this machine; silent where no index can be read."""
    wanted = set(map(canonical_id, gold))
    known = False
    for index in indexes:
        if not wanted or not Path(index).expanduser().is_dir():
            continue
        try:
            found = indexed(Path(index).expanduser(), wanted)
        except (UserError, OSError):
            continue
        if found:
            return
        known = True
    if known:
        example = min(gold)
        yield Finding.error(
            key,
            f"none of its gold documents, such as {example}, is in {', '.join(indexes)}, so retrieval would never earn "
            "anything for one; index the corpus they come from, or one with a column pmid or doi",
        )


def indexed(index: Path, wanted: set[str]) -> set[str]:
    """Those of the canonical ids `wanted` that documents of an index are known by; reads until the first is found."""
    from medr3_plugin.retrieval.index.store import DocumentStore

    with closing(DocumentStore(index / "documents")) as store:
        for document in islice(store, _SEARCHED):
            if found := wanted & document.ids:
                return found
        if len(store) > _SEARCHED:
            raise UserError(f"{index}: too large to look through")
    return set()
