"""The few numbers of a run that one looks at first: the tiles of the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medr3_plugin.runs.files import TRAIN, VALIDATION
from medr3_plugin.runs.reader import RunFolder, StepMetrics


def summarise(run: RunFolder) -> dict[str, Any]:
    """Numbers of a run; None where the run does not say.

    Returns:
        `steps` (training steps done); `acc`, `score`, `searches`, `searched`, `hit`, each {first, last} as
        means over the first and last tenth of the training steps (at least one step); `val_acc` {first, last,
        best, best_step} over the validations; `hours` of training; `invalid` mean share of invalid samples;
        `failures` kind -> total count of the run.
    """
    train, val = run.rows(TRAIN), run.rows(VALIDATION)
    seconds = [v for row in train if (v := row.values.get("time/step")) is not None]
    failures: dict[str, float] = {}
    for row in train:
        for name, value in row.values.items():
            if name.startswith("failures/") and value:
                failures[name.removeprefix("failures/")] = (
                    failures.get(name.removeprefix("failures/"), 0.0) + value
                )
    return {
        "steps": train[-1].step if train else 0,
        "acc": _ends(train, "reward/acc"),
        "score": _ends(train, "reward/score"),
        "searches": _ends(train, "search/per_trajectory"),
        "searched": _ends(train, "search/share"),
        "hit": _ends(train, "search/hit_at_k"),
        "val_acc": _validations(val),
        "hours": sum(seconds) / 3600 if seconds else None,
        "invalid": _mean([v for row in train if (v := row.values.get("invalid_share")) is not None]),
        "failures": failures,
    }


STAGE_METRICS = {
    "accuracy": "reward/acc",
    "reward": "reward/score",
    "reasoning": "reward/reasoning",
    "retrieval": "reward/retrieval",
    "coordination": "reward/coordination",
    "searches": "search/per_trajectory",
    "gold found": "search/hit_at_k",
    "invalid": "invalid_share",
    "no variance": "zero_variance_groups",
    "tokens": "response_length/mean",
    "s a step": "time/step",
}


def by_stage(run: RunFolder) -> list[dict[str, Any]]:
    """The stages beside each other, in order.

    Returns:
        For each stage `name`, `steps` trained, `validation` (accuracy of its last validation, or None) and
        `values`: column of `STAGE_METRICS` -> {first, last}, as in `summarise`; columns without values are
        left out.
    """
    stages = []
    for span in run.stages:
        rows = [
            row
            for row in run.metrics
            if span.start_step <= row.step and (span.end_step is None or row.step <= span.end_step)
        ]
        train = [row for row in rows if row.kind == TRAIN]
        ends = {column: _ends(train, name) for column, name in STAGE_METRICS.items()}
        validation = _validations([row for row in rows if row.kind == VALIDATION])
        stages.append(
            {
                "name": span.name,
                "steps": len(train),
                "validation": validation and validation["last"],
                "values": {column: value for column, value in ends.items() if value},
            }
        )
    return stages


def _ends(rows: Sequence[StepMetrics], name: str) -> dict[str, float] | None:
    values = [value for row in rows if (value := row.values.get(name)) is not None]
    if not values:
        return None
    size = max(1, len(values) // 10)
    return {"first": sum(values[:size]) / size, "last": sum(values[-size:]) / size}


def _validations(rows: Sequence[StepMetrics]) -> dict[str, float] | None:
    scored = [(row.step, value) for row in rows if (value := row.values.get("reward/acc")) is not None]
    if not scored:
        return None
    best_step, best = max(scored, key=lambda item: item[1])
    return {"first": scored[0][1], "last": scored[-1][1], "best": best, "best_step": float(best_step)}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
