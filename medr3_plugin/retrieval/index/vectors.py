"""Vectors of a corpus, encoded shard by shard so that a build that was stopped resumes where it was.

`shard-00000.npy` holds the vectors of documents 0 to 2047 in float32, and so on. A shard is written under
another name and renamed, so one that exists is complete. Whoever encodes (this process, a Ray worker) calls
`encode_shard`; `Shards` checks that all are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medr3_plugin.errors import UserError
from medr3_plugin.outputs import whole
from medr3_plugin.retrieval.index.encoder import Encoder, Vectors
from medr3_plugin.retrieval.index.store import DocumentStore

SHARD_ROWS = 2048


def shard_ranges(documents: int) -> list[tuple[int, int]]:
    """`(first, last + 1)` document of each shard."""
    return [(start, min(start + SHARD_ROWS, documents)) for start in range(0, documents, SHARD_ROWS)]


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard."""
    return folder / f"shard-{number:05d}.npy"


def is_done(path: Path, rows: int) -> bool:
    """Whether the shard is there with that many rows."""
    try:
        return len(np.load(path, mmap_mode="r", allow_pickle=False)) == rows
    except (OSError, ValueError, EOFError):
        return False


def write_shard(path: Path, vectors: Vectors) -> None:
    """Write a shard so that it is complete if it exists."""
    with whole(path) as draft, draft.open("wb") as file:
        np.save(file, vectors.astype(np.float32, copy=False))


def encode_shard(
    encoder: Encoder, store: DocumentStore, folder: Path, number: int, batch_size: int | None = None
) -> int:
    """Encode and write one shard unless it is there; returns how many documents it holds."""
    start, stop = shard_ranges(len(store))[number]
    path = shard_path(folder, number)
    if not is_done(path, stop - start):
        write_shard(path, encoder.encode_articles(list(store.texts(start, stop)), batch_size))
    return stop - start


class Shards:
    """All shards of a corpus, memory-mapped.

    Raises:
        UserError: a shard is missing or of another size.
    """

    def __init__(self, folder: Path, documents: int) -> None:
        self._paths = []
        for number, (start, stop) in enumerate(shard_ranges(documents)):
            path = shard_path(folder, number)
            if not is_done(path, stop - start):
                raise UserError(f"{path}: missing or incomplete; start the build again, it resumes there")
            self._paths.append(path)
        self.documents = documents
        self.dimension = int(self[0].shape[1])

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> Vectors:
        return np.load(self._paths[number], mmap_mode="r", allow_pickle=False)

    def __iter__(self) -> Iterator[Vectors]:
        return (self[number] for number in range(len(self)))

    def sample(self, count: int) -> Vectors:
        """`count` vectors (or all) drawn evenly from all shards."""
        if count >= self.documents:
            return np.concatenate(list(self))
        chosen = np.sort(np.random.default_rng(0).choice(self.documents, count, replace=False))
        parts = []
        for number, (start, stop) in enumerate(shard_ranges(self.documents)):
            rows = chosen[(chosen >= start) & (chosen < stop)] - start
            if len(rows):
                parts.append(np.asarray(self[number][rows]))
        return np.concatenate(parts)
