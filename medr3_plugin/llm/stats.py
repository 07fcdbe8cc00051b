"""The cost of using language models: counted where it arises, read wherever needed.

    with collected() as stats:
        await scorer.score([sample])
    stats.requests, stats.cache_hits, stats.failures

Outside such a block nothing is counted. Tasks started inside it count there too; a call shared by several samples
counts for the one that made it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from medr3_plugin.errors import InfrastructureFailure

logger = logging.getLogger(__name__)


@dataclass
class LLMStats:
    """Work of a model behind a server.

    Attributes:
        verdicts: answers that were put to the judge; no rule had decided them.
        cache_hits: replies taken from the store.
        shared: replies of an equal request that was under way.
        requests: requests sent, for verdicts, comparisons, triples and references, retries included.
        retries: requests sent again after a failure that may pass.
        replies: whole or cut-off replies that came back; each was paid for.
        unreadable: replies without what was asked for, whether asked for again or not.
        asked_again: of these, asked for once more.
        repaired: replies whose JSON had to be repaired.
        prompt_tokens, completion_tokens: as far as servers report them.
        latencies_s: seconds from sending to the reply or to giving up, retries included.
        failures: requests given up, by `JudgeFailure.kind`.
    """

    verdicts: int = 0
    cache_hits: int = 0
    shared: int = 0
    requests: int = 0
    retries: int = 0
    replies: int = 0
    unreadable: int = 0
    asked_again: int = 0
    repaired: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latencies_s: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def row(self) -> dict[str, Any]:
        """JSON-able; only what happened, so empty where no model was asked."""
        return {key: value for key, value in vars(self).items() if value}


_current: ContextVar[LLMStats | None] = ContextVar("medr3_llm_stats", default=None)
_told: set[tuple[str, str]] = set()


@contextmanager
def collected(stats: LLMStats | None = None) -> Iterator[LLMStats]:
    """Count what is asked inside this block, in `stats` if given."""
    stats = LLMStats() if stats is None else stats
    token = _current.set(stats)
    try:
        yield stats
    finally:
        _current.reset(token)


def current() -> LLMStats:
    """Where to count now."""
    return _current.get() or LLMStats()


def note_failure(failure: InfrastructureFailure, server: str) -> None:
    """Count a failure, and log what it said: once per server and kind in the life of the process.

    Training counts failures by kind, so without this nobody would ever see the server's own words.
    """
    current().failures[failure.kind] += 1
    if (server, failure.kind) not in _told:
        _told.add((server, failure.kind))
        logger.warning("%s [%s; the next ones of this kind are only counted]", failure, failure.kind)
