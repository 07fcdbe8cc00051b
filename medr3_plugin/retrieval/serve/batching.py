"""Greedy batching: the queries of concurrent callers become one engine call, without a timer.

A dense engine answers 64 queries in one call many times faster than in 64 calls. Waiting a few milliseconds for company
would buy that at the price of every lone query. Greedy batching buys it for nothing: while the engine works, requests
queue up; when it is free, it takes what is there. A lone query finds the engine free and goes at once.

A batch is no larger than what the engine answers in a quarter of its callers' deadline, at the speed it had last: a
call that outlasts the deadline of all who wait for it would be for nobody, and so would the next. Where the queue is
bounded, a request that would not be answered in time is refused at once (`overloaded`) rather than late (`timeout`).
The engine runs in one thread of its own. Callers may live in any event loop of the process.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import LRUCache

from medr3_plugin.errors import InfrastructureFailure, RetrievalFailure, UserError
from medr3_plugin.records import Hit

if TYPE_CHECKING:
    from medr3_plugin.retrieval.engine import Engine
    from medr3_plugin.retrieval.index.filters import Filters

logger = logging.getLogger(__name__)

Hits = tuple[Hit, ...]
Results = list[list[Hit]]
_Key = tuple[str, int, "Filters | None"]

_BATCH_SHARE = 0.25  # of its deadline that a caller's own batch may take
_QUEUE_SHARE = 0.5  # of its deadline that a new caller may have to wait: the engine may become twice as slow
_FIRST_BATCH = 4  # queries of a batch while the engine's speed is unknown
_CLOSE_S = 10.0  # for the batch in work when the batcher is closed
_FADING = 0.5  # what an engine call counts in its speed when the next has been measured


@dataclass(slots=True, eq=False)
class _Request:
    """One caller's queries, and the future the caller waits on (set only in the caller's loop)."""

    queries: tuple[str, ...]
    topk: int
    filters: Filters | None
    timeout_s: float
    deadline: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Results]


_Outcomes = Sequence[tuple[_Request, Results | UserError | RetrievalFailure]]


class Batcher:
    """Joins concurrent searches over one engine.

    Args:
        open_engine: called once, in the engine's thread, before the first search. What it raises reaches every caller:
            `UserError` as it is (a wrong path must stop a run), anything else as `RetrievalFailure` of kind `engine`.
        max_batch: queries joined into one engine call. A single request may hold more and is not split.
        max_pending: queries that may wait or be worked on; a request beyond that, or one that the engine would not
            come to in time, fails at once with kind `overloaded`. None: no bound.
        cache_hits: hits that the cache of results holds at most, an empty result counted as one; 0: no cache.
        observe: told how many queries were answered together, how many of them the engine searched, for how long.

    Attributes:
        engine: once it is open.
        failure: why it cannot be opened, or no longer searches.
        pending: queries waiting or being worked on.
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        *,
        max_batch: int = 256,
        max_pending: int | None = None,
        cache_hits: int = 20_000,
        observe: Callable[[int, int, float], object] = lambda *_: None,
    ) -> None:
        self.engine: Engine | None = None
        self.failure: UserError | RetrievalFailure | None = None
        self.pending = 0
        self.closed = False
        self._open_engine = open_engine
        self._max_batch = max_batch
        self._max_pending = max_pending
        self._observe = observe
        # hits are counted, not entries: that bounds the memory whatever the callers' top-k
        self._cache: LRUCache[_Key, Hits] = LRUCache(cache_hits, getsizeof=lambda hits: max(1, len(hits)))
        self._cache_lock = threading.Lock()
        self._queue: deque[_Request] = deque()
        self._per_s = math.inf  # queries that the engine searches in a second; infinite before its first call
        self._timed = (0.0, 0.0)  # queries and seconds of its calls, older ones faded
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """The engine is open and takes searches."""
        return self.engine is not None and not self.closed

    @property
    def backlog_s(self) -> float:
        """Seconds that what is pending will take, at the engine's last speed."""
        return self.pending / self._per_s

    async def opened(self) -> None:
        """Open the engine and wait until it is open, or cannot be opened (`failure`)."""
        self.start()
        # polled, because any event loop may wait for it, and it happens once in a process
        while self.engine is None and self.failure is None and not self.closed:
            await asyncio.sleep(0.005)

    def start(self) -> None:
        """Open the engine in the background, instead of at the first search."""
        with self._wake:
            if self._thread is None and not self.closed:
                self._thread = threading.Thread(target=self._run, name="medr3-retrieval", daemon=True)
                self._thread.start()

    async def search(
        self,
        queries: Sequence[str],
        topk: int,
        filters: Filters | None = None,
        timeout_s: float | None = None,
    ) -> Results:
        """The `topk` best hits of each query, best first.

        Raises:
            RetrievalFailure: `timeout`, `overloaded`, `engine` (it raised) or `closed`.
            UserError: the index cannot be opened.
        """
        if not queries:
            return []
        known = self._cached(queries, topk, filters)
        if len(known) == len(set(queries)):
            self._observe(len(queries), 0, 0.0)
            return [list(known[query]) for query in queries]
        loop, most_s, now = asyncio.get_running_loop(), timeout_s or math.inf, time.monotonic()
        request = _Request(tuple(queries), topk, filters, most_s, now + most_s, loop, loop.create_future())
        self._enqueue(request)
        # a timer of our own: `asyncio.wait_for` would cost a task for every search
        timer = loop.call_later(timeout_s, _expire, request) if timeout_s else None
        try:
            return await request.future
        finally:
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """Finish the batch in work, fail what is queued, stop the thread. Idempotent."""
        with self._wake:
            self.closed = True
            self._wake.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_S)

    def _cached(self, queries: Iterable[str], topk: int, filters: Filters | None) -> dict[str, Hits]:
        with self._cache_lock:
            found = {query: self._cache.get((query, topk, filters)) for query in queries}
        return {query: hits for query, hits in found.items() if hits is not None}

    def _enqueue(self, request: _Request) -> None:
        self.start()
        with self._wake:
            if self.failure is not None:
                raise self.failure.with_traceback(None)  # one instance for all callers
            if self.closed:
                raise RetrievalFailure("the retrieval backend is closed", "closed")
            size, room = len(request.queries), math.inf
            if self._max_pending is not None:
                room = min(self._max_pending, self._per_s * request.timeout_s * _QUEUE_SHARE)
            if self.pending + size > room:
                self._leave([waiting for waiting in self._queue if waiting.future.done()])
            # a request larger than the bound may pass alone, else it never could
            if self.pending and self.pending + size > room:
                raise RetrievalFailure(f"{self.pending} queries are waiting already", "overloaded")
            self.pending += size
            self._queue.append(request)
            self._wake.notify()

    def _leave(self, requests: Sequence[_Request]) -> None:
        """Take requests out of the queue."""
        if requests:
            gone = set(requests)
            self._queue = deque(request for request in self._queue if request not in gone)
            self.pending -= sum(len(request.queries) for request in requests)

    def _run(self) -> None:  # this and what follows in the engine's thread
        try:
            engine = self._open_engine()
            engine.warm_up()
            self.engine = engine
        except Exception as error:
            if not isinstance(error, (UserError, InfrastructureFailure)):
                logger.exception("the index cannot be opened")
            self._fail_all(_failure(error))
            return
        while (batch := self._take()) is not None:
            self._answer(engine, batch)
        self._fail_all(RetrievalFailure("the retrieval backend is closed", "closed"))
        engine.close()

    def _take(self) -> list[_Request] | None:
        """The oldest request and all that may join it, as many as a batch may hold; None at the end."""
        with self._wake:
            self._tidy()
            while not self._queue and not self.closed:
                self._wake.wait()
            if self.closed:
                return None
            asked, most = self._queue.popleft(), self._max_batch
            if asked.timeout_s < math.inf:
                timely = self._per_s * asked.timeout_s * _BATCH_SHARE
                most = max(1, int(min(most, _FIRST_BATCH if timely == math.inf else timely)))
            batch, rest, size = [asked], [], len(asked.queries)
            while self._queue and size < most:
                request = self._queue.popleft()
                # only equal top-k and filters share a call, so that batching never changes an answer
                joins = request.topk == asked.topk and request.filters == asked.filters
                if joins and size + len(request.queries) <= most:
                    batch.append(request)
                    size += len(request.queries)
                else:
                    rest.append(request)
            self._queue.extendleft(reversed(rest))
            return batch

    def _tidy(self) -> None:
        """Forget whose callers wait no more, and refuse what would be late: the engine may be slower than it was."""
        now, ahead = time.monotonic(), 0
        gone, late = [], []
        for request in self._queue:
            in_time = now + (ahead + len(request.queries)) / self._per_s <= request.deadline
            if request.future.done():
                gone.append(request)
            elif ahead and not in_time and self._max_pending is not None:
                late.append(request)
            else:
                ahead += len(request.queries)
        self._leave(gone + late)
        failure = RetrievalFailure(f"{ahead} queries are before this one, too many", "overloaded")
        _deliver([(request, failure) for request in late])

    def _answer(self, engine: Engine, batch: list[_Request]) -> None:
        wanted = [request for request in batch if not request.future.done()]
        outcomes: _Outcomes = []
        try:
            found = self._search(engine, wanted) if wanted else {}
            outcomes = [(request, [list(found[query]) for query in request.queries]) for request in wanted]
        except RetrievalFailure as failure:
            # the engine's own server failed, whatever was asked: no use in asking for each alone
            outcomes = [(request, failure) for request in wanted]
        except Exception as error:
            if len(wanted) > 1:
                # one caller's query must not fail the others: search each alone
                for request in batch:
                    self._answer(engine, [request])
                return
            if not isinstance(error, UserError):
                logger.exception("the engine failed on %d queries", len(wanted[0].queries))
            outcomes = [(wanted[0], _failure(error))]
        with self._wake:
            self.pending -= sum(len(request.queries) for request in batch)
        _deliver(outcomes)

    def _search(self, engine: Engine, requests: list[_Request]) -> dict[str, Hits]:
        topk, filters = requests[0].topk, requests[0].filters
        queries = [query for request in requests for query in request.queries]
        found = self._cached(queries, topk, filters)
        # the samples of a group often ask the same
        missing = [query for query in dict.fromkeys(queries) if query not in found]
        start = time.perf_counter()
        if missing:
            for query, hits in zip(missing, engine.search(missing, topk, filters), strict=True):
                found[query] = tuple(hits)
                with self._cache_lock, suppress(ValueError):  # more hits than the cache may hold
                    self._cache[query, topk, filters] = found[query]
            self._measured(len(missing), max(time.perf_counter() - start, 1e-6))
        self._observe(len(queries), len(missing), time.perf_counter() - start)
        return found

    def _measured(self, queries: int, seconds: float) -> None:
        """Learn the engine's speed from a call: a slow one, or for a lone query, says little about the next."""
        self._timed = _FADING * self._timed[0] + queries, _FADING * self._timed[1] + seconds
        self._per_s = max(queries / seconds, self._timed[0] / self._timed[1])

    def _fail_all(self, failure: UserError | RetrievalFailure) -> None:
        with self._wake:
            self.failure = failure
            left, self._queue = list(self._queue), deque()
            self.pending = 0
        _deliver([(request, failure) for request in left])


def _failure(error: Exception) -> UserError | RetrievalFailure:
    """What callers get for what the engine raised."""
    if isinstance(error, (UserError, RetrievalFailure)):
        return error
    failure = RetrievalFailure(f"the search engine failed: {error!r}", "engine")
    failure.__cause__ = error
    return failure


def _expire(request: _Request) -> None:
    _resolve([(request, RetrievalFailure(f"no search result within {request.timeout_s:g} s", "timeout"))])


def _deliver(outcomes: _Outcomes) -> None:
    """Hand results to the callers, with one wake-up per event loop."""
    by_loop = defaultdict(list)
    for request, outcome in outcomes:
        by_loop[request.loop].append((request, outcome))
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, group)
        except RuntimeError:  # the loop was closed while its caller waited: nobody is left to tell
            logger.debug("an event loop closed before its %d searches were answered", len(group))


def _resolve(group: _Outcomes) -> None:
    for request, outcome in group:
        if request.future.done():
            continue
        if isinstance(outcome, Exception):
            request.future.set_exception(outcome)
        else:
            request.future.set_result(outcome)
