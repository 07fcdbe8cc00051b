"""The most important numbers of a run: the tiles of the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from medr3_plugin.runs.files import TRAIN, VALIDATION
from medr3_plugin.runs.reader import RunFolder, StepMetrics


def summarise(run: RunFolder) -> dict[str, Any]:
    """Numbers of a run; None where the run does not say.

    Returns:
        `steps` (training steps done); `acc`, `score`, `searches`, `searched`, `hit`, each {first, last} as
        means over the first and last tenth of the training steps; for `acc` and `hit` over more of them until
        they hold `ENOUGH` trajectories; `val_acc` {first, last, best, best_step} over the validations; in both
        accuracies and `hit` also the 95 % interval {low, high} of `last` and the `samples` behind it, where the
        run says how many; `hours` of training; `invalid` mean share of invalid samples; `failures` kind -> total
        count of the run.
    """
    train, val = run.rows(TRAIN), run.rows(VALIDATION)
    seconds = [v for row in train if (v := row.values.get("time/step")) is not None]
    invalid = [v for row in train if (v := row.values.get("invalid_share")) is not None]
    failures: dict[str, float] = defaultdict(float)
    for name, value in (item for row in train for item in row.values.items()):
        if name.startswith("failures/") and value:
            failures[name.removeprefix("failures/")] += value
    return {
        "steps": train[-1].step if train else 0,
        "acc": _share(train, "reward/acc"),
        "score": _ends(train, "reward/score"),
        "searches": _ends(train, "search/per_trajectory"),
        "searched": _ends(train, "search/share"),
        "hit": _share(train, "search/hit_at_k"),
        "val_acc": _validations(val),
        "hours": sum(seconds) / 3600 if seconds else None,
        "invalid": sum(invalid) / len(invalid) if invalid else None,
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
    "query gain": "search/query_gain",
    "invalid": "invalid_share",
    "no variance": "zero_variance_groups",
    "tokens": "response_length/mean",
    "s per step": "time/step",
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


ENOUGH = 64
"""Trajectories that a mean should be based on: a share of eight trajectories says next to nothing."""


def _ends(rows: Sequence[StepMetrics], name: str) -> dict[str, float] | None:
    values = [value for row in rows if (value := row.values.get(name)) is not None]
    if not values:
        return None
    size = max(1, len(values) // 10)
    return {"first": sum(values[:size]) / size, "last": sum(values[-size:]) / size}


def _share(rows: Sequence[StepMetrics], name: str) -> dict[str, float] | None:
    """`_ends` over enough trajectories (at most half of the steps), with the interval of the last share."""
    counted = _counted(rows, name)
    if not counted:
        return _ends(rows, name)
    a_step = sum(samples for _, samples in counted) / len(counted)
    size = max(1, len(counted) // 10, min(round(ENOUGH / a_step), len(counted) // 2))
    first, last = _pooled(counted[:size]), _pooled(counted[-size:])
    return {"first": first[0], "last": last[0], **_interval(*last)}


def _validations(rows: Sequence[StepMetrics]) -> dict[str, float] | None:
    scored = [(row, value) for row in rows if (value := row.values.get("reward/acc")) is not None]
    if not scored:
        return None
    best, highest = max(scored, key=lambda item: item[1])
    row, last = scored[-1]
    found = {"first": scored[0][1], "last": last, "best": highest, "best_step": float(best.step)}
    counted = _counted([row], "reward/acc")
    return found | (_interval(*_pooled(counted)) if counted else {})


def _counted(rows: Sequence[StepMetrics], name: str) -> list[tuple[float, float]]:
    """The share of each step that says it, and how many trajectories it is of."""
    pairs = ((row.values.get(name), row.values.get("samples")) for row in rows)
    return [(share, samples) for share, samples in pairs if share is not None and samples]


def _pooled(counted: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The share over all of these trajectories, and how many they are."""
    samples = sum(number for _, number in counted)
    return sum(share * number for share, number in counted) / samples, samples


def _interval(share: float, samples: float) -> dict[str, float]:
    """95 % interval of a share (Wilson 1927), as if the trajectories were independent."""
    z = 1.96
    middle = (share + z * z / (2 * samples)) / (1 + z * z / samples)
    half = z / (1 + z * z / samples) * (share * (1 - share) / samples + z * z / (4 * samples**2)) ** 0.5
    return {"low": max(0.0, middle - half), "high": min(1.0, middle + half), "samples": samples}
