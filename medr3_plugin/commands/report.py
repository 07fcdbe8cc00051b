"""`medr3 report`: a run folder as one page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medr3_plugin.commands.checks import HTML, out_file
from medr3_plugin.errors import UserError


def report(
    run_dir: Annotated[
        Path, typer.Argument(help="Run folder (metrics.jsonl, stages.json, trajectories.jsonl).")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write [default: RUN_DIR/report.html].")] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the page [default: the folder's name].")
    ] = None,
    max_trajectories: Annotated[
        int, typer.Option(min=1, help="Most trajectories to embed, evenly spaced over the run.")
    ] = 600,
) -> None:
    """Write one self-contained HTML page about a run, finished or in progress: curves, stages, trajectories."""
    from medr3_plugin.runs.files import CONFIG, EVALUATION, METRICS, STAGES, TRAJECTORIES
    from medr3_plugin.runs.report.report import write_report

    if out is not None:
        out_file(out, HTML)
    files = (METRICS, STAGES, TRAJECTORIES, CONFIG, EVALUATION)
    if run_dir.is_dir() and not any((run_dir / name).is_file() for name in files):
        raise UserError(
            f"{run_dir} is not a run folder: none of {', '.join(files)} is in it; give the folder that "
            "`medr3 train` or `medr3 eval` writes into"
        )
    target, run = write_report(run_dir, out, title=title, max_trajectories=max_trajectories)
    if run.evaluation:
        state = "evaluation"
    elif run.finished:
        state = "finished"
    else:
        state = f"in progress, step {run.metrics[-1].step}" if run.metrics else "no steps yet"
    typer.echo(f"{target}  ({state}; {len(run.trajectories)} of {run.trajectory_total} trajectories)")
    for note in run.notes:
        typer.echo(f"note: {note}", err=True)
