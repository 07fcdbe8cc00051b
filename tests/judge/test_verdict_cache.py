"""The verdict cache on disk."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.judge.cache import VerdictCache, cache_key


async def test_keeps_verdicts_over_reopening(tmp_path):
    path = tmp_path / "deep" / "verdicts.sqlite"
    cache = VerdictCache(path)
    assert await cache.get("k") is None
    await cache.put("k", 2, "same", "m")
    await cache.put("k", 0, "other", "m")  # the first verdict stays
    cache.close()
    again = VerdictCache(path)
    assert await again.get("k") == (2, "same")
    again.close()


async def test_two_writers_share_a_file(tmp_path):
    path = tmp_path / "v.sqlite"
    one, two = VerdictCache(path), VerdictCache(path)
    await asyncio.gather(*(cache.put(f"k{i}", i % 3, "r", "m") for i in range(50) for cache in (one, two)))
    assert await one.get("k7") == await two.get("k7") == (1, "r")
    one.close()
    two.close()


def test_a_file_that_is_no_cache_is_the_users_mistake(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database, and they are long enough to be read as a header " * 3)
    with pytest.raises(UserError, match=r"notes\.txt"):
        VerdictCache(path)
    assert path.read_text().startswith("these are notes")
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE verdict (something TEXT)")
    with pytest.raises(UserError, match=r"other\.sqlite"):
        VerdictCache(other)


async def test_a_failing_cache_is_counted_and_ignored(tmp_path):
    path = tmp_path / "v.sqlite"
    cache = VerdictCache(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE verdict")
    assert await cache.get("k") is None
    await cache.put("k", 2, "same", "m")
    assert cache.errors == 2
    cache.close()


def test_the_key_covers_prompt_model_and_parameters():
    base = cache_key([{"role": "user", "content": "a"}], "m", {"temperature": 0})
    assert base != cache_key([{"role": "user", "content": "b"}], "m", {"temperature": 0})
    assert base != cache_key([{"role": "user", "content": "a"}], "n", {"temperature": 0})
    assert base != cache_key([{"role": "user", "content": "a"}], "m", {"temperature": 1})
    assert base == cache_key([{"content": "a", "role": "user"}], "m", {"temperature": 0})
