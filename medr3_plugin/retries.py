"""Asking a service again after a failure that may pass: one policy for model servers, retrieval and index actors."""

from __future__ import annotations

import asyncio
import math
import random

_MOST_ASKED_S = 60.0


class Tries:
    """The tries of one request: how many failed, and the pauses between them.

    Args:
        backoff_s: ceilings of the first pause and of the longest, in seconds.
        timeout_s: seconds until the `deadline` (in the time of the running event loop), after which nothing is asked.
    """

    def __init__(self, backoff_s: tuple[float, float], timeout_s: float = math.inf) -> None:
        self._first_s, self._longest_s = backoff_s
        self._clock = asyncio.get_running_loop().time
        self.deadline = self._clock() + timeout_s
        self.failed = 0

    @property
    def left_s(self) -> float:
        """Seconds to the deadline."""
        return self.deadline - self._clock()

    async def pause(self, asked_s: float | None = None) -> bool:
        """Wait after a failed try; False, without waiting, if the next one would come after the deadline.

        Args:
            asked_s: the wait that the service asked for, see `asked_wait`; 0 is no reason to ask again without a pause.
        """
        # full jitter: requests that fail together must not come back together
        ceiling = min(self._first_s * 2.0 ** min(self.failed, 60), self._longest_s)
        least, most = (asked_s, 1.5 * asked_s) if asked_s else (0, ceiling)
        wait = random.uniform(least, most)  # noqa: S311
        self.failed += 1
        if wait >= self.left_s:
            return False
        await asyncio.sleep(wait)
        return True


def asked_wait(header: str | None) -> float | None:
    """Seconds of a `Retry-After` header, a minute at most; None if it is absent or a date."""
    try:
        seconds = float(header) if header else -1.0
    except ValueError:
        return None
    return min(seconds, _MOST_ASKED_S) if seconds >= 0 else None
