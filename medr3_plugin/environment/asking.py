"""One search of a trajectory: what the backend found, what of it is new, and what to show if nothing is."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.records import MAX_QUERY_CHARS, Hit, SearchTurn, is_query

logger = logging.getLogger(__name__)

Search = Callable[[str], Awaitable[Sequence[Hit]]]


class Answer(NamedTuple):
    """What a search brought.

    Attributes:
        turn: its record; `shown` is for the caller to fill in.
        new: hits that were not shown before; what to show, if there are any.
        line: the neutral line to show otherwise.
    """

    turn: SearchTurn
    new: list[Hit]
    line: str


async def ask(
    query: str, before: Iterable[SearchTurn], search: Search, settings: EnvironmentSettings
) -> Answer:
    """Run one search; never raises because of the model or a service.

    Args:
        query: as the model wrote it.
        before: the trajectory's searches so far; what they showed is not shown again.
    """
    query = query.strip()
    if not is_query(query):
        return Answer(SearchTurn(query[:MAX_QUERY_CHARS], outcome="malformed"), [], settings.malformed_line)
    started = time.perf_counter()
    try:
        hits = tuple(await search(query))
    except (RetrievalFailure, UserError) as error:
        # the record makes the sample invalid; an exception would end the trajectory without one
        kind = error.kind if isinstance(error, RetrievalFailure) else "setup"
        logger.error("search failed (%s): %s", kind, error)
        failed = SearchTurn(query, outcome="failed", latency_s=time.perf_counter() - started, failure=kind)
        return Answer(failed, [], settings.failed_line)
    latency = time.perf_counter() - started
    if not hits:
        return Answer(SearchTurn(query, outcome="empty", latency_s=latency), [], settings.empty_line)
    seen = {document_id for turn in before for document_id in turn.shown}
    new = [hit for hit in hits if hit.document.id not in seen]
    turn = SearchTurn(query, hits, (), "ok" if new else "duplicate", latency)
    return Answer(turn, new, settings.duplicate_line)
