"""What judging takes: counted where it happens, read by whoever wants to know.

    with collected() as stats:
        await scorer.score([sample])
    stats.requests, stats.cache_hits, stats.failures

What happens outside such a block is not kept. Tasks that were started inside of it count there too; a call that
several samples share counts for the one that made it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class JudgeStats:
    """Work of the judge model.

    Attributes:
        verdicts: answers that were put to the judge; no rule had decided them.
        cache_hits: of these, from the cache file.
        shared: of these, answered by the call of an equal case that was in flight.
        requests: requests sent, verdicts and graphs, retries included.
        retries: requests sent again after a failure that may pass.
        asked_again: replies that were not in the protocol, asked for once more.
        repaired: replies whose JSON had to be repaired.
        latencies_s: seconds from sending to the reply or to giving up, retries included.
        failures: requests given up, by `JudgeFailure.kind`.
    """

    verdicts: int = 0
    cache_hits: int = 0
    shared: int = 0
    requests: int = 0
    retries: int = 0
    asked_again: int = 0
    repaired: int = 0
    latencies_s: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """JSON-able; only what happened, so empty where no judge was asked."""
        return {key: value for key, value in vars(self).items() if value}


_current: ContextVar[JudgeStats | None] = ContextVar("medr3_judge_stats", default=None)


@contextmanager
def collected() -> Iterator[JudgeStats]:
    """Count what is judged inside this block."""
    stats = JudgeStats()
    token = _current.set(stats)
    try:
        yield stats
    finally:
        _current.reset(token)


def current() -> JudgeStats:
    """Where to count now."""
    return _current.get() or JudgeStats()
