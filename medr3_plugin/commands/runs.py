"""`medr3 train|promote|report`: a run is started or resumed, its stage ended by hand, its folder made a page."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from medr3_plugin.commands.options import HTML, out_file
from medr3_plugin.errors import UserError


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's folder or yaml, or the name of a shipped one.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Hydra overrides, e.g. trainer.nnodes=4.")
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Check the recipe without starting it.")
    ] = False,
) -> None:
    """Train with a recipe in verl's own trainer. The same command resumes an interrupted run."""
    from medr3_plugin.launch import run_training
    from medr3_plugin.recipe.checks import check, other_verl
    from medr3_plugin.recipe.checks.finding import section
    from medr3_plugin.recipe.checks.rows import LANGUAGE
    from medr3_plugin.recipe.checks.sizes import FREE_MEMORY
    from medr3_plugin.recipe.shipped import compose, find_recipe

    found = find_recipe(recipe)
    given = overrides or []
    findings = check(found, given)
    problems = [finding for finding in findings if finding.level != "note"]
    if problems:
        whole = shlex.join(["medr3", "recipes", "validate", recipe, *given])
        more = f" (and {len(problems) - 1} more: {whole})" if len(problems) > 1 else ""
        raise UserError(f"{problems[0].where}: {problems[0].message}{more}")
    config = compose(found, given)
    if (other := other_verl()) is not None:
        print(f"warning: verl {other}", file=sys.stderr)
    for finding in findings:
        if finding.where in (LANGUAGE, FREE_MEMORY):
            print(f"warning: {finding.where}: {finding.message}", file=sys.stderr)
    if check_only:
        print(f"{found.name}: ready to train")
        return
    from medr3_plugin.runs.writer import claimed
    from medr3_plugin.stages.schedule import Schedule

    ours = section(config)
    run_dir = Path(ours["run_dir"]).expanduser().absolute()
    run_dir.mkdir(parents=True, exist_ok=True)
    claimed(run_dir).release()  # the trainer would be refused minutes later
    environment: dict[str, str] = {}
    if ours.get("platform") == "cpu":
        precision, environment = _on_this_machine(config.get("precision"), run_dir)
        if config.get("precision") == "auto":
            given = [*given, f"precision={precision}"]
    run_training(
        found.folder,
        found.name,
        given,
        run_dir=run_dir,
        total_steps=Schedule.from_config(ours["stages"]).max_steps,
        environment=environment,
    )
    from medr3_plugin.runs.files import METRICS
    from medr3_plugin.runs.summary import summary

    print(summary(run_dir))
    print(f"metrics: {run_dir / METRICS}", file=sys.stderr)


def _on_this_machine(wanted: str | None, run_dir: Path) -> tuple[str, dict[str, str]]:
    """Precision and variables of a CPU run: as set by the user or earlier in the run, otherwise measured now."""
    from medr3_plugin.platform_cpu import speed

    if wanted == "auto":
        wanted = speed.precision_of_run(run_dir / "config.yaml")
    elif wanted not in speed.PRECISIONS:
        wanted = "float32"
    measured = speed.measured_here()
    chosen, warning = speed.choose_in(wanted, measured)
    print(f"measured: {', '.join(map(str, measured))}; chosen: {chosen}", file=sys.stderr)
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    return chosen.precision, speed.cpu_environment(chosen.threads)


def promote(
    run: Annotated[Path, typer.Argument(help="The run folder of a training run in progress.")],
) -> None:
    """End the running stage after its current step; recorded as `manual` in stages.json."""
    from medr3_plugin.runs.requests import request_promotion

    stage = request_promotion(run)
    print(f"stage {stage} of {run} ends after the step in progress")


def report(
    run_dir: Annotated[
        Path, typer.Argument(help="Run folder (metrics.jsonl, stages.json, trajectories.jsonl).")
    ],
    out: Annotated[Path | None, typer.Option(help="File to write [default: RUN_DIR/report.html].")] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading of the page [default: the folder's name].")
    ] = None,
    max_trajectories: Annotated[
        int, typer.Option(min=1, help="Embed at most this many trajectories, evenly spaced over the run.")
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
