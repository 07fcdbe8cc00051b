"""A table of sample trajectories in loggers that support it, under the name `medr3/trajectories`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

NAME = "medr3/trajectories"

COLUMNS = ("step", "stage", "kind", "id", "question", "answer", "response", "searches", "score", "reward")


def table(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Rows of `trajectories.jsonl` as rows of `COLUMNS`: texts, numbers, and JSON for the reward record."""
    return [
        [
            *(row[key] for key in COLUMNS[:7]),
            "\n".join(str(search["query"]) for search in row["searches"]),
            row["reward"]["score"],
            json.dumps(row["reward"]),
        ]
        for row in rows
    ]


def log_table(tracking: Any, rows: Sequence[Mapping[str, Any]], step: int) -> None:
    """Show the rows in every logger of the run that has tables or texts.

    Args:
        tracking: verl's `Tracking`; its `logger` maps the backends of `trainer.logger` to what it logs with.
        rows: rows of `trajectories.jsonl`.
    """
    if not rows:
        return
    backends: Mapping[str, Any] = tracking.logger
    for name in ("wandb", "vemlp_wandb"):
        if wandb := backends.get(name):
            wandb.log({NAME: wandb.Table(columns=list(COLUMNS), data=table(rows))}, step=step)
    if tensorboard := backends.get("tensorboard"):
        for number, row in enumerate(rows):
            tensorboard.writer.add_text(f"{NAME}/{number}", _markdown(row), step)
    if "mlflow" in backends:
        import mlflow

        columns = dict(zip(COLUMNS, map(list, zip(*table(rows), strict=True)), strict=True))
        mlflow.log_table(columns, artifact_file=f"{NAME}.json")


def _markdown(row: Mapping[str, Any]) -> str:
    """One trajectory as TensorBoard shows text; as code, so that nothing in it becomes markup."""
    facts = dict(zip(COLUMNS, table([row])[0], strict=True))
    return "\n\n".join(
        f"**{name}**\n\n" + "\n".join(f"    {line}" for line in str(value).splitlines() or [""])
        for name, value in facts.items()
    )
