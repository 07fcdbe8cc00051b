"""Runs verl's trainer as a child process: environment, progress, one-line errors, clean-up of all processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from tqdm import tqdm

from medr3_plugin.errors import RunFailed, UserError, counted
from medr3_plugin.processes import (
    RUN_TAG,
    STOP_PATIENCE_S,
    cpu_seconds,
    kill_processes,
    stop_processes,
    tagged_processes,
)
from medr3_plugin.runs.files import LOG, METRICS
from medr3_plugin.runs.log_errors import last_error, mistake

PATIENCE_S = 600.0
"""Seconds a run may continue without a new line of metrics after processes died, as not all of them are needed; twice
the longest time that a line has taken so far, if that is more."""

FIRST_STEP_S = 7200.0
"""The same before the first line, when the length of a step is not known yet, as long as the run is at work."""

AT_WORK = 0.5
"""CPU cores that a run uses at least while it rolls out or trains; one that waits for a dead process uses fewer."""

_LOOK_S = 30.0
"""Seconds over which the use is measured."""

_KILLED = re.compile(rb"(\d+) Workers \(tasks / actors\) killed due to memory pressure")
_ENGINE = b"EngineDeadError"
_MEMORY = b"memory"
# what Ray says of an actor that died, on lines of their own
_CLASS = re.compile(rb"\bclass_name: (\w+)")
_ACTOR = re.compile(rb"\bactor_id: ([0-9a-f]+)")
_REPLACED = frozenset({b"IndexActor"})  # its users recreate it (`retrieval.ray_backend`)


def run_training(
    config_dir: Path,
    config_name: str,
    overrides: Sequence[str],
    *,
    run_dir: Path,
    total_steps: int,
    environment: Mapping[str, str],
    kill_when: Callable[[], bool] = lambda: False,
) -> None:
    """Run verl's trainer to its end, showing one line per step.

    Everything it prints goes to `train.log` in the run folder. On Ctrl-C, and at the end in any case, every
    process of the run is stopped, Ray's and vLLM's included.

    Args:
        kill_when: asked again and again; as soon as it says so, every process of the run is killed at once.

    Raises:
        UserError: the trainer failed because of a user's mistake; the message says which, and where the log is.
        RunFailed: it failed for another reason, or it hangs because processes were lost.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    log, tag = run_dir / LOG, uuid4().hex
    own = {RUN_TAG: tag, "HYDRA_FULL_ERROR": "1", "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **environment, **own}
    if (tools := config_dir.absolute() / "tools.yaml").is_file():
        environment.setdefault("MEDR3_TOOLS", str(tools))  # as the recipe's run.sh does
    command = [
        sys.executable, "-m", "verl.trainer.main_ppo",
        "--config-dir", str(config_dir), "--config-name", config_name,
        f"hydra.run.dir={run_dir / 'hydra'}", *overrides,
    ]  # fmt: skip
    print(f"training; log: {log}", file=sys.stderr)
    progress = _Progress(run_dir / METRICS, total_steps)
    with log.open("ab") as stream, stopped_by_signals():
        start = stream.tell()
        lost = LostWorkers(log, start, cpu_seconds=lambda: cpu_seconds(tag))
        child = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while child.poll() is None:
                lost.check(progressed=progress.update())
                if kill_when():
                    kill_processes(tag)
                    return
                time.sleep(0.2)
            progress.update()
        except KeyboardInterrupt as interrupt:
            waiting = len(tagged_processes(tag))
            print(
                f"stopping the run ({interrupt}): waiting for {counted(waiting, 'process', 'processes')} (Ray, vLLM), "
                f"at most {STOP_PATIENCE_S * 5 / 3:.0f} s; the next start resumes from the last checkpoint",
                file=sys.stderr,
            )
            raise
        finally:
            progress.close()
            stop_processes(tag, child)
    if child.returncode != 0:
        raise training_failed(log, start)


def training_failed(log: Path, start: int) -> UserError | RunFailed:
    """The error to raise for a failed trainer: a UserError if the log shows a user's mistake, else a RunFailed."""
    kind = UserError if mistake(log, start) else RunFailed
    return kind(f"training failed: {last_error(log, start)} (log: {log})")


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let `kill` and a closed terminal stop a run like Ctrl-C; signals ignored by `nohup` or a shell stay ignored."""
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]

    def interrupt(number: int, _frame: object) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)  # a second one must not interrupt the cleaning up
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class LostWorkers:
    """Watches a run's log for processes that died.

    verl would wait forever, and without a message, for the results of those that Ray kills when memory is full. Where
    rollouts are drawn ahead, it would replace those that a dead reward worker or rollout server lost, forever too: a
    run that misses the *same* actor (or a vLLM engine, which nobody restarts) at the beginning and at the end of its
    patience is stopped. An actor that died and was made again has another id.

    How long a step takes is known from those that ended. Until the first one has, what counts is whether the run's
    processes are at work.

    Args:
        start: its size when the run began.
        clock: a monotonic clock, in seconds.
        cpu_seconds: CPU time that the processes of the run have used so far.
    """

    def __init__(
        self,
        log: Path,
        start: int,
        clock: Callable[[], float] = time.monotonic,
        cpu_seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._log = log
        self._start = start
        self._new = _Tail(log, start)
        self._clock = clock
        self._cpu_seconds = cpu_seconds
        self._measured: tuple[float, float] | None = None  # when, CPU seconds then
        self._at_work: float | None = None  # when the run was seen at work last
        self._began = clock()
        self._killed = 0
        self._missed: dict[bytes, float] = {}  # dead actor, or what killed some -> when it was missed first
        self._classes: dict[bytes, bytes] = {}  # beginning of a line -> the class that such a line named last
        self._patience_s = PATIENCE_S
        self._last_progress: float | None = None

    def check(self, *, progressed: bool) -> None:
        """Look at what was logged since the last call.

        Args:
            progressed: whether metrics were written since then, so that the run continues despite a kill.

        Raises:
            RunFailed: processes were killed, or are missed again and again, and the run has stood still since.
        """
        if progressed:
            self._progressed()
        minutes = f"{self._patience_s / 60:.0f} minutes"
        lines = self._new.lines()
        if self._last_progress is None and self._missed:
            self._look()
        for actor in self._dead(lines):
            if self._stands_still(self._missed.setdefault(actor, self._clock())):
                raise RunFailed(
                    f"a process of the run died, and no step has ended for {minutes}: "
                    f"{last_error(self._log, self._start)}; the same command resumes from the last checkpoint (log: "
                    f"{self._log})"
                )
        if killed := sum(int(number) for line in lines for number in _KILLED.findall(line)):
            self._killed += killed
            self._missed.setdefault(_MEMORY, self._clock())
            print(
                f"memory was full: Ray killed {counted(killed, 'process', 'processes')} of the run, which will be "
                f"stopped if no step ends within {minutes}",
                file=sys.stderr,
            )
        if self._killed and self._stands_still(self._missed[_MEMORY]):
            raise RunFailed(
                f"memory was full: Ray killed {counted(self._killed, 'process', 'processes')} of the run, and no step "
                f"has ended for {minutes}; free some memory and run the same command, which resumes from the last "
                f"checkpoint (log: {self._log})"
            )

    def _progressed(self) -> None:
        self._killed = 0
        self._missed.clear()
        now = self._clock()
        before = self._began if self._last_progress is None else self._last_progress
        self._patience_s = max(self._patience_s, 2 * (now - before))
        self._last_progress = now

    def _look(self) -> None:
        """Measure from time to time whether the run is at work."""
        now = self._clock()
        if self._measured is not None and now - self._measured[0] < _LOOK_S:
            return
        used = self._cpu_seconds()
        if self._measured is not None and used - self._measured[1] >= AT_WORK * (now - self._measured[0]):
            self._at_work = now
        self._measured = now, used

    def _stands_still(self, since: float) -> bool:
        """Whether the patience with what happened at `since` has ended."""
        now = self._clock()
        if self._last_progress is None and self._at_work is not None and now - since <= FIRST_STEP_S:
            since = max(since, self._at_work)
        return now - since > self._patience_s

    def _dead(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        """The dead actors that these lines miss."""
        for line in lines:
            if named := _CLASS.search(line):
                self._classes[line[: named.start()]] = named[1]
            elif actor := _ACTOR.search(line):
                if self._classes.get(line[: actor.start()]) not in _REPLACED:
                    yield actor[1]
            elif _ENGINE in line:
                yield _ENGINE


class _Tail:
    """The whole lines that a file has got since it was looked at last."""

    def __init__(self, file: Path, offset: int) -> None:
        self._file = file
        self._offset = offset

    def lines(self) -> list[bytes]:
        if not self._file.is_file():
            self._offset = 0  # moved away by a run that starts over
            return []
        with self._file.open("rb") as stream:
            self._offset = min(self._offset, stream.seek(0, os.SEEK_END))  # a resumed run has shortened it
            stream.seek(self._offset)
            text = stream.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()


class _Progress:
    """Follows `metrics.jsonl`: a bar on a terminal, else a line per step."""

    def __init__(self, file: Path, total_steps: int) -> None:
        self._new = _Tail(file, file.stat().st_size if file.is_file() else 0)
        self._tty = sys.stderr.isatty()
        self._bar = tqdm(total=total_steps, unit="step", disable=not self._tty, dynamic_ncols=True)

    def update(self) -> bool:
        """Show what is new; whether anything is."""
        lines = self._new.lines()
        for line in map(json.loads, lines):
            step, kind = int(line.get("step", 0)), line.get("kind")
            text = progress_line(line)
            if kind == "train":
                self._bar.n = step
                self._bar.set_postfix_str(text)
            if not self._tty:
                print(f"step {step:>4} {text}", file=sys.stderr, flush=True)
        return bool(lines)

    def close(self) -> None:
        self._bar.close()


def progress_line(line: Mapping[str, Any]) -> str:
    """One line of `metrics.jsonl` in readable form: stage, reward, acc, searches, seconds."""
    parts = [f"{line.get('stage', '?')} {line.get('stage_step', 0)}"]
    if line.get("kind") == "val":
        parts = [f"validation ({line.get('stage', '?')})"]
    for key, name in (
        ("reward/score", "reward"),
        ("reward/acc", "acc"),
        ("search/per_trajectory", "searches"),
    ):
        if key in line:
            parts.append(f"{name} {line[key]:.2f}")
    if line.get("invalid_share"):
        parts.append(f"invalid {line['invalid_share']:.0%}")
    if "time/step" in line:
        parts.append(f"{line['time/step']:.0f} s")
    return "  ".join(parts)
