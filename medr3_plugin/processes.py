"""The processes of a run, however they detach themselves: finding, measuring and stopping them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

RUN_TAG = "MEDR3_RUN_TAG"
"""Environment variable that every process of a run inherits."""

STOP_PATIENCE_S = 15.0
"""Seconds that the trainer has for shutting Ray down; a third of it more for what is left, and again after that."""


def stop_processes(tag: str, child: subprocess.Popen[bytes], patience_s: float = STOP_PATIENCE_S) -> None:
    """Stop every process of a run: ask, wait, then kill. Ray and vLLM detach themselves, so a tag identifies them."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)  # lets Ray shut its cluster down
        try:
            child.wait(patience_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + patience_s / 3
        kill_processes(tag, number)
        pids = tagged_processes(tag)
        while pids and time.monotonic() < deadline:
            time.sleep(0.2)
            pids = tagged_processes(tag)
        if not pids:
            return


def kill_processes(tag: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to every process of a run."""
    for pid in tagged_processes(tag):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def tagged_processes(tag: str) -> list[int]:
    """Processes, other than this one, whose environment carries the tag (Linux; empty elsewhere)."""
    needle = f"{RUN_TAG}={tag}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and needle in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except (OSError, IndexError):
            continue  # gone meanwhile, or another user's
    return [pid for pid in found if pid != os.getpid()]


def cpu_seconds(tag: str) -> float:
    """CPU time that the processes with this tag have used, those that ended not included."""
    ticks = 0
    for pid in tagged_processes(tag):
        with suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # in user mode, in the kernel
    return ticks / os.sysconf("SC_CLK_TCK")
