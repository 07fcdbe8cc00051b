"""Asynchronous client of the retrieval service (ours, or any server of Search-R1's protocol).

One aiohttp session per event loop; one deadline per call, retries included. A service that is away (restarting,
overloaded) is tried again, with full jitter, until the deadline, because a search that waits costs less than a batch
of invalid samples; an answer that another try is unlikely to improve (500, 408) is asked for a few more times. A
circuit breaker makes calls fail at once while a service stays dead. Every failure is a `RetrievalFailure` with a kind;
an empty result is never a failure.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import aiohttp

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.records import Hit
from medr3_plugin.retries import Tries, asked_wait
from medr3_plugin.retrieval.protocol import TOKEN_ENV, request_to_wire, response_from_wire
from medr3_plugin.yaml_section import is_address

if TYPE_CHECKING:
    from medr3_plugin.retrieval.index.filters import Filters

RETRIED_STATUS = frozenset({408, 429})  # and every 5xx
_AWAY_STATUS = frozenset({429, 502, 503, 504})  # the service is overloaded, loading, or gone behind a proxy
_FAULT_RETRIES = 4  # further tries after an answer that blames this request or the engine
BACKOFF_S = (0.1, 3.0)  # see `retries.Tries`
_CONNECTIONS = 64  # per event loop; the service joins what waits, so that more would not be faster
_MOST_BYTES = 64 << 20  # of a response
_BREAKER_FAILURES = 8  # in a row; one call's failure has used its whole deadline already


class CircuitBreaker:
    """Refuses calls for a while after several failed ones in a row.

    Closed: calls pass. After `threshold` consecutive failures it opens: calls fail at once. After
    `cooldown_s` one call may probe the service; its success closes the breaker, its failure opens it again.

    Args:
        threshold: consecutive failed calls (each with its retries) that open it; 0 switches it off.
    """

    def __init__(
        self, threshold: int, cooldown_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._threshold = threshold
        self._cooldown_s = cooldown_s
        self._clock = clock
        self._failures = 0
        self._retry_at = 0.0

    @property
    def open(self) -> bool:
        """Calls are being refused, or only a probe is let through."""
        return bool(self._threshold) and self._failures >= self._threshold

    def allow(self) -> bool:
        """Whether a call may pass now; a probe takes the only place until it has reported."""
        if not self.open:
            return True
        if self._clock() < self._retry_at:
            return False
        self._retry_at = self._clock() + self._cooldown_s
        return True

    def succeeded(self) -> None:
        """A call was answered: close."""
        self._failures = 0

    def failed(self) -> None:
        """A call failed for good."""
        self._failures += 1
        if self.open:
            self._retry_at = self._clock() + self._cooldown_s


class RetrievalClient:
    """Client of one service; satisfies `backend.RetrievalBackend`.

    Args:
        url: address of the service, e.g. `http://127.0.0.1:8765`; `/retrieve` is added unless it is there.
        timeout_s: deadline of one call, its retries included. It begins when the call has one of this client's
            connections: waiting for another call of the same process says nothing about the service.
        retries: further tries after the first, whatever failed; None: until the deadline while the service is away,
            and a few after any other answer that may change.
        token_env: name of the environment variable that holds the bearer token; not set or empty: no token.
        breaker_cooldown_s: how long calls fail at once (`circuit_open`) after several failed in a row.
        max_connections: calls per event loop that are on their way at once; those beyond wait.
        breaker_failures: how many failed calls in a row open the breaker; 0: never (load generators).
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        retries: int | None = None,
        token_env: str = TOKEN_ENV,
        breaker_cooldown_s: float = 5.0,
        max_connections: int = _CONNECTIONS,
        breaker_failures: int = _BREAKER_FAILURES,
    ) -> None:
        if not is_address(url):
            raise UserError(f"retrieval url {url!r}: expected http://HOST:PORT")
        url = url.rstrip("/")
        self.url = url if url.endswith("/retrieve") else f"{url}/retrieve"
        self._timeout_s = timeout_s
        self._retries = retries
        self._max_connections = max_connections
        self._token_env = token_env
        self._breaker = CircuitBreaker(breaker_failures, breaker_cooldown_s)
        self.closed = False
        # by event loop
        self._sessions: weakref.WeakKeyDictionary[Any, aiohttp.ClientSession] = weakref.WeakKeyDictionary()
        self._places: weakref.WeakKeyDictionary[Any, asyncio.Semaphore] = weakref.WeakKeyDictionary()

    async def search(
        self, queries: Sequence[str], topk: int, filters: Filters | None = None
    ) -> list[list[Hit]]:
        """The `topk` best hits of each query, best first.

        Raises:
            RetrievalFailure: `timeout`, `connection`, `status_<code>`, `bad_response` or `circuit_open`.
        """
        if not queries:
            return []
        # half a surrogate pair is no UTF-8, and one such query must not fail the others of a request
        body = json.dumps(request_to_wire(queries, topk, filters), ensure_ascii=False).encode(
            "utf-8", "replace"
        )
        new = asyncio.Semaphore(self._max_connections)
        async with self._places.setdefault(asyncio.get_running_loop(), new):
            # asked with a place in hand: those that wait learn from the failures of those before them
            if not self._breaker.allow():
                await asyncio.sleep(0)  # a caller that asks again at once must not block the event loop
                raise RetrievalFailure(
                    f"{self.url} failed repeatedly; it is not called for a while", "circuit_open"
                )
            try:
                results = [hits[:topk] for hits in await self._answer(body, len(queries))]
            except RetrievalFailure as failure:
                # a refusal for load or for a bad request proves that the service lives
                if failure.kind.startswith("status_4"):
                    self._breaker.succeeded()
                else:
                    self._breaker.failed()
                raise
            self._breaker.succeeded()
            return results

    async def close(self) -> None:
        """Close the session of the running loop, and drop those of other loops."""
        self.closed = True
        sessions = list(self._sessions.items())
        self._sessions.clear()
        for loop, session in sessions:
            if loop is asyncio.get_running_loop():
                await session.close()
            elif session.connector is not None:
                session.connector.close()

    async def _answer(self, body: bytes, queries: int) -> list[list[Hit]]:
        """Try until there is an answer, a failure for good, or the deadline."""
        tries = Tries(BACKOFF_S, self._timeout_s)
        failure: RetrievalFailure | None = None
        while True:
            try:
                return await asyncio.wait_for(self._post(body, queries), tries.left_s)
            except (TimeoutError, asyncio.TimeoutError) as error:
                if failure is None:
                    raise self._failure(f"no answer within {self._timeout_s:g} s", "timeout") from error
                break  # what earlier tries met says more than that the last one was cut short
            except _AgainError as error:
                failure = error.failure
                retries = self._retries
                if retries is None and not error.away:
                    retries = _FAULT_RETRIES
                if retries is not None and tries.failed >= retries:
                    raise failure from None
                if not await tries.pause(error.asked_s):
                    break
        message = f"{failure} ({tries.failed} tries in {self._timeout_s:g} s)"
        raise RetrievalFailure(message, failure.kind) from failure

    async def _post(self, body: bytes, queries: int) -> list[list[Hit]]:
        try:
            # no redirects: they would turn the POST into a GET and take the token elsewhere
            async with self._session().post(
                self.url, data=body, headers=self._headers(), allow_redirects=False
            ) as response:
                if response.status != 200:
                    await self._raise_for_status(response)
                raw = await self._read(response)
        except aiohttp.ClientPayloadError as error:
            raise _AgainError(
                self._failure(f"the answer broke off: {error}", "connection"), away=True
            ) from error
        except (aiohttp.ClientConnectionError, ConnectionError) as error:
            raise _AgainError(
                self._failure(f"no connection: {error or type(error).__name__}", "connection"), away=True
            ) from error
        except aiohttp.ClientError as error:
            raise self._failure(f"not an HTTP answer: {error}", "bad_response") from error
        try:
            return response_from_wire(json.loads(raw), queries)
        except (ValueError, RecursionError) as error:
            raise self._failure(f"the answer is not JSON, it begins {raw[:60]!r}", "bad_response") from error
        except RetrievalFailure as failure:
            raise self._failure(str(failure), failure.kind) from failure

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_chunked(1 << 16):
            size += len(chunk)
            if size > _MOST_BYTES:
                raise self._failure(f"more than {_MOST_BYTES} bytes", "bad_response")
            chunks.append(chunk)
        return b"".join(chunks)

    async def _raise_for_status(self, response: aiohttp.ClientResponse) -> None:
        detail = (await response.content.read(300)).decode("utf-8", "replace")
        failure = self._failure(f"status {response.status}: {detail}", f"status_{response.status}")
        if response.status in RETRIED_STATUS or response.status >= 500:
            raise _AgainError(
                failure,
                away=response.status in _AWAY_STATUS,
                asked_s=asked_wait(response.headers.get("Retry-After")),
            )
        raise failure

    def _failure(self, message: str, kind: str) -> RetrievalFailure:
        return RetrievalFailure(f"{self.url}: {message}", kind)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        token = os.environ.get(self._token_env) if self._token_env else None
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            # timeouts are ours (one deadline per call); aiohttp's default of 300 s must not interfere
            session = self._sessions[loop] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # the places bound them
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return session


class _AgainError(Exception):
    """A try failed in a way that another may not; `away`: the service did not look at the request."""

    def __init__(self, failure: RetrievalFailure, *, away: bool, asked_s: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.away = away
        self.asked_s = asked_s
