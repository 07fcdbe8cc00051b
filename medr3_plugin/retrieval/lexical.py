"""BM25 over a memory-mapped index (bm25s): tokenising, opening, searching.

`bm25s` keeps, for each term, the documents that hold it with their finished scores, so a query is a sum over
a few slices. With `numba` installed and after `warm_up`, sum and selection run compiled and outside the GIL.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.filters import Mask

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

MAX_QUERY_CHARACTERS = 16_384
"""Longer queries are cut: some 2,500 words are more than any question, and bound the time of a search."""

K1, B = 1.5, 0.75
_WORD = re.compile(r"\b\w\w+\b")
_local = threading.local()


def stem(words: list[str]) -> list[str]:
    """English (Porter 2) stems."""
    # a Stemmer is not safe to share between threads
    stemmer = getattr(_local, "stemmer", None)
    if stemmer is None:
        import Stemmer

        stemmer = _local.stemmer = Stemmer.Stemmer("english")
    return stemmer.stemWords(words)


def stop_words() -> frozenset[str]:
    """English stop words, those of bm25s."""
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)


def words_of(text: str) -> list[str]:
    """Lower-case words of two or more characters."""
    return _WORD.findall(text.lower())


class LexicalIndex:
    """A BM25 index opened from its folder; safe to use from several threads.

    Raises:
        UserError: the folder does not hold a whole index.
    """

    def __init__(self, folder: Path) -> None:
        import bm25s

        try:
            self._bm25: Any = bm25s.BM25.load(folder, mmap=True, backend="numpy", show_progress=False)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder}: not a whole BM25 index ({error}); build it again") from error
        self._vocabulary: dict[str, int] = self._bm25.vocab_dict
        self._stop_words = stop_words()

    def __len__(self) -> int:
        return int(self._bm25.scores["num_docs"])

    def terms(self, query: str) -> list[int]:
        """Term numbers of a query, repeated as often as they occur; unknown words are left out."""
        words = words_of(query[:MAX_QUERY_CHARACTERS].encode("utf-8", "replace").decode())
        stems = stem([word for word in words if word not in self._stop_words])
        return [self._vocabulary[word] for word in stems if word in self._vocabulary]

    def search(self, queries: Sequence[str], topk: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """`[queries, topk]` row numbers and scores, best first; -1 where fewer documents match."""
        topk = min(topk, len(self))
        rows = np.full((len(queries), topk), -1, dtype=np.int64)
        scores = np.zeros((len(queries), topk), dtype=np.float32)
        terms = [self.terms(query) for query in queries]
        known = [number for number, query_terms in enumerate(terms) if query_terms]
        if not known or not topk:
            return rows, scores
        found = self._bm25.retrieve(
            [terms[number] for number in known],
            k=topk,
            show_progress=False,
            weight_mask=None if mask is None else mask.astype(np.float32),
        )
        rows[known] = np.where(found.scores > 0, found.documents, -1)
        scores[known] = np.maximum(found.scores, 0)
        return rows, scores

    def warm_up(self) -> None:
        """Compile the search, if numba is installed: some seconds, worth it for a service."""
        import bm25s

        if bm25s.NUMBA_AVAILABLE and self._bm25.backend != "numba":
            self._bm25.backend = "numba"
            self._bm25.activate_numba_scorer()
            self._bm25.retrieve([[0]], k=min(10, len(self)), show_progress=False)
