"""Greedy batching: the queries of concurrent callers become one engine call, without a timer.

A dense engine answers 64 queries in one call many times faster than in 64 calls. Waiting a few milliseconds
for company would buy that at the price of every lone query. Greedy batching buys it for nothing: while the
engine works, requests queue up; when it is free, it takes what is there. A lone query finds the engine free
and goes at once, and the busier the engine, the larger the batches become.

A batch is no larger than what the engine answers in a quarter of its callers' deadline, at the speed it had last: a
call that outlasts the deadline of all who wait for it would be for nobody, and so would the next. Where the queue is
bounded, a request that would not be answered in time is refused at once (`overloaded`) rather than late (`timeout`).

The engine runs in one thread of its own, started at the first search. Callers may live in any event loop of
the process: a verl agent loop worker, a test, the HTTP service.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from medr3_plugin.errors import InfrastructureFailure, RetrievalFailure, UserError
from medr3_plugin.records import Hit
from medr3_plugin.retrieval.serve.cache import Hits, ResultCache

if TYPE_CHECKING:
    from medr3_plugin.retrieval.engine import Engine
    from medr3_plugin.retrieval.index.filters import Filters

logger = logging.getLogger(__name__)

Results = list[list[Hit]]

_BATCH_SHARE = 0.25  # of its deadline that a caller's own batch may take
_QUEUE_SHARE = 0.5  # of its deadline that a new caller may have to wait: the engine may become twice as slow
_FIRST_BATCH = 4  # queries of a batch while the engine's speed is unknown
_CLOSE_S = 10.0  # for the batch in work when the batcher is closed
_FADING = 0.5  # what an engine call counts in its speed when the next has been measured


class _Request:
    """One caller's queries, and the future the caller waits on (touched only in the caller's loop)."""

    __slots__ = ("abandoned", "deadline", "filters", "future", "loop", "queries", "timeout_s", "topk")

    def __init__(
        self, queries: tuple[str, ...], topk: int, filters: Filters | None, timeout_s: float | None
    ) -> None:
        self.queries = queries
        self.topk = topk
        self.filters = filters
        self.timeout_s = timeout_s or math.inf
        self.deadline = time.monotonic() + self.timeout_s
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Results] = self.loop.create_future()
        self.abandoned = False

    def expire(self) -> None:
        if not self.future.done():
            failure = RetrievalFailure(f"no search result within {self.timeout_s:g} s", "timeout")
            self.future.set_exception(failure)

    def joins(self, other: _Request) -> bool:
        # only equal top-k and filters share a call, so that batching never changes an answer
        return self.topk == other.topk and self.filters == other.filters


_Outcomes = Sequence[tuple[_Request, Results | UserError | RetrievalFailure]]


class _Speed:
    """Queries that the engine searches in a second, from its calls so far; infinite before the first.

    The last call counts alone if it was quicker than those before: a call that stood still for a moment, or was for
    a lone query, says little about the next.
    """

    def __init__(self) -> None:
        self.known = False
        self.per_s = math.inf
        self._queries = self._seconds = 0.0

    def add(self, queries: int, seconds: float) -> None:
        self._queries = _FADING * self._queries + queries
        self._seconds = _FADING * self._seconds + max(seconds, 1e-6)
        self.per_s = max(queries / max(seconds, 1e-6), self._queries / self._seconds)
        self.known = True


class BatchObserver:
    """What a batcher reports; override to count. Called from the engine's thread."""

    def batch(self, queries: int, searched: int, seconds: float) -> None:
        """`queries` were answered together; `searched` of them went to the engine, for `seconds`."""


class Batcher:
    """Joins concurrent searches over one engine.

    Args:
        open_engine: called once, in the engine's thread, before the first search. What it raises reaches
            every caller: `UserError` as it is (a wrong path must stop a run), anything else as
            `RetrievalFailure` of kind `engine`.
        max_batch: queries joined into one engine call. A single request may hold more and is not split.
            1 switches joining off.
        max_pending: queries that may wait or be worked on; a request beyond that, or one that the engine would not
            come to in time, fails at once with kind `overloaded`. None: no bound.
        cache_hits: capacity of the result cache, in hits (see `cache.ResultCache`).
    """

    def __init__(
        self,
        open_engine: Callable[[], Engine],
        *,
        max_batch: int = 256,
        max_pending: int | None = None,
        cache_hits: int = 20_000,
        observer: BatchObserver | None = None,
    ) -> None:
        self._open_engine = open_engine
        self._max_batch = max_batch
        self._max_pending = max_pending
        self._observer = observer or BatchObserver()
        self.cache = ResultCache(cache_hits)
        self.engine: Engine | None = None
        self.failure: UserError | RetrievalFailure | None = None
        self._queue: deque[_Request] = deque()
        self._pending = 0
        self._speed = _Speed()
        self._closed = False
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """The engine is open and takes searches."""
        return self.engine is not None and not self._closed

    @property
    def opening(self) -> bool:
        """Neither ready, nor failed, nor closed."""
        return self.engine is None and self.failure is None and not self._closed

    @property
    def closed(self) -> bool:
        """`close` was called."""
        return self._closed

    @property
    def pending(self) -> int:
        """Queries waiting or being worked on."""
        return self._pending

    @property
    def backlog_s(self) -> float:
        """Seconds that these will take, at the engine's last speed."""
        return self._pending / self._speed.per_s

    def start(self) -> None:
        """Open the engine in the background, instead of at the first search."""
        with self._wake:
            if self._thread is None and not self._closed:
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
        request = _Request(tuple(queries), topk, filters, timeout_s)
        cached = self._from_cache(request)
        if cached is not None:
            return cached
        self._enqueue(request)
        # a timer of our own: `asyncio.wait_for` would cost a task for every search
        timer = request.loop.call_later(timeout_s, request.expire) if timeout_s else None
        try:
            return await request.future
        finally:
            if timer is not None:
                timer.cancel()
            # a caller that timed out or was cancelled: the engine need not work for it
            request.abandoned = True

    def close(self) -> None:
        """Finish the batch in work, fail what is queued, stop the thread. Idempotent."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_S)

    # -- callers' side -------------------------------------------------------------------------------------

    def _from_cache(self, request: _Request) -> Results | None:
        found = []
        for query in request.queries:
            hits = self.cache.get((query, request.topk, request.filters))
            if hits is None:
                return None
            found.append(list(hits))
        self._observer.batch(len(found), 0, 0.0)
        return found

    def _enqueue(self, request: _Request) -> None:
        self.start()
        size = len(request.queries)
        with self._wake:
            if self.failure is not None:
                raise self.failure.with_traceback(None)  # one instance for all callers
            if self._closed:
                raise RetrievalFailure("the retrieval backend is closed", "closed")
            if self._max_pending is not None:
                room = min(self._max_pending, self._speed.per_s * request.timeout_s * _QUEUE_SHARE)
                if self._pending + size > room:
                    self._drop_abandoned()
                # a request larger than the bound may pass alone, else it never could
                if self._pending and self._pending + size > room:
                    raise RetrievalFailure(f"{self._pending} queries are waiting already", "overloaded")
            self._pending += size
            self._queue.append(request)
            self._wake.notify()

    # -- engine's thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            engine = self._open_engine()
            engine.warm_up()
            self.engine = engine
        except (UserError, InfrastructureFailure) as error:
            self._fail_all(error if isinstance(error, UserError) else _engine_failure(error))
            return
        except Exception as error:
            logger.exception("the index cannot be opened")
            self._fail_all(_engine_failure(error))
            return
        while (batch := self._take()) is not None:
            self._answer(engine, batch)
        self._fail_all(RetrievalFailure("the retrieval backend is closed", "closed"))
        engine.close()

    def _take(self) -> list[_Request] | None:
        """The oldest request and all that may join it, as many as a batch may hold; None at the end."""
        with self._wake:
            self._drop_abandoned()
            self._refuse_late()
            while not self._queue and not self._closed:
                self._wake.wait()
            if self._closed:
                return None
            batch = [self._queue.popleft()]
            most = self._most(batch[0])
            size, rest = len(batch[0].queries), []
            while self._queue and size < most:
                request = self._queue.popleft()
                if request.joins(batch[0]) and size + len(request.queries) <= most:
                    batch.append(request)
                    size += len(request.queries)
                else:
                    rest.append(request)
            self._queue.extendleft(reversed(rest))
            return batch

    def _most(self, oldest: _Request) -> int:
        """Queries of a batch that begins with `oldest`."""
        if oldest.timeout_s == math.inf:
            return self._max_batch
        timely = self._speed.per_s * oldest.timeout_s * _BATCH_SHARE if self._speed.known else _FIRST_BATCH
        return max(1, int(min(self._max_batch, timely)))

    def _drop_abandoned(self) -> None:
        """Forget requests whose callers wait no more."""
        left = deque(request for request in self._queue if not request.abandoned)
        if len(left) < len(self._queue):
            self._pending -= sum(len(request.queries) for request in self._queue if request.abandoned)
            self._queue = left

    def _refuse_late(self) -> None:
        """Refuse what waits and would not be answered in time: the engine has become slower since it was let in."""
        if self._max_pending is None or not self._speed.known:
            return
        now, ahead = time.monotonic(), 0
        timely: deque[_Request] = deque()
        late = []
        for request in self._queue:
            size = len(request.queries)
            if timely and now + (ahead + size) / self._speed.per_s > request.deadline:
                late.append(request)
            else:
                timely.append(request)
                ahead += size
        if late:
            self._queue = timely
            self._pending -= sum(len(request.queries) for request in late)
            failure = RetrievalFailure(f"{ahead} queries are before this one, too many", "overloaded")
            _deliver([(request, failure) for request in late])

    def _answer(self, engine: Engine, batch: list[_Request]) -> None:
        wanted = [request for request in batch if not request.abandoned]
        outcomes: _Outcomes = []
        if wanted:
            try:
                found = self._search(engine, wanted)
                outcomes = [
                    (request, [list(found[query]) for query in request.queries]) for request in wanted
                ]
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
                outcomes = [(wanted[0], error if isinstance(error, UserError) else _engine_failure(error))]
        with self._wake:
            self._pending -= sum(len(request.queries) for request in batch)
        _deliver(outcomes)

    def _search(self, engine: Engine, requests: list[_Request]) -> dict[str, Hits]:
        topk, filters = requests[0].topk, requests[0].filters
        found: dict[str, Hits] = {}
        missing: dict[str, None] = {}  # a dict keeps the order; the samples of a group often ask the same
        for request in requests:
            for query in request.queries:
                cached = self.cache.get((query, topk, filters))
                if cached is None:
                    missing[query] = None
                else:
                    found[query] = cached
        start = time.perf_counter()
        if missing:
            results = engine.search(list(missing), topk, filters)
            for query, hits in zip(missing, results, strict=True):
                found[query] = tuple(hits)
                self.cache.put((query, topk, filters), found[query])
        queries, seconds = sum(len(request.queries) for request in requests), time.perf_counter() - start
        if missing:
            self._speed.add(len(missing), seconds)
        self._observer.batch(queries, len(missing), seconds)
        return found

    def _fail_all(self, failure: UserError | RetrievalFailure) -> None:
        with self._wake:
            self.failure = failure
            left, self._queue = list(self._queue), deque()
            self._pending = 0
        _deliver([(request, failure) for request in left])


def _engine_failure(error: Exception) -> RetrievalFailure:
    if isinstance(error, RetrievalFailure):
        return error
    failure = RetrievalFailure(f"the search engine failed: {error!r}", "engine")
    failure.__cause__ = error
    return failure


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
