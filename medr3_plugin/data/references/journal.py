"""The journal of paid calls: what was asked and answered stays on disk, so that a killed run pays once.

A call is known by everything that decides its reply: step, model, messages, parameters and the number of the
attempt. A run that is started again replays the calls it has and goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError

_TABLE = """
CREATE TABLE IF NOT EXISTS call (
    key TEXT PRIMARY KEY,
    step TEXT NOT NULL,
    item TEXT NOT NULL,
    reply TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A reply and what it cost in tokens (0 where the server does not say)."""

    reply: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


def call_key(
    step: str, model: str, messages: Sequence[Mapping[str, str]], params: Mapping[str, Any], attempt: int
) -> str:
    """sha256 over everything that decides a reply."""
    content = json.dumps([step, model, list(messages), params, attempt], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()


class Journal:
    """Calls by key in a sqlite file; every call is on disk before it is used.

    Raises:
        UserError: the file is no journal, or another run is writing to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_TABLE)
            # two runs on one journal would pay for the same calls: hold a lock as long as this one lives
            self._lock = sqlite3.connect(f"{path}.lock", timeout=0.0, isolation_level=None)
            self._lock.execute("BEGIN EXCLUSIVE")
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"{path}: cannot be used as journal ({error}); another run may be using it, or it is another file"
            ) from error

    def get(self, key: str) -> Call | None:
        """The call of `key`, None if it was never answered."""
        with closing(
            self._db.execute("SELECT reply, prompt_tokens, completion_tokens FROM call WHERE key = ?", (key,))
        ) as rows:
            row = rows.fetchone()
        return Call(*row) if row else None

    def rename(self, key: str, to: str) -> Call | None:
        """The call of `key`, which is `to` from now on; None if there is none."""
        self._db.execute("UPDATE OR IGNORE call SET key = ? WHERE key = ?", (to, key))
        return self.get(to)

    def put(self, key: str, step: str, item: str, call: Call) -> None:
        """Keep an answered call.

        Raises:
            UserError: the file cannot be written to.
        """
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO call VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, step, item, call.reply, call.prompt_tokens, call.completion_tokens, time.time()),
            )
        except sqlite3.Error as error:
            raise UserError(
                f"{self.path}: cannot be written to ({error}); put that right and start again, what is in it is kept"
            ) from error

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM call").fetchone()[0])

    def close(self) -> None:
        """Close the file and let other runs use it."""
        self._db.close()
        self._lock.close()
