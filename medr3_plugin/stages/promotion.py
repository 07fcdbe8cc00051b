"""When a stage ends: pure decisions over the history of one metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from medr3_plugin.errors import UserError, did_you_mean
from medr3_plugin.runs.step_metrics import NOT_IN_EVERY_STEP
from medr3_plugin.stages.schedule import VALIDATION, Until


def metric_value(metric: str, metrics: Mapping[str, float], *, seen: bool = False) -> float | None:
    """The value of `metric` in a step's metrics: by its key, else as a reward part (`reward/<metric>`).

    Args:
        seen: whether an earlier step had a value.

    Returns:
        None in a step without a value: a validation metric where nothing was validated, a hit rate where no gold
        document is known, a value that is not finite.

    Raises:
        UserError: if there is no such metric; names the closest one.
    """
    for key in (metric, f"reward/{metric}"):
        if key in metrics:
            value = float(metrics[key])
            return value if math.isfinite(value) else None
    validated = any(key.startswith(VALIDATION) for key in metrics)
    if seen or NOT_IN_EVERY_STEP.fullmatch(metric) or (metric.startswith(VALIDATION) and not validated):
        return None
    raise UserError(f"medr3.stages[].until.metric: {metric!r} is not logged{did_you_mean(metric, metrics)}")


def moving_average(values: Sequence[float], window: int) -> list[float]:
    """Means over `window` values each, oldest first; none before there are that many."""
    return [sum(values[i : i + window]) / window for i in range(len(values) - window + 1)]


def steps_without_progress(averages: Sequence[float], min_delta: float) -> int:
    """Steps since the average last rose above its best by more than `min_delta`."""
    best, since = float("-inf"), 0
    for average in averages:
        if average > best + min_delta:
            best, since = average, 0
        else:
            since += 1
    return since


def decide(until: Until, stage_step: int, history: Sequence[float]) -> str | None:
    """Why the stage ends now, or None if it continues.

    Args:
        stage_step: steps done in the stage.
        history: the promotion metric's values in those steps, see `metric_value`; empty without a metric.

    Returns:
        The reason in words, with the window that led to it.
    """
    if stage_step >= until.max_steps:
        return f"max_steps {until.max_steps}"
    averages = moving_average(history, until.window)
    if until.metric is None or stage_step < until.min_steps or not averages:
        return None
    latest = averages[-1]
    if until.threshold is not None and latest >= until.threshold:
        return (
            f"threshold: {until.metric} averaged {latest:.4f} over {until.window} steps ({until.threshold})"
        )
    if until.patience is not None:
        idle = steps_without_progress(averages, until.min_delta)
        if idle >= until.patience:
            return (
                f"plateau: {until.metric} did not improve by {until.min_delta} for {idle} steps "
                f"(average {latest:.4f}, best {max(averages):.4f})"
            )
    return None
