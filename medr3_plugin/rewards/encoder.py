"""The sentence encoder behind the semantic term: batched across callers, off the event loop, remembered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from medr3_plugin.errors import EncoderFailure, UserError
from medr3_plugin.knowledge.text import words

Vectors = NDArray[np.float32]

MAX_CHUNKS = 8
"""Windows of a text that are encoded at most; their mean stands for the text."""

CACHED = 16384
"""Embeddings kept: the references come back with every rollout of a prompt, and in every epoch."""

CALIBRATED = {r"all[-_]minilm[-_]l6[-_]v2": 0.35}
"""c0 by encoder (a pattern in its path); how it was measured: docs/FIDELITY.md."""


class TextEncoder(Protocol):
    """What turns texts into vectors: `retrieval.index.encoder.Encoder`."""

    def encode_articles(self, texts: Sequence[str], batch_size: int = 32) -> Vectors:
        """`[texts, dimension]` float32."""
        ...


def c0_for(path: str) -> float:
    """The calibrated c0 of an encoder.

    Raises:
        UserError: it is not known.
    """
    for pattern, value in CALIBRATED.items():
        if re.search(pattern, path, re.IGNORECASE):
            return value
    raise UserError(
        f"medr3.reward.encoder.c0: unknown for {path}; set it to the mean cosine of unrelated reasoning "
        "texts (medr3_plugin.rewards.encoder.calibrate measures it)"
    )


class SentenceEncoder:
    """Texts to unit vectors.

    Callers that wait at the same time share a batch: while one is computed in a thread, the texts of all
    other callers collect for the next. A text longer than the encoder's window is cut into windows.

    Args:
        encoder: computes the vectors.
        batch_size: texts per forward pass.
        window: words encoded at a time (a Chinese character counts as one).
    """

    def __init__(self, encoder: TextEncoder, batch_size: int = 64, window: int = 180) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._window = window
        self._cache: LRUCache[str, Vectors] = LRUCache(CACHED)
        self._waiting: dict[str, asyncio.Future[Vectors]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def encode(self, texts: Sequence[str]) -> list[Vectors]:
        """Unit vectors of `texts`.

        Raises:
            EncoderFailure: the encoder failed.
        """
        return list(await asyncio.gather(*(self._vector(text) for text in texts)))

    def encode_now(self, texts: Sequence[str]) -> Vectors:
        """As `encode`, blocking and without memory: `[texts, dimension]`.

        Raises:
            EncoderFailure: the encoder failed.
        """
        pieces = [windows(text, self._window) for text in texts]
        try:
            encoded = self._encoder.encode_articles([p for parts in pieces for p in parts], self._batch_size)
        except (RuntimeError, OSError, ValueError, MemoryError) as error:  # torch: out of memory and the like
            raise EncoderFailure(f"sentence encoder: {error}", type(error).__name__.lower()) from error
        starts = np.cumsum([0, *(len(parts) for parts in pieces[:-1])])
        sums = np.add.reduceat(encoded, starts, axis=0)
        norms = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(sums / np.maximum(norms, 1e-12), np.float32)

    async def _vector(self, text: str) -> Vectors:
        if text in self._cache:
            return self._cache[text]
        if text not in self._waiting:
            self._waiting[text] = asyncio.get_running_loop().create_future()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await asyncio.shield(self._waiting[text])

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                vectors = await asyncio.to_thread(self.encode_now, list(batch))
            except Exception as error:  # passed on to the callers, who would otherwise wait forever
                for future in batch.values():
                    future.set_exception(error)
                    future.exception()  # retrieved here, in case no one is waiting any more
                continue
            for (text, future), vector in zip(batch.items(), vectors, strict=True):
                self._cache[text] = vector
                future.set_result(vector)


def windows(text: str, size: int) -> list[str]:
    """`text` cut into evenly long pieces of at most `size` words; of a very long text the first `MAX_CHUNKS`.

    >>> windows("one two three four five", 3)
    ['one two', 'three four five']
    """
    found = words(text)
    count = -(-len(found) // size)
    if count <= 1:
        return [text]
    bounds = np.linspace(0, len(found), count + 1).astype(int).tolist()
    cuts = [found[i][1] for i in bounds[1:-1]]
    return [text[a:b].strip() for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)][:MAX_CHUNKS]


def calibrate(encoder: SentenceEncoder, texts: Sequence[str]) -> tuple[float, float]:
    """c0 of an encoder: mean and standard deviation of the cosine over all pairs of `texts`.

    Args:
        texts: reasoning texts of the task's kind, one per case; a hundred will do.
    """
    vectors = encoder.encode_now(texts)
    cosines = (vectors @ vectors.T)[np.triu_indices(len(texts), k=1)]
    return float(cosines.mean()), float(cosines.std())
