"""Searching an index: the protocol that service, tools and training use, and `open_index`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from medr3_plugin.errors import UserError
from medr3_plugin.records import Hit
from medr3_plugin.retrieval import manifest as manifest_file
from medr3_plugin.retrieval.filters import Filters, MaskCache
from medr3_plugin.retrieval.lexical import LexicalIndex
from medr3_plugin.retrieval.store import DocumentStore

__all__ = ["Engine", "Filters", "IndexEngine", "open_index"]


class Engine(Protocol):
    """What can be searched. Implementations are safe to call from several threads."""

    def search(self, queries: Sequence[str], topk: int, filters: Filters | None = None) -> list[list[Hit]]:
        """The `topk` best documents of each query, best first.

        A list may be shorter than `topk`: documents without any match are left out, and an empty query has
        none. `topk` beyond the number of documents returns what there is.

        Raises:
            UserError: `topk` below 1.
        """
        ...

    def warm_up(self) -> None:
        """Do now what the first searches would wait for (load an encoder, compile)."""
        ...

    def close(self) -> None:
        """Release the files; the engine cannot be used afterwards."""
        ...


class IndexEngine:
    """An index folder, opened. Use `open_index`.

    Attributes:
        path: the index folder.
        manifest: its manifest.
        store: its documents.
    """

    def __init__(
        self, path: Path, manifest: dict[str, Any], store: DocumentStore, lexical: LexicalIndex
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.store = store
        self._lexical = lexical
        self._masks = MaskCache(store)

    def __len__(self) -> int:
        return len(self.store)

    def search(self, queries: Sequence[str], topk: int, filters: Filters | None = None) -> list[list[Hit]]:
        """See `Engine.search`."""
        if topk < 1:
            raise UserError(f"topk: expected at least 1, got {topk}")
        if not queries:
            return []
        mask = self._masks.get(filters)
        if mask is not None and not mask.any():
            return [[] for _ in queries]
        rows, scores = self._lexical.search(queries, topk, mask)
        return [
            [Hit(self.store[int(row)], float(score)) for row, score in zip(*found, strict=True) if row >= 0]
            for found in zip(rows, scores, strict=True)
        ]

    def warm_up(self) -> None:
        """See `Engine.warm_up`."""
        self._lexical.warm_up()

    def close(self) -> None:
        """See `Engine.close`."""
        self.store.close()


def open_index(path: str | Path, *, verify: manifest_file.Verify = "quick") -> IndexEngine:
    """Open a finished index folder.

    Args:
        path: the folder.
        verify: `quick` hashes files up to 64 MB and samples larger ones; `full` hashes all.

    Raises:
        UserError: no index, or an unfinished, corrupted or foreign one; the message says which file and why.
    """
    folder = Path(path)
    content = manifest_file.read(folder, verify)
    store = DocumentStore(folder / "documents")
    lexical = LexicalIndex(folder / "bm25")
    if not len(store) == len(lexical) == content["documents"]["count"]:
        raise UserError(f"{folder}: documents and index differ in number; build the index again")
    return IndexEngine(folder, content, store, lexical)
