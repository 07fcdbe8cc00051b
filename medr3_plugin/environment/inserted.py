"""Which tokens of a response the model did not generate, in a form that travels with the trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def inserted_runs(mask: Sequence[int]) -> list[list[int]]:
    """`[start, end)` of each run of inserted tokens (mask 0), see `verl_adapters.response_text`.

    >>> inserted_runs([1, 1, 0, 0, 1, 0])
    [[2, 4], [5, 6]]
    """
    places = [list(run) for value, run in groupby(range(len(mask)), key=lambda i: mask[i]) if not value]
    return [[run[0], run[-1] + 1] for run in places]
