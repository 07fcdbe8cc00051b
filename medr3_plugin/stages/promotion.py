"""When a stage ends: pure decisions over the history of one metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medr3_plugin.errors import UserError
from medr3_plugin.stages.schedule import Until


def metric_value(metric: str, metrics: Mapping[str, float]) -> float:
    """The value of `metric` in a step's metrics: by its key, else as a reward part (`reward/<metric>`).

    Raises:
        UserError: if there is no such metric; lists the closest names.
    """
    for key in (metric, f"reward/{metric}"):
        if key in metrics:
            return float(metrics[key])
    import difflib

    close = difflib.get_close_matches(metric, list(metrics), n=3)
    raise UserError(
        f"medr3.stages[].until.metric: {metric!r} is not logged"
        + (f"; did you mean {', '.join(close)}?" if close else "")
    )


def moving_average(values: Sequence[float], window: int) -> list[float]:
    """Trailing means over `window` values; shorter at the start."""
    return [
        sum(values[max(0, i + 1 - window) : i + 1]) / (i + 1 - max(0, i + 1 - window))
        for i in range(len(values))
    ]


def steps_without_progress(averages: Sequence[float], min_delta: float, mode: str = "max") -> int:
    """Steps since the average last improved on its best by more than `min_delta`."""
    sign = 1.0 if mode == "max" else -1.0
    best, since = float("-inf"), 0
    for average in averages:
        if sign * average > best + min_delta:
            best, since = sign * average, 0
        else:
            since += 1
    return since


def decide(until: Until, stage_step: int, history: Sequence[float]) -> str | None:
    """Why the stage ends now, or None if it goes on.

    Args:
        stage_step: steps done in the stage.
        history: the promotion metric of each of those steps; empty without a metric.

    Returns:
        The reason in words, with the window that led to it.
    """
    if stage_step >= until.max_steps:
        return f"max_steps {until.max_steps}"
    if until.metric is None or stage_step < until.min_steps or not history:
        return None
    averages = moving_average(history, until.window)
    latest = averages[-1]
    if until.threshold is not None and len(history) >= until.window:
        reached = latest >= until.threshold if until.mode == "max" else latest <= until.threshold
        if reached:
            return f"threshold: {until.metric} averaged {latest:.4f} over {until.window} steps ({until.threshold})"
    if until.patience is not None:
        idle = steps_without_progress(averages, until.min_delta, until.mode)
        if idle >= until.patience:
            best = max(averages) if until.mode == "max" else min(averages)
            return (
                f"plateau: {until.metric} did not improve by {until.min_delta} for {idle} steps "
                f"(average {latest:.4f}, best {best:.4f})"
            )
    return None
