"""Verdict cache: one sqlite table, keyed by a hash of prompt, model and parameters.

A verdict is asked once in the life of the file, however many runs and processes share it. The key covers all
that decides the reply, so a changed prompt, model or temperature never meets an old verdict.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError

logger = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS verdict (
    key TEXT PRIMARY KEY,
    level INTEGER NOT NULL CHECK (level IN (0, 1, 2)),
    reason TEXT NOT NULL,
    model TEXT NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID
"""
_BUSY_SECONDS = 10.0  # other reward workers write to the same file


def cache_key(messages: Sequence[Mapping[str, str]], model: str, params: Mapping[str, Any]) -> str:
    """sha256 over everything that decides a reply.

    >>> cache_key([], "m", {"a": 1, "b": 2}) == cache_key([], "m", {"b": 2, "a": 1})
    True
    """
    text = json.dumps([list(messages), model, params], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class VerdictCache:
    """(level, reason) by key, in a sqlite file.

    All access runs in one thread of its own, so that a file locked by another process never stops the event
    loop. A cache that fails while running is counted in `errors` and otherwise ignored: it saves calls, and
    must not cost samples.

    Args:
        path: the file; made with its folder if absent.

    Raises:
        UserError: the file cannot be opened or is no verdict cache.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.errors = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verdict-cache")
        try:
            self._connection = self._thread.submit(self._open).result()
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise UserError(
                f"verdict cache {self.path}: {error}; name another file in judge.cache, or remove this one"
            ) from error

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # a verdict lost in a power cut is asked again
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute(_SCHEMA)
            connection.execute("SELECT key, level, reason, model, created FROM verdict LIMIT 1")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    async def get(self, key: str) -> tuple[int, str] | None:
        """The cached (level, reason), or None."""
        return await self._run(self._get, key)

    async def put(self, key: str, level: int, reason: str, model: str) -> None:
        """Store a verdict; the first one stored under a key stays."""
        await self._run(self._put, key, level, reason, model)

    def close(self) -> None:
        """Close the file; the cache must not be used afterwards."""
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    def _get(self, key: str) -> tuple[int, str] | None:
        row = self._connection.execute("SELECT level, reason FROM verdict WHERE key = ?", (key,)).fetchone()
        return (int(row[0]), str(row[1])) if row else None

    def _put(self, key: str, level: int, reason: str, model: str) -> None:
        self._connection.execute(
            "INSERT OR IGNORE INTO verdict VALUES (?, ?, ?, ?, ?)", (key, level, reason, model, time.time())
        )

    async def _run(self, function: Any, *args: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except sqlite3.Error as error:
            if not self.errors:
                logger.warning("verdict cache %s fails and is ignored: %s", self.path, error)
            self.errors += 1
            return None
