"""The inner loops of BM25 compiled by numba, outside the GIL, cached on disk. Imported by `lexical` alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_BLOCK = 128


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]  # numba has no types
def accumulate(scores: Any, data: Any, documents: Any, bounds: Any, weights: Any) -> None:
    """See `lexical._accumulate`. Compiled code writes wherever it is told to, so what is no document goes to the last.

    A comparison that leaves the loop would take a third of its time.
    """
    starts, ends = bounds
    last = np.uint64(len(scores) - 1)
    for term in range(len(starts)):
        weight = weights[term]
        for place in range(starts[term], ends[term]):
            scores[min(np.uint64(documents[place]), last)] += weight * data[place]
    if scores[last]:
        raise IndexError("the index names a document that it does not have")


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _highest(block: Any) -> Any:
    """The highest of whole numbers from 0, sixteen at once: a loop over a slice, without a branch, over integers."""
    highest = np.int32(0)
    for place in range(len(block)):
        highest = max(highest, block[place])
    return highest


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def best(scores: Any, rows: Any, values: Any) -> int:
    """Put the highest scores above 0 into `values`, best first, and where they stand into `rows`; equal ones in order.

    Returns:
        How many there are, at most as many as the arrays hold.
    """
    found, least = 0, np.float32(0)
    # the bits of positive floats are ordered like the floats
    scores_bits, values_bits, least_bits = scores.view(np.int32), values.view(np.int32), np.int32(0)
    size = len(scores) if len(rows) else 0
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        if _highest(scores_bits[start:end]) <= least_bits:
            continue
        for row in range(start, end):
            score = scores[row]
            if not score > least:
                continue
            place = min(found, len(rows) - 1)
            while place > 0 and values[place - 1] < score:
                values[place], rows[place] = values[place - 1], rows[place - 1]
                place -= 1
            values[place], rows[place] = score, row
            found = min(found + 1, len(rows))
            if found == len(rows):
                least, least_bits = values[found - 1], values_bits[found - 1]
    return found
