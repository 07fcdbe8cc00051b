"""A run in a few lines: what `medr3 train` prints at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError

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
    file = run_dir / "metrics.jsonl"
    if not file.is_file():
        raise UserError(f"{file}: no such file; is {run_dir} a run folder?")
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    rows = [["", "steps", *(name for name, _ in COLUMNS)]]
    for stage in dict.fromkeys(line["stage"] for line in lines if line["kind"] == "train"):
        steps = [line for line in lines if line["kind"] == "train" and line["stage"] == stage]
        rows.append([stage, str(len(steps)), *_cells(steps)])
    for line in lines:
        if line["kind"] == "val":
            rows.append([f"validation, step {line['step']}", "", *_cells([line])])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _cells(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for name, key in COLUMNS:
        values = [line[key] for line in lines if key in line]
        mean = sum(values) / len(values) if values else None
        cells.append("" if mean is None else f"{mean:.1f} s" if name == "step time" else f"{mean:.2f}")
    return cells
