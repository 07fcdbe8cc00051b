"""Replies on disk, each asked for once: however many samples, runs and processes want it.

One sqlite file holds replies by a hash of all that decides them, so a changed prompt, model or parameter never meets
an old reply. An equal request that is under way is waited for: in this process by its task, in other processes by a
claim in the file. A claim lives as long as its process renews it, so nobody waits long for one that was killed.

What that holds for: processes that open the same file on one machine. sqlite's shared memory does not reach over
network file systems, so the reward workers of each node share what their node knows, and ask once per node.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError
from medr3_plugin.llm.client import Completion
from medr3_plugin.llm.stats import current

logger = logging.getLogger(__name__)

_TABLE = """
CREATE TABLE IF NOT EXISTS reply (
    key TEXT PRIMARY KEY,
    text TEXT,             -- NULL: a claim, somebody is asking
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    truncated INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    seen REAL NOT NULL     -- when it was stored, or the claim last renewed
) WITHOUT ROWID
"""
_OF_BEFORE = """
INSERT OR IGNORE INTO reply (key, text, prompt_tokens, completion_tokens, seen)
SELECT key, reply, prompt_tokens, completion_tokens, created FROM call
"""
_FIND = "SELECT text, prompt_tokens, completion_tokens, truncated FROM reply WHERE key = ?"
_CLAIM = """
INSERT INTO reply (key, owner, seen) VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO UPDATE SET owner = ?2, seen = ?3 WHERE text IS NULL AND abs(seen - ?3) > ?4
"""
_PUT = """
INSERT INTO reply (key, text, prompt_tokens, completion_tokens, truncated, owner, seen) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    text = excluded.text, prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,
    truncated = excluded.truncated, seen = excluded.seen
WHERE text IS NULL
"""
_RENEW = "UPDATE reply SET seen = ? WHERE key = ? AND owner = ? AND text IS NULL"
_RELEASE = "DELETE FROM reply WHERE key = ? AND owner = ? AND text IS NULL"
_BUSY_SECONDS = 10.0  # other reward workers write to the same file
CLAIM_SECONDS = 15.0
"""A claim that was not renewed for so long belongs to a process that is gone."""
_POLL_FIRST_S, _POLL_MAX_S = 0.02, 0.5

Ask = Callable[[], Awaitable[Completion]]


def reply_key(*parts: Any) -> str:
    """sha256 over everything that decides a reply.

    >>> reply_key([], "m", {"a": 1, "b": 2}) == reply_key([], "m", {"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


class ReplyStore:
    """Replies by key; asks for what it does not have.

    All access to the file runs in one thread of its own, so that a file locked by another process never stops the
    event loop.

    Args:
        path: the file, made with its folder if absent; None keeps nothing, and only shares requests under way.
        setting: how messages call the setting that names the file.
        must_keep: a file that cannot be written to stops the work (for replies that are expensive). Else it is
            counted in `errors` and otherwise ignored: it saves calls, and must not cost samples.

    Raises:
        UserError: the file cannot be opened or is another kind of file; later, if `must_keep`, not written to.
    """

    def __init__(
        self, path: str | Path | None, *, setting: str = "judge.cache", must_keep: bool = False
    ) -> None:
        self.path = None if path is None else Path(path)
        self.errors = 0
        self._must_keep = must_keep
        self._owner = uuid.uuid4().hex
        # (loop, key) -> the call that is under way
        self._under_way: dict[tuple[int, str], _Call] = {}
        if self.path is None:
            return
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reply-store")
        try:
            self._connection = self._thread.submit(_open, self.path).result()
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise UserError(
                f"{self.path}: cannot be used as a store of replies ({error}); name another file in {setting}, or "
                "remove this one"
            ) from error

    async def once(self, key: str, ask: Ask) -> Completion:
        """The reply of `key`: the stored one, that of an equal request under way, or what `ask` gets.

        Args:
            key: see `reply_key`.
            ask: gets the reply; what it raises is raised, and nothing is stored.
        """
        slot = (id(asyncio.get_running_loop()), key)
        call = self._under_way.get(slot)
        if call is None:
            call = self._under_way[slot] = _Call(asyncio.ensure_future(self._stored_or_asked(key, ask)))
            call.task.add_done_callback(lambda _: self._under_way.pop(slot, None))
        else:
            current().shared += 1
        return await call.result()

    def close(self) -> None:
        """Close the file; the store must not be used afterwards. Without it, the end of the process closes it."""
        if self.path is not None:
            self._thread.submit(self._connection.close).result()
            self._thread.shutdown()

    async def _stored_or_asked(self, key: str, ask: Ask) -> Completion:
        if self.path is None:
            return await ask()
        pause = _POLL_FIRST_S
        while (found := await self._run(self._find_or_claim, key)) is _CLAIMED_ELSEWHERE:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _POLL_MAX_S)
        if isinstance(found, Completion):
            current().cache_hits += 1
            return found
        renewing = asyncio.ensure_future(self._keep_claim(key))
        try:
            completion = await ask()
        except BaseException:
            # not awaited: a cancelled task must not wait for the file
            self._thread.submit(self._release, key)
            raise
        finally:
            renewing.cancel()
        await self._run(self._put, key, completion)
        return completion

    def _find_or_claim(self, key: str) -> Completion | object | None:
        """The reply; else `_CLAIMED_ELSEWHERE`; else None: it is ours to ask for."""
        if found := self._find(key):
            return found
        # a claim is over if it was not renewed, or if it is of a future that a clock since set back had
        claim = (key, self._owner, time.time(), CLAIM_SECONDS)
        if self._connection.execute(_CLAIM, claim).rowcount:
            return None
        return self._find(key) or _CLAIMED_ELSEWHERE

    def _find(self, key: str) -> Completion | None:
        row = self._connection.execute(_FIND, (key,)).fetchone()
        known = row is not None and row[0] is not None
        return Completion(str(row[0]), int(row[1]), int(row[2]), bool(row[3])) if known else None

    def _put(self, key: str, reply: Completion) -> None:
        text = reply.text.encode(errors="replace").decode()  # half a surrogate pair is not UTF-8
        tokens = (reply.prompt_tokens, reply.completion_tokens)
        row = (key, text, *tokens, reply.truncated, self._owner, time.time())
        self._connection.execute(_PUT, row)

    async def _keep_claim(self, key: str) -> None:
        while True:
            await asyncio.sleep(CLAIM_SECONDS / 4)
            self._thread.submit(self._renew, key)

    def _renew(self, key: str) -> None:
        self._connection.execute(_RENEW, (time.time(), key, self._owner))

    def _release(self, key: str) -> None:
        self._connection.execute(_RELEASE, (key, self._owner))

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except sqlite3.Error as error:
            if self._must_keep:
                raise UserError(
                    f"{self.path}: cannot be written to ({error}); fix that and start again, its content is "
                    "kept"
                ) from error
            if not self.errors:
                logger.warning("store of replies %s fails and is ignored: %s", self.path, error)
            self.errors += 1
            return None


_CLAIMED_ELSEWHERE = object()


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        _write_ahead(connection)
        # a reply lost in a power cut is asked for again
        connection.execute("PRAGMA synchronous=NORMAL")
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        connection.execute(_TABLE)
        connection.execute(_FIND, ("",))
        connection.execute(_RELEASE, ("", ""))
        if "call" in tables and "reply" not in tables:  # replies that were paid for
            connection.execute(_OF_BEFORE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to a journal in which nobody waits for readers.

    SQLite does not wait when two processes switch at the same time, whatever its timeout.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class _Call:
    """A call with several waiters: a cancelled one does not disturb the others, the last one ends it."""

    def __init__(self, task: asyncio.Task[Completion]) -> None:
        self.task = task
        self._waiters = 0

    async def result(self) -> Completion:
        self._waiters += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self._waiters -= 1
            if not self._waiters and not self.task.done():
                self.task.cancel()
