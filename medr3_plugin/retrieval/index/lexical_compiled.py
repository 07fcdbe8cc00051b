"""The inner loop of BM25 compiled by numba, outside the GIL, cached on disk. Imported by `lexical` alone."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def accumulate(scores: Any, data: Any, documents: Any, starts: Any, ends: Any) -> None:
    """See `lexical._accumulate`. Compiled code writes wherever it is told to, so the places are checked here."""
    for term in range(len(starts)):
        for place in range(starts[term], ends[term]):
            document = documents[place]
            if document < 0 or document >= len(scores):
                raise IndexError("the index names a document that it does not have")
            scores[document] += data[place]
