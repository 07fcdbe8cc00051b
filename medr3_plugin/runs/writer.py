"""Writes a run folder: what a training run leaves for people and programs to read.

Lines are appended and flushed one by one, so a run in progress, or one that was killed, can be read.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from medr3_plugin.errors import RunFailed, UserError
from medr3_plugin.installed import PACKAGES, versions_of
from medr3_plugin.outputs import whole, write_json
from medr3_plugin.runs.files import (
    CONFIG,
    ENVIRONMENT,
    LOCK,
    METRICS,
    PROMOTION_REQUEST,
    STAGES,
    TRAJECTORIES,
    Labels,
    StageRecord,
    trajectory_row,
)
from medr3_plugin.runs.step_metrics import StepSample, group_scores

logger = logging.getLogger(__name__)

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
"""What network file systems without locks answer."""


class RunWriter:
    """Writer of one run's files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock: FileLock | None = None

    def claim(self) -> None:
        """Lock the folder against other runs for as long as this process lives.

        Raises:
            UserError: another run is using it.
        """
        self._lock = claimed(self.path)

    def write_config(self, yaml_text: str) -> None:
        """The resolved configuration."""
        (self.path / CONFIG).write_text(yaml_text, encoding="utf-8")

    def write_environment(self) -> None:
        """Versions, commit and hardware of this run."""
        write_json(self.path / ENVIRONMENT, environment())

    def write_stages(self, history: Sequence[StageRecord]) -> None:
        """The stage history so far; the running stage has no `end_step`."""
        write_json(self.path / STAGES, [asdict(record) for record in history])

    def append_metrics(self, labels: Labels, metrics: Mapping[str, Any]) -> None:
        """A line of metrics; values that are not finite numbers are left out."""
        line = {**labels._asdict(), **metrics}
        self._append(METRICS, [{k: value for k, raw in line.items() if (value := _plain(raw)) is not None}])

    def append_trajectories(
        self, labels: Labels, samples: Sequence[StepSample], places: Sequence[int], texts: Sequence[str]
    ) -> list[dict[str, Any]]:
        """A sample of one step's trajectories.

        Args:
            samples: all scored trajectories of the step.
            places: which of them to write.
            texts: their responses.

        Returns:
            The rows as they were written.
        """
        scores = group_scores(samples)
        rows = [
            trajectory_row(
                labels,
                detail=samples[place].detail,
                response=text,
                reward=samples[place].record,
                group_scores=scores[samples[place].group],
            )
            for place, text in zip(places, texts, strict=True)
        ]
        self._append(TRAJECTORIES, rows)
        return rows

    def set_aside(self) -> Path | None:
        """Move what an earlier run left here into `previous-<n>/`; None if there was nothing.

        A run that starts over in a used folder must neither mix with the old one nor delete it.
        """
        # the metrics last: as long as they are here, an interrupted move is taken up again
        names = (TRAJECTORIES, STAGES, PROMOTION_REQUEST, CONFIG, ENVIRONMENT, METRICS)
        if not (self.path / METRICS).is_file():
            return None
        number = 1
        while (folder := self.path / f"previous-{number}").exists() and (folder / METRICS).exists():
            number += 1
        folder.mkdir(exist_ok=True)
        for name in names:
            if (self.path / name).is_file():
                (self.path / name).replace(folder / name)
        return folder

    def forget_after(self, step: int) -> bool:
        """Drop lines of steps after `step`: a resumed run repeats these steps. Whether metrics are left."""
        for name in (METRICS, TRAJECTORIES):
            file = self.path / name
            if not file.is_file():
                continue
            # bytes: a killed run may end within a character, and text has line separators of its own
            lines = file.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if _step_of(line) <= step]
            if len(kept) < len(lines):
                with whole(file) as draft:
                    draft.write_bytes(b"".join(line.removesuffix(b"\n") + b"\n" for line in kept))
        metrics = self.path / METRICS
        return metrics.is_file() and metrics.stat().st_size > 0

    def _append(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file = self.path / name
        try:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(text)
        except OSError as error:  # of a full disk it does not say which file
            raise RunFailed(f"{file}: cannot be written: {error.strerror or error}") from error


def claimed(run_dir: Path) -> FileLock:
    """Take the lock of a run folder. It ends with the process, however that ends.

    On a file system without locks there is a warning and no lock.

    Raises:
        UserError: another run is using the folder.
    """
    lock = FileLock(run_dir / LOCK, is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"medr3.run_dir: another run is using {run_dir}; wait for it or choose another folder"
        ) from error
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        logger.warning("%s cannot be locked here (%s): make sure that no other run uses it", run_dir, error)
    return lock


def spread(samples: Sequence[StepSample], count: int) -> list[int]:
    """Places of at most `count` samples, evenly spaced from the lowest score to the highest."""
    order = sorted(range(len(samples)), key=lambda i: samples[i].record["score"])
    if count < len(order):
        order = [order[round(i * (len(order) - 1) / max(1, count - 1))] for i in range(count)]
    return order


def _plain(value: Any) -> Any:
    """A JSON value, or None for what cannot be one."""
    if isinstance(value, str | bool | int):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _step_of(line: bytes) -> float:
    try:
        return float(json.loads(line).get("step", math.inf))
    except (ValueError, AttributeError):
        return math.inf  # a half-written line of a killed run


def environment() -> dict[str, Any]:
    """What a run ran on: versions, commit, hardware."""
    return {
        "versions": versions_of(*PACKAGES),
        "python": platform.python_version(),
        "commit": _commit(),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "gpus": _gpus(),
    }


def _gpus() -> list[str]:
    try:
        import torch
    except ImportError:
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
