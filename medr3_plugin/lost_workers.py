"""Processes of a run that Ray kills when memory is full: verl waits for what they owed, for ever and without a word."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from medr3_plugin.errors import UserError

PATIENCE_S = 600.0
"""Seconds a run may go on without a new line of metrics after such a kill; some processes are not missed."""

_KILLED = re.compile(rb"(\d+) Workers \(tasks / actors\) killed due to memory pressure")


class LostWorkers:
    """Follows a run's log.

    Args:
        log: the log.
        start: its size when the run began.
        clock: seconds that only grow.
    """

    def __init__(self, log: Path, start: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._offset = start
        self._clock = clock
        self._killed = 0
        self._since = 0.0

    def check(self, *, progressed: bool) -> None:
        """Look at what was logged since the last call.

        Args:
            progressed: whether metrics were written since then: the run goes on in spite of a kill.

        Raises:
            UserError: processes were killed, and the run has stood still since.
        """
        if progressed:
            self._killed = 0
        if killed := sum(map(int, _KILLED.findall(self._new_lines()))):
            if not self._killed:
                self._since = self._clock()
            self._killed += killed
            print(
                f"memory was full: Ray killed {killed} processes of the run; it is stopped if no step ends within "
                f"{PATIENCE_S / 60:.0f} minutes",
                file=sys.stderr,
            )
        if self._killed and self._clock() - self._since > PATIENCE_S:
            raise UserError(
                f"memory was full: Ray killed {self._killed} processes of the run, and no step has ended for "
                f"{PATIENCE_S / 60:.0f} minutes; free some memory and start it again, it goes on from its last "
                f"checkpoint (log: {self._log})"
            )

    def _new_lines(self) -> bytes:
        with self._log.open("rb") as stream:
            stream.seek(self._offset)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole
