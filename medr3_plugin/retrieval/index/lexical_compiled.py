"""The inner loops of BM25 compiled by numba, outside the GIL, cached on disk. Imported by `lexical` alone."""

from __future__ import annotations

from typing import Any

from numba import njit


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def accumulate(scores: Any, data: Any, documents: Any, bounds: Any, weights: Any) -> None:
    """See `lexical._accumulate`. Compiled code writes wherever it is told to, so the places are checked here."""
    starts, ends = bounds
    for term in range(len(starts)):
        weight = weights[term]
        for place in range(starts[term], ends[term]):
            document = documents[place]
            if document < 0 or document >= len(scores):
                raise IndexError("the index names a document that it does not have")
            scores[document] += weight * data[place]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def best(scores: Any, rows: Any, values: Any) -> int:
    """Put the highest scores above 0 into `values`, best first, and where they stand into `rows`; equal ones in order.

    Returns:
        How many there are, at most as many as the arrays hold.
    """
    found, least = 0, 0.0
    for row in range(len(scores) if len(rows) else 0):
        score = scores[row]
        if score <= least:
            continue
        place = min(found, len(rows) - 1)
        while place > 0 and values[place - 1] < score:
            values[place], rows[place] = values[place - 1], rows[place - 1]
            place -= 1
        values[place], rows[place] = score, row
        found = min(found + 1, len(rows))
        if found == len(rows):
            least = values[found - 1]
    return found
