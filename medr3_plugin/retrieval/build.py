"""Building an index folder: documents, engines, manifest.

Everything is written into a hidden folder beside the target and renamed when the manifest is on disk: a
build that is killed or runs out of disk leaves the target as it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from tqdm import tqdm

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval import manifest as manifest_file
from medr3_plugin.retrieval.corpus import BadRows, read_corpus
from medr3_plugin.retrieval.lexical_build import build_lexical
from medr3_plugin.retrieval.store import DocumentStore, StoreWriter

EngineName = Literal["bm25", "dense", "hybrid"]
T = TypeVar("T")


def build_index(
    corpus: str | Path | Iterable[str | Path],
    out: str | Path,
    engine: EngineName = "bm25",
    *,
    bad_rows: BadRows | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Build an index and return its manifest.

    Args:
        corpus: see `corpus.read_corpus`.
        out: the index folder to create.
        engine: what to build.
        bad_rows: count and skip wrong rows instead of raising.
        overwrite: replace an index at `out`.

    Raises:
        UserError: a wrong row, an existing `out`, no space.
    """
    target = Path(out)
    if target.exists() and not overwrite:
        raise UserError(f"{target}: exists; choose another folder or pass --overwrite")
    building = target.parent / f".{target.name}.building"
    if building.exists():
        shutil.rmtree(building)
    building.mkdir(parents=True)
    try:
        summary = _write_documents(read_corpus(corpus, bad_rows=bad_rows), building / "documents")
        store = DocumentStore(building / "documents")
        content: dict[str, Any] = {"engine": engine, "documents": summary}
        content["bm25"] = build_lexical(_bar(store.texts(), "BM25", len(store)), building / "bm25")
        store.close()
        content["versions"] = manifest_file.versions("medr3-plugin", "bm25s", "PyStemmer", "numpy")
        written = manifest_file.write(building, content)
    except OSError as error:
        raise UserError(
            f"{building}: {error.strerror or error}; free space or choose another folder"
        ) from error
    if target.exists():
        shutil.rmtree(target)
    building.rename(target)
    return written


def _write_documents(documents: Iterable[Document], folder: Path) -> dict[str, Any]:
    with StoreWriter(folder) as writer:
        for document in _bar(documents, "documents"):
            writer.add(document)
        summary = writer.summary()
    if not summary["count"]:
        raise UserError("the corpus holds no document")
    return summary


def _bar(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    # disable=None: no bar when stderr is not a terminal
    yield from tqdm(items, desc=title, total=total, unit=" documents", disable=None)
