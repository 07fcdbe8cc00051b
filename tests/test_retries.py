from __future__ import annotations

import asyncio

import pytest

from medr3_plugin import retries
from medr3_plugin.retries import Tries, asked_wait


@pytest.fixture
def waits(monkeypatch):
    """The seconds waited, at the longest that chance allows; the time does not pass."""
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr(retries.asyncio, "sleep", sleep)
    monkeypatch.setattr(retries.random, "uniform", lambda _low, high: high)
    return waited


async def test_pauses_double_up_to_the_longest(waits):
    tries = Tries((0.5, 3.0))
    assert [await tries.pause() for _ in range(5)] == [True] * 5
    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert tries.failed == 5


async def test_a_service_that_asks_for_no_wait_is_not_asked_in_a_loop(waits):
    tries = Tries((0.5, 3.0))
    for _ in range(1100):  # 2 ** 1024 is no float
        await tries.pause(asked_s=0.0)
    assert (waits[0], waits[-1]) == (0.5, 3.0)


async def test_no_pause_beyond_the_deadline(waits):
    tries = Tries((10.0, 10.0), timeout_s=9.0)
    assert not await tries.pause()
    assert await tries.pause(asked_s=2.0)
    assert waits == [3.0]  # at least what was asked for, and half of it more at most


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("2", 2.0),
        ("0.5", 0.5),
        ("nan", None),
        ("3600", 60.0),
    ],
)
def test_the_wait_that_a_service_asks_for(header, seconds):
    assert asked_wait(header) == seconds


async def test_requests_that_fail_together_do_not_come_back_together(monkeypatch):
    asked = []
    monkeypatch.setattr(retries.random, "uniform", lambda low, high: asked.append((low, high)) or 0.0)
    await asyncio.gather(*(Tries((1.0, 8.0)).pause(wait) for wait in (None, 2.0)))
    assert asked == [(0, 1.0), (2.0, 3.0)]
