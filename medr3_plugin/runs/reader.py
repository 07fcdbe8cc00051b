"""Reading a run folder, finished or still being written (see `runs.files` for what is in it).

Any file may be missing, and the last line of the jsonl files may be half-written, because the trainer is
writing it now. Nothing here fails on such a folder: `RunFolder.notes` says what could not be read.
The output folder of `medr3 eval` has no steps; it reads as a run folder too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from medr3_plugin.errors import UserError, counted
from medr3_plugin.runs import files
from medr3_plugin.runs.files import StageRecord


class JsonLine(NamedTuple):
    """One readable row of a jsonl file: 1-based line number, byte offset and length, and the object."""

    number: int
    offset: int
    length: int
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StepMetrics:
    """Every metric of one step, `kind` "train" or "val". Values are finite floats, else None."""

    step: int
    stage: str
    kind: str
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """What a run folder says.

    Attributes:
        metrics: in order of step; where a step was run twice (killed and resumed) the later run counts.
        trajectories: rows of the file, each with its 1-based `line` there.
        trajectory_total: rows in the file; `trajectories` may be an even sample of them.
        evaluation: whether it is the output folder of an evaluation.
        results: of an evaluation: one record per benchmark, as in its `results.json`.
        finished: whether the trainer wrote an end for its last stage.
        notes: one sentence for everything that was missing or could not be read.
    """

    path: Path
    metrics: tuple[StepMetrics, ...] = ()
    stages: tuple[StageRecord, ...] = ()
    trajectories: tuple[Mapping[str, Any], ...] = ()
    trajectory_total: int = 0
    config: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    evaluation: bool = False
    results: tuple[Mapping[str, Any], ...] = ()
    finished: bool = False
    notes: tuple[str, ...] = ()

    def rows(self, kind: str) -> list[StepMetrics]:
        """Metrics of one kind ("train" or "val"), in order of step."""
        return [row for row in self.metrics if row.kind == kind]


def read_run(path: Path, max_trajectories: int = 600, max_bytes: int = 24_000_000) -> RunFolder:
    """Read a run folder.

    Args:
        max_trajectories: keep at most this many trajectories, evenly spaced over the file.
        max_bytes: and at most this many bytes of them, so that the page stays light.

    Raises:
        UserError: `path` is not a folder.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "no such folder"
        raise UserError(f"{path}: {what}; give a run's folder, or an evaluation's --out")
    notes: list[str] = []
    evaluation = (path / files.EVALUATION).is_file()
    metrics = () if evaluation else read_metrics(path / files.METRICS, notes)
    trajectories, total = _read_trajectories(path / files.TRAJECTORIES, max_trajectories, max_bytes, notes)
    written = _read_stages(path / files.STAGES, notes)
    stages = _complete_stages(written, metrics)
    config = _read_text(path / files.CONFIG, notes)
    return RunFolder(
        path=path,
        metrics=metrics,
        stages=stages,
        trajectories=trajectories,
        trajectory_total=total,
        config=config,
        environment=_read_object(path / (files.EVALUATION if evaluation else files.ENVIRONMENT), notes),
        evaluation=evaluation,
        results=_read_results(path / files.RESULTS, notes) if evaluation else (),
        finished=len(written) == len(stages) >= _planned_stages(config)
        and all(stage.end_step is not None for stage in written),
        notes=tuple(notes),
    )


def read_json_lines(path: Path, notes: list[str]) -> Iterator[JsonLine]:
    """The readable objects of a jsonl file.

    A last line without a newline that does not parse is being written: it is left out without a note. Any
    other line that is not a JSON object is left out with a note that names it.
    """
    offset = 0
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            start, offset = offset, offset + len(line)
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
                if line.endswith(b"\n"):
                    notes.append(f"{path.name} line {number} is not JSON and was left out ({error})")
                continue
            if isinstance(row, dict):
                yield JsonLine(number, start, len(line), row)
            else:
                notes.append(f"{path.name} line {number} is not an object and was left out")


def _finite(value: object) -> float | None:
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def read_metrics(path: Path, notes: list[str]) -> tuple[StepMetrics, ...]:
    """The lines of a `metrics.jsonl`, in order of step; what could not be read is added to `notes`."""
    if not path.is_file():
        notes.append(f"{path.name} does not exist yet: the first step has not ended")
        return ()
    latest: dict[tuple[int, str], StepMetrics] = {}
    repeated = 0
    for line in read_json_lines(path, notes):
        found = _finite(line.row.get("step"))
        if found is None:
            notes.append(f"{path.name} line {line.number} has no step and was left out")
            continue
        step, kind = int(found), str(line.row.get("kind", files.TRAIN))
        values = {
            name: _finite(value)
            for name, value in line.row.items()
            if name not in files.Labels._fields and (value is None or isinstance(value, (int, float)))
        }
        repeated += (step, kind) in latest
        latest[step, kind] = StepMetrics(step, str(line.row.get("stage", "")), kind, values)
    if repeated:
        notes.append(
            f"{counted(repeated, 'step')} more than once in {path.name} (a resumed run): the last one counts"
        )
    return tuple(sorted(latest.values(), key=lambda row: (row.step, row.kind)))


def _read_trajectories(
    path: Path, most: int, max_bytes: int, notes: list[str]
) -> tuple[tuple[Mapping[str, Any], ...], int]:
    """Two passes, so that a file larger than memory can be read: find the rows, then load the chosen ones."""
    if not path.is_file():
        notes.append(f"{path.name} does not exist yet: no trajectories to show")
        return (), 0
    places = [line._replace(row={}) for line in read_json_lines(path, notes)]
    chosen = _evenly(places, most, max_bytes)
    if len(chosen) < len(places):
        limit = f", in at most {max_bytes / 1e6:.0f} MB" if len(chosen) < most else ""
        notes.append(
            f"{len(chosen)} of {len(places)} trajectories are shown, evenly spaced over the run{limit}"
        )
    rows = []
    with path.open("rb") as stream:
        for place in chosen:
            stream.seek(place.offset)
            rows.append(json.loads(stream.read(place.length).decode("utf-8")) | {"line": place.number})
    return tuple(rows), len(places)


def _evenly(places: list[JsonLine], most: int, max_bytes: int) -> list[JsonLine]:
    """At most `most` items and `max_bytes` bytes, evenly spaced, the last one always among them."""
    if not places:
        return []
    total = sum(place.length for place in places)
    if total > max_bytes:
        most = min(most, int(len(places) * max_bytes / total))
    most = max(1, min(most, len(places)))
    return [places[len(places) - 1 - (i * len(places)) // most] for i in range(most)][::-1]


def _read_stages(path: Path, notes: list[str]) -> list[StageRecord]:
    if not path.is_file():
        return []
    try:
        return files.read_stages(path)
    except ValueError as error:
        notes.append(
            f"{path.name} could not be read ({error}): stages are taken from {files.METRICS} instead"
        )
        return []


def _complete_stages(written: list[StageRecord], metrics: tuple[StepMetrics, ...]) -> tuple[StageRecord, ...]:
    """The written stages, and after them the stages that so far are only in the metrics."""
    known_to = max((stage.end_step for stage in written if stage.end_step is not None), default=-1)
    if any(stage.end_step is None for stage in written):
        return tuple(written)
    found: list[StageRecord] = []
    for row in metrics:
        if row.step <= known_to or row.kind != files.TRAIN or not row.stage:
            continue
        if found and found[-1].name == row.stage:
            continue
        if found:
            found[-1].end_step = row.step - 1
        found.append(StageRecord(row.stage, len(written) + len(found), row.step))
    return tuple(written + found)


def _planned_stages(config: str) -> int:
    """How many stages the configuration asks for; at least 1, also where it does not say."""
    try:
        read = yaml.safe_load(config)
    except yaml.YAMLError:
        return 1
    section = read.get("medr3") if isinstance(read, dict) else None
    stages = section.get("stages") if isinstance(section, dict) else None
    return max(1, len(stages)) if isinstance(stages, list) else 1


def _read_text(path: Path, notes: list[str]) -> str:
    if not path.is_file():
        return ""
    text = path.read_bytes().decode("utf-8", errors="replace")
    if len(text) > 400_000:
        notes.append(f"{path.name} is longer than 400,000 characters and was cut")
    return text[:400_000]


def _read_object(path: Path, notes: list[str]) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        notes.append(f"{path.name} could not be read ({error})")
        return {}
    return found if isinstance(found, dict) else {}


def _read_results(path: Path, notes: list[str]) -> tuple[Mapping[str, Any], ...]:
    benchmarks = _read_object(path, notes).get("benchmarks")
    return tuple(row for row in benchmarks if isinstance(row, dict)) if isinstance(benchmarks, list) else ()
