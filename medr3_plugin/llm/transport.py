"""The way to one OpenAI-compatible server: connections, retries, and what becomes of a request that fails."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import aiohttp

from medr3_plugin.errors import InfrastructureFailure, JudgeFailure
from medr3_plugin.llm.stats import current, note_failure
from medr3_plugin.retries import Tries, asked_wait

Body = Mapping[str, Any] | None

BACKOFF_S = (1.5, 20.0)  # see `retries.Tries`
_MAX_REPLY_BYTES = 4_000_000
_MAX_SAID = 300  # characters of a server's message that are passed on
_SECRET = re.compile(r"(?i)\b(?:bearer\s+[\w.~+/=-]{6,}|(?:sk|hf|pk|gsk|nvapi|xai)[-_][\w*.-]{6,})")


@dataclass
class PerLoop:
    """Connections and locks belong to the event loop they were made in.

    Attributes:
        users: requests that are under way in `session`.
        model: the question for the server's first model.
    """

    slots: asyncio.Semaphore
    session: aiohttp.ClientSession | None = None
    users: int = 0
    model: asyncio.Task[str] | None = None


@dataclass(eq=False)
class Transport:
    """Sends requests to one server; what `ChatClient` says of connections, loops and retries is done here.

    Attributes:
        base_url: address that paths are appended to.
        name: what messages call the server.
        key: goes with every request as a bearer token.
        hint: what a user can set so that a request (its body) is not refused with these words; empty for nothing.
        timeout_s, attempts, max_in_flight, use_proxies, give_up_after: see `ChatClient`.
    """

    base_url: str
    name: str
    key: str | None = field(repr=False)
    hint: Callable[[str, Body], str]
    _: KW_ONLY
    timeout_s: float
    attempts: int
    max_in_flight: int
    use_proxies: bool
    give_up_after: int

    def __post_init__(self) -> None:
        self._headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self._failures_in_a_row = 0
        # looked up once: aiohttp's trust_env reads the environment and .netrc for every request
        self._proxy = proxy_of(self.base_url) if self.use_proxies else None
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, PerLoop] = WeakKeyDictionary()

    def per_loop(self) -> PerLoop:
        """What belongs to the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            self._loops[loop] = PerLoop(asyncio.Semaphore(self.max_in_flight))
        return self._loops[loop]

    @asynccontextmanager
    async def session(self, per_loop: PerLoop) -> AsyncIterator[aiohttp.ClientSession]:
        """The session of the loop, opened by its first user and closed by its last."""
        if per_loop.session is None:
            per_loop.session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                connector=aiohttp.TCPConnector(limit=0),  # the slots are the limit
            )
        session = per_loop.session
        per_loop.users += 1
        try:
            yield session
        finally:
            per_loop.users -= 1
            if not per_loop.users:
                per_loop.session = None
                await session.close()

    async def request(self, session: aiohttp.ClientSession, method: str, path: str, body: Body) -> Any:
        """The JSON that the server answers.

        Raises:
            JudgeFailure: no attempt was answered in JSON.
        """
        if self.give_up_after and self._failures_in_a_row >= self.give_up_after:
            raise self.failure("not_asked", "was given up")
        try:
            reply = await self._sent(session, method, path, body)
        except InfrastructureFailure as failure:
            self._failures_in_a_row += is_gone(failure.kind)
            raise
        self._failures_in_a_row = 0
        return reply

    async def _sent(self, session: aiohttp.ClientSession, method: str, path: str, body: Body) -> Any:
        tries = Tries(BACKOFF_S)
        try:
            while True:
                current().requests += 1
                current().retries += tries.failed > 0
                try:
                    return json.loads(await self._send(session, method, path, body))
                except (RefusedError, aiohttp.ClientError, asyncio.TimeoutError) as error:
                    if not may_pass(error) or tries.failed + 1 >= self.attempts:
                        raise
                    await tries.pause(asked_wait(getattr(error, "retry_after", None)))
        except asyncio.TimeoutError as error:
            raise self.failure("timeout", f"did not answer within {self.timeout_s:g} s") from error
        except RefusedError as error:
            said = f"answered {error}{self.hint(str(error), body)}"
            raise self.failure(f"status_{error.status}", said) from error
        except aiohttp.ClientError as error:
            raise self.failure("connection", f"cannot be reached: {error}") from error
        except (ValueError, RecursionError) as error:
            raise self.failure("bad_response", f"did not answer in JSON: {error}") from error

    async def _send(self, session: aiohttp.ClientSession, method: str, path: str, body: Body) -> bytes:
        url = self.base_url + path
        async with session.request(
            method, url, json=body, proxy=self._proxy, allow_redirects=False
        ) as response:
            text = bytearray()
            async for chunk in response.content.iter_any():
                text += chunk
                if len(text) > _MAX_REPLY_BYTES:
                    raise ValueError(f"more than {_MAX_REPLY_BYTES} bytes")
            if response.status != 200:
                said = quoted(text.decode(errors="replace"), self.key)
                raise RefusedError(response.status, said, response.headers.get("Retry-After", ""))
            return bytes(text)

    def failure(self, kind: str, what: str) -> InfrastructureFailure:
        """The failure of this server, counted; `what` follows its name."""
        failure = JudgeFailure(f"{self.name} {what}", kind=kind)
        note_failure(failure, self.name)
        return failure


class RefusedError(Exception):
    """The server answered with another status than 200."""

    def __init__(self, status: int, text: str, retry_after: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.retry_after = retry_after


def is_gone(kind: str) -> bool:
    """Whether a failure of this kind says that the server will not answer the next request either."""
    return kind in {"connection", "timeout", "status_401", "status_402", "status_403", "status_404"} or (
        kind.startswith("status_5")
    )


def may_pass(error: Exception) -> bool:
    """Whether to send again."""
    if isinstance(error, RefusedError):
        return error.status in (408, 429) or error.status >= 500
    return not isinstance(error, aiohttp.InvalidURL)


def quoted(text: str, key: str | None) -> str:
    """What a server said, short and on one line, without keys: servers repeat the one they refuse."""
    try:
        said = json.loads(text)
        for field in ("error", "message", "detail"):
            said = said[field] if isinstance(said, dict) and said.get(field) else said
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    text = " ".join(text.split())
    if key:
        text = text.replace(key, "***")
    return _SECRET.sub("***", text)[:_MAX_SAID].rstrip(" .;")


def without_credentials(url: str) -> str:
    """`url` without user and password."""
    return re.sub(r"(?<=//)[^/@]*@", "", url)


def proxy_of(url: str) -> str | None:
    """The proxy that the environment names for `url`."""
    address = urlsplit(url)
    if proxy_bypass(address.hostname or ""):
        return None
    return getproxies().get(address.scheme)
