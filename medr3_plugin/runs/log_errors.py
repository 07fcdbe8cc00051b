"""Why a run failed, from its log: the first cause, not the last line.

The log mixes the output of many processes. Each line may begin with Ray's and vLLM's `(process pid=…)`, in colour, and
with the head of a log record. Exceptions are printed where they happen, and again by everything that waited for the
result, so the last one often says only that something else died.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_PROCESS = re.compile(r"\(([^()]*?)(?: ?pid=(\d+))[^()]*\) ?")
_RECORD = re.compile(
    r"(?:ERROR|CRITICAL|WARNING|INFO)[ :]+(?:\d{4}-)?\d\d-\d\d[ T,]\d\d:\d\d:\d\d\S* (?:\[[^\]]*\] ?)?"
)
_RANK = re.compile(r"\[rank\d+\]: ?")
_REPEATED = re.compile(r" ?\[repeated \d+x across cluster\].*$")

_HEADER = "Traceback (most recent call last):"
_DIRECT_CAUSE = "The above exception was the direct cause of the following exception:"
_IGNORED = "Exception ignored in"
_EXCEPTION = re.compile(
    r"(?:[\w.]*\.)?([A-Z]\w*(?:Error|Exception|Failure|Exit|Interrupt)|UserError|MissingExtra|NoFormula)"
    r"(\([\w.]+\))?(?:: (.*))?"
)
_AFTER_FRAMES = re.compile(r"(?:[\w.]*\.)?([A-Z]\w*)(): (.*)")

_YOURS = ("UserError", "MissingExtra", "RowError")
"""A user's mistake, with a complete message."""

_RELAYED = ("RayTaskError",)
_DEAD = re.compile(
    r"EngineDeadError|ActorDiedError|ActorUnavailableError|WorkerCrashedError|RayActorError|ChildFailedError"
)
_DEAD_SAYS = re.compile(
    r"root cause|Engine core (?:initialization failed|proc)|EngineCore (?:encountered|failed)|background process"
    r"|died unexpectedly|Executor failed|no materializable trajectories",
    re.IGNORECASE,
)
_FOLLOWS = ("BrokenPipeError", "ConnectionResetError", "EOFError", "CancelledError", "SystemExit", "ZMQError")
_FOLLOWS_SAYS = re.compile(r"cannot schedule new futures|Event loop is closed|interpreter shutdown")
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_WRITING = re.compile(r"PytorchStreamWriter|enforce fail at inline_container")
"""What torch says when it cannot write a checkpoint, instead of the reason."""

_PORT = re.compile(r"EADDRINUSE|[Aa]ddress already in use")
"""vLLM chooses a free port when a server starts and takes it half a minute later."""

_KILLED = re.compile(
    r"[1-9]\d* Workers \(tasks / actors\) killed due to memory pressure"
    r"|Task was killed due to the node running low on memory"
)


class Printed(NamedTuple):
    """An exception in the log; `cause` is the one it was raised from."""

    kind: str
    message: str
    process: str
    cause: Printed | None = None

    @property
    def tells_of_a_death(self) -> bool:
        """Whether it only reports that another process died."""
        return bool(_DEAD.fullmatch(self.kind) or _DEAD_SAYS.search(self.message))

    @property
    def follows(self) -> bool:
        """Whether it is uninteresting: what happens to those waiting for a dead process."""
        return self.tells_of_a_death or self.kind in _FOLLOWS or bool(_FOLLOWS_SAYS.search(self.message))

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}" if self.message else self.kind


def last_error(log: Path, start: int) -> str:
    """What made a run fail: a user's mistake if there is one, else the first cause of its last error.

    Args:
        start: the log's size when the run began.
    """
    return found.message if (found := mistake(log, start)) else _said(log, start)


def mistake(log: Path, start: int) -> Printed | None:
    """The last user's mistake that the log shows."""
    return next((error for error in reversed(_read(log, start)[0]) if error.kind in _YOURS), None)


def _said(log: Path, start: int) -> str:
    errors, killed = _read(log, start)
    errors = [error for error in errors if error.kind not in _RELAYED]
    if not errors:
        return "memory was full: Ray killed processes of the run" if killed else "no error was printed"
    if full := next((error for error in errors if _FULL.search(error.message)), None):
        return f"the disk is full ({full})"
    last = next((error for error in reversed(errors) if not error.follows), errors[-1])
    if _WRITING.search(last.message):
        return f"{last} (is the disk full?)"
    if _PORT.search(last.message):
        return f"another process took a port that was free a moment before: start again ({last})"
    deaths = [number for number, error in enumerate(errors) if error.tells_of_a_death]
    if deaths and errors[-1].follows:
        reason = _reason_of_death(errors, deaths[0])
        last = reason or errors[deaths[0]]
        if reason is None and killed:
            return "memory was full: Ray killed processes of the run"
    root = last
    while root.cause is not None and not root.cause.follows:
        root = root.cause
    return str(last) if root is last else f"{last} (because of {root})"


def _reason_of_death(errors: Sequence[Printed], death: int) -> Printed | None:
    """The last real error before the first message of a death, of an engine if one printed any; else the next one.

    Ray forwards the output of its workers late, so that the reason may stand after the first message.
    """
    before = [error for error in errors[:death] if not error.follows]
    after = [error for error in errors[death:] if not error.follows]
    engines = [error for error in before if "EngineCore" in error.process or "Worker" in error.process]
    late = [error for error in after if "EngineCore" in error.process or "Worker" in error.process]
    for found, which in ((engines, -1), (late, 0), (before, -1), (after, 0)):
        if found:
            return found[which]
    return None


def _read(log: Path, start: int) -> tuple[list[Printed], bool]:
    """Every exception of the log, in order, and whether Ray killed processes because memory was full."""
    errors: list[Printed] = []
    killed = False
    inside: dict[str, bool] = {}  # process -> its last lines were frames
    ignored: set[str] = set()
    causes: dict[str, Printed | None] = {}
    latest: dict[str, Printed] = {}
    for process, line in _lines(log, start):
        text = line.strip()
        killed = killed or _KILLED.search(text) is not None
        if text.startswith(_IGNORED):
            ignored.add(process)
        elif text == _DIRECT_CAUSE:
            causes[process] = latest.get(process)
        elif text == _HEADER or line.startswith('  File "'):
            inside[process] = True
        elif text.startswith("class_name: ") and errors and errors[-1] is latest.get(process):
            # of an actor that died, Ray says which on the next line
            errors[-1] = latest[process] = errors[-1]._replace(
                message=f"{errors[-1].message} ({text.removeprefix('class_name: ')})"
            )
        elif text and not line.startswith("  "):
            pattern = _AFTER_FRAMES if inside.pop(process, False) else _EXCEPTION
            found = pattern.fullmatch(text) or _EXCEPTION.fullmatch(text)
            if found and process in ignored:
                ignored.discard(process)
            elif found:
                error = Printed(found[1], found[3] or "", process, causes.pop(process, None))
                errors.append(error)
                latest[process] = error
    return errors, killed


def _lines(log: Path, start: int) -> Iterator[tuple[str, str]]:
    """Process and text of every line, without colours and heads; indentation is kept."""
    with log.open("rb") as stream:
        stream.seek(start)
        for raw in stream:
            line = _COLOUR.sub("", raw.decode("utf-8", "replace")).rstrip()
            line = _REPEATED.sub("", line)
            process = ""
            while head := (_PROCESS.match(line) or _RECORD.match(line) or _RANK.match(line)):
                if head.re is _PROCESS:
                    process = f"{process}/{head[1].strip()} {head[2]}"
                line = line[head.end() :]
            yield process, line
