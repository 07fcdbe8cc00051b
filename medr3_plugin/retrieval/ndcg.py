"""nDCG of a ranking (Järvelin and Kekäläinen 2002), with the gain that trec_eval takes: the grade itself."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence


def ndcg(grades: Mapping[str, float], ranking: Sequence[Collection[str]], k: int) -> float:
    """nDCG@k, 0 to 1.

    Args:
        grades: relevant documents and their grades, above 0.
        ranking: the ids that each retrieved document is known by, best first. A relevant document counts where it
            occurs first, so that a second passage of it gains nothing.
        k: places that count.

    >>> ndcg({"a": 1, "b": 1}, [["x"], ["a", "pmid:1"], ["a"]], k=3) == (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    True
    """
    best = sorted(grades.values(), reverse=True)[:k]
    left = dict(grades)
    gains = [max([left.pop(name) for name in names if name in left], default=0.0) for names in ranking[:k]]
    ideal = _discounted(best)
    return _discounted(gains) / ideal if ideal else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
