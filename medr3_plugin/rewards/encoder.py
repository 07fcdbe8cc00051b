"""The sentence encoder behind the semantic term: sentence-transformers, batched, off the event loop."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medr3_plugin.errors import EncoderFailure, MissingExtra, UserError

Vectors = NDArray[np.float32]

MAX_CHUNKS = 8
"""A text longer than the encoder's window is cut into at most so many chunks; their mean stands for it."""

CACHED = 16384
"""Embeddings kept (references come back in every epoch)."""

CALIBRATED = {r"all[-_]minilm[-_]l6[-_]v2": 0.3}
"""c0 by encoder (pattern in its path): mean cosine of unrelated medical reasoning texts."""


def c0_for(path: str) -> float:
    """The calibrated c0 of an encoder.

    Raises:
        UserError: it is not known; `medr3_plugin.rewards.calibration` measures it.
    """
    for pattern, value in CALIBRATED.items():
        if re.search(pattern, path, re.IGNORECASE):
            return value
    raise UserError(
        f"medr3.reward.encoder.c0: not calibrated for {path}; set it to the mean cosine of unrelated "
        "reasoning texts (python -m medr3_plugin.rewards.calibration measures it)"
    )


class SentenceEncoder:
    """Texts to unit vectors.

    Calls that wait at the same time share a batch: while one batch is computed in a thread, the texts of all
    other callers collect for the next.

    Args:
        path: folder or hub name of a sentence-transformers model.
        batch_size: texts per forward pass.
        device: torch device; None lets sentence-transformers choose.

    Raises:
        MissingExtra: sentence-transformers is not installed.
        UserError: `path` looks like a folder and does not exist.
    """

    def __init__(self, path: str, batch_size: int = 64, device: str | None = None) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtra("sentence-transformers", "dense", "the semantic reward")
        if path.startswith((".", "/", "~")) and not Path(path).expanduser().is_dir():
            raise UserError(f"medr3.reward.encoder.path: no folder {path}")
        self.path = path
        self.batch_size = batch_size
        self.device = device
        self._model: Any = None
        self._loading = threading.Lock()
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Vectors]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of `texts`, shape (len(texts), dimension), float32.

        Raises:
            EncoderFailure: the model could not be loaded or failed.
        """
        vectors = await asyncio.gather(*(self._vector(text) for text in texts))
        return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)

    def encode_now(self, texts: Sequence[str]) -> Vectors:
        """As `encode`, blocking and without cache.

        Raises:
            EncoderFailure: the model could not be loaded or failed.
        """
        try:
            model = self._load()
            chunks = [_chunks(text, model.get_max_seq_length()) for text in texts]
            flat = [chunk for parts in chunks for chunk in parts]
            encoded = model.encode(
                flat,
                batch_size=self.batch_size,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        except (RuntimeError, OSError, ValueError, MemoryError) as error:
            raise EncoderFailure(f"encoder {self.path}: {error}", type(error).__name__.lower()) from error
        ends = np.cumsum([len(parts) for parts in chunks])
        means = [part.mean(axis=0) for part in np.split(encoded.astype(np.float32), ends[:-1])]
        return np.stack([mean / max(float(np.linalg.norm(mean)), 1e-12) for mean in means])

    async def _vector(self, text: str) -> Vectors:
        if (cached := self._cache.get(text)) is not None:
            self._cache.move_to_end(text)
            return cached
        future = self._waiting.get(text)
        if future is None:
            future = self._waiting[text] = asyncio.get_running_loop().create_future()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await asyncio.shield(future)

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                vectors = await asyncio.to_thread(self.encode_now, list(batch))
            except (
                Exception
            ) as error:  # whatever it is belongs to those who wait, or they would wait for ever
                for future in batch.values():
                    future.set_exception(error)
                    future.exception()  # read once here, in case nobody is waiting any more
                continue
            for (text, future), vector in zip(batch.items(), vectors, strict=True):
                self._cache[text] = vector
                future.set_result(vector)
            while len(self._cache) > CACHED:
                self._cache.popitem(last=False)

    def _load(self) -> Any:
        with self._loading:
            if self._model is None:
                from sentence_transformers import SentenceTransformer

                self._model = SentenceTransformer(str(Path(self.path).expanduser()), device=self.device)
            return self._model


def _chunks(text: str, max_tokens: int | None) -> list[str]:
    """Pieces of at most about `max_tokens` tokens (three quarters as many words), evenly long."""
    words = text.split()
    limit = max(16, (max_tokens or 512) * 3 // 4)
    count = min(MAX_CHUNKS, max(1, -(-len(words) // limit)))
    if count == 1:
        return [text]
    bounds = np.linspace(0, len(words), count + 1).astype(int)
    return [" ".join(words[a:b]) for a, b in itertools.pairwise(bounds)]
