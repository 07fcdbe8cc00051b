"""The files of a run folder: what they are called, and what each holds.

A training run writes:

- `metrics.jsonl`: a line per step, a line per validation: its `Labels` and metrics.
- `trajectories.jsonl`: a sample of every step's trajectories, see `trajectory_row`.
- `stages.json`: a list of `StageRecord`.
- `config.yaml` (resolved), `environment.json` (versions, commit, hardware), `train.log`.
- `promote.request`, while `medr3 promote` waits to be heard.

`medr3 eval` writes the same trajectories, `evaluation.json` (its settings) and `results.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from medr3_plugin.trajectory import THINK_OPEN
from medr3_plugin.yaml_section import mistake

METRICS = "metrics.jsonl"
STAGES = "stages.json"
TRAJECTORIES = "trajectories.jsonl"
CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
LOG = "train.log"
LOCK = ".lock"
REPORT = "report.html"
PROMOTION_REQUEST = "promote.request"
EVALUATION = "evaluation.json"
RESULTS = "results.json"

TRAIN, VALIDATION = "train", "val"
"""Kinds of lines in `metrics.jsonl` and `trajectories.jsonl`."""


class Labels(NamedTuple):
    """What a line of `metrics.jsonl` is of; every other key of a line is a metric.

    Attributes:
        step: training steps done in the run.
        stage: name of the stage.
        stage_step: training steps done in it.
        kind: `TRAIN` or `VALIDATION`.
    """

    step: int
    stage: str
    stage_step: int
    kind: str


@dataclass
class StageRecord:
    """One entry of `stages.json`; `end_step`, `reason` and `checkpoint` are set at the hand-over.

    Steps count from 1, both ends inclusive.
    """

    name: str
    index: int
    start_step: int
    end_step: int | None = None
    reason: str | None = None
    checkpoint: str | None = None


def read_stages(file: Path) -> list[StageRecord]:
    """The entries of a `stages.json`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file.
    """
    entries = json.loads(file.read_bytes())
    if isinstance(entries, list):  # files of before have no index
        entries = [
            {"index": i, **entry} if isinstance(entry, dict) else entry for i, entry in enumerate(entries)
        ]
    try:
        return TypeAdapter(list[StageRecord]).validate_python(entries)
    except ValidationError as error:
        raise ValueError(str(mistake(error, "stages"))) from error


def trajectory_row(
    labels: Labels,
    *,
    detail: Mapping[str, Any],
    response: str,
    reward: Mapping[str, float],
    group_scores: Sequence[float],
) -> dict[str, Any]:
    """A row of `trajectories.jsonl`.

    Args:
        labels: the step that the trajectory was used in, and the stage that it was drawn in.
        detail: `id`, `dataset`, `question`, `answer` (gold), `answers` (all that are accepted), `options`, `gold_docs`,
            `searches` (see `records.SearchTurn.row`), `reasons`, and what it needs to be scored again: `tag_text` (the
            text that was scored, if it is another), `forged`, `aborted`, `prefill_think`.
        response: the whole model-side text, documents included, without the `<think>` that the prompt may have ended
            with: it is put before it.
        group_scores: scores of all valid samples of the prompt, highest first.
    """
    return {
        "step": labels.step,
        "stage": labels.stage,
        "kind": labels.kind,
        "id": detail.get("id", ""),
        "dataset": detail.get("dataset", ""),
        "question": detail.get("question", ""),
        "answer": detail.get("answer", ""),
        **{key: detail[key] for key in ("answers", "options", "gold_docs") if detail.get(key)},
        "response": THINK_OPEN + response if detail.get("prefill_think") else response,
        **{key: detail[key] for key in ("tag_text", "forged", "aborted") if detail.get(key)},
        "searches": detail.get("searches", []),
        "reward": dict(reward),
        "reasons": detail.get("reasons", {}),
        "group_scores": list(group_scores),
    }
