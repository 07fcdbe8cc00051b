"""A run in a few lines, printed at the end of `medr3 train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medr3_plugin.errors import UserError
from medr3_plugin.runs.files import METRICS, TRAIN, VALIDATION
from medr3_plugin.runs.reader import StepMetrics, read_metrics

COLUMNS = (
    ("reward", "reward/score"),
    ("acc", "reward/acc"),
    ("searches", "search/per_trajectory"),
    ("gold found", "search/hit_at_k"),
    ("well-formed", "reward/format"),
    ("step time", "time/step"),
)


def summary(run_dir: Path) -> str:
    """A table: a row per stage (training means), a row per validation.

    Raises:
        UserError: there are no metrics in `run_dir`.
    """
    file = run_dir / METRICS
    if not file.is_file():
        raise UserError(f"{file}: no such file; is {run_dir} a run folder?")
    lines = read_metrics(file, notes=[])
    training = [line for line in lines if line.kind == TRAIN]
    rows = [["", "steps", *(name for name, _ in COLUMNS)]]
    for stage in dict.fromkeys(line.stage for line in training):
        steps = [line for line in training if line.stage == stage]
        rows.append([stage, str(len(steps)), *_cells(steps)])
    for line in lines:
        if line.kind == VALIDATION:
            rows.append([f"validation, step {line.step}", "", *_cells([line])])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _cells(lines: Sequence[StepMetrics]) -> list[str]:
    """The mean of each of `COLUMNS`, empty without a value."""
    cells = []
    for name, key in COLUMNS:
        values = [value for line in lines if (value := line.values.get(key)) is not None]
        mean = sum(values) / len(values) if values else None
        cells.append("" if mean is None else f"{mean:.1f} s" if name == "step time" else f"{mean:.2f}")
    return cells
