"""The curves of a run as PNG pictures, for papers, slides and machines without a browser (extra: eval)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.errors import MissingExtra
from medr3_plugin.runs.files import TRAIN, VALIDATION
from medr3_plugin.runs.reader import RunFolder, StepMetrics

FIGURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "accuracy": ("Accuracy", ("reward/acc",)),
    "reward": (
        "Reward",
        ("reward/score", "reward/answer", "reward/reasoning", "reward/retrieval", "reward/coordination"),
    ),
    "reasoning": (
        "Reasoning parts",
        ("reward/reasoning_logic", "reward/reasoning_semantic", "reward/reasoning_statistic"),
    ),
    "retrieval": (
        "Retrieval parts",
        (
            "reward/retrieval_quality",
            "reward/retrieval_coverage",
            "reward/retrieval_utilisation",
            "reward/retrieval_breadth",
        ),
    ),
    "searches": (
        "Searches",
        ("search/per_trajectory", "search/share", "search/hit_at_k", "search/query_gain"),
    ),
    "health": ("Unusable samples, share", ("invalid_share", "zero_variance_groups", "reward/forged")),
}
"""File name -> title and metrics. A metric the run does not have is left out, and so is an empty figure."""

_COLOURS = ("#2f65ad", "#1b746b", "#94590a", "#b5455e", "#7553b3")
_SMOOTHING = 0.6


def write_plots(run: RunFolder, folder: Path) -> list[Path]:
    """Draw `FIGURES` into `folder` and return the files written (none for a run without steps).

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "eval", "drawing PNG plots") from error
    train, val = run.rows(TRAIN), run.rows(VALIDATION)
    written = []
    for name, (title, metrics) in FIGURES.items():
        known = [metric for metric in metrics if any(metric in row.values for row in (*train, *val))]
        if not known:
            continue
        figure = Figure(figsize=(6.4, 3.4), dpi=160, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _stages(axes, run)
        for metric, colour in zip(known, _COLOURS, strict=False):
            _curve(axes, metric, colour, train, val)
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=18)
        axes.set_xlabel("step", fontsize=9)
        axes.tick_params(labelsize=8, length=0)
        axes.grid(axis="y", color="#e8e8e4", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False, loc="best")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        figure.savefig(path)
        written.append(path)
    return written


def _curve(
    axes: Any, metric: str, colour: str, train: Sequence[StepMetrics], val: Sequence[StepMetrics]
) -> None:
    label = metric.rpartition("/")[2].replace("_", " ")
    steps = [row.step for row in train if row.values.get(metric) is not None]
    values = [value for row in train if (value := row.values.get(metric)) is not None]
    if values:
        axes.plot(steps, values, color=colour, alpha=0.22, linewidth=0.9)
        stages = [row.stage for row in train if row.values.get(metric) is not None]
        axes.plot(steps, _smooth(values, stages), color=colour, linewidth=1.7, label=label)
    points = [(row.step, value) for row in val if (value := row.values.get(metric)) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), "o", color=colour, markerfacecolor="white", markersize=4.5,
                  label=None if values else label)  # fmt: skip


def _smooth(values: Sequence[float], stages: Sequence[str]) -> list[float]:
    """Exponential moving average that starts over with each stage, as the page does it."""
    smoothed: list[float] = []
    for i, value in enumerate(values):
        new = i == 0 or stages[i] != stages[i - 1]
        smoothed.append(value if new else _SMOOTHING * smoothed[-1] + (1 - _SMOOTHING) * value)
    return smoothed


def _stages(axes: Any, run: RunFolder) -> None:
    for index, stage in enumerate(run.stages):
        if index:
            axes.axvline(stage.start_step - 0.5, color="#8a949b", linewidth=0.9, linestyle=(0, (2, 3)))
        axes.annotate(
            stage.name, (stage.start_step, 1.0), xycoords=("data", "axes fraction"), xytext=(2, 4),
            textcoords="offset points", fontsize=8, color="#66717a",
        )  # fmt: skip
