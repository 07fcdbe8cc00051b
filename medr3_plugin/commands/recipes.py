"""`medr3 recipes`: list, copy, validate and rehearse."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medr3_plugin.errors import counted

if TYPE_CHECKING:
    from medr3_plugin.recipe.checks import Finding


def list_() -> None:
    """List the shipped recipes."""
    from medr3_plugin.recipe.shipped import list_recipes

    recipes = list_recipes()
    width = max((len(recipe.name) for recipe in recipes), default=0)
    for recipe in recipes:
        typer.echo(f"{recipe.name:<{width}}  {recipe.summary}")


def copy(
    name: Annotated[str, typer.Argument(help="A shipped recipe (see `medr3 recipes list`).")],
    target: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty folder.")],
) -> None:
    """Copy a recipe into your own folder: edit the yaml there, then start its run.sh."""
    from medr3_plugin.recipe.shipped import copy_recipe

    recipe = copy_recipe(name, target)
    shown = str(target) if str(target).startswith(("/", ".", "~")) else f"./{target}"
    typer.echo(f"{recipe.folder}: edit {recipe.config_file.name}, then run.sh; check it with")
    typer.echo(f"  medr3 recipes validate {shlex.quote(shown)}")


def validate(
    name: Annotated[
        str | None, typer.Argument(help="A recipe's folder or name [default: all shipped].")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Argument(help="Hydra overrides, e.g. trainer.nnodes=4.")
    ] = None,
    files: Annotated[
        bool | None,
        typer.Option(
            "--files/--no-files", help="Check that data and models exist [default: if a recipe is named]."
        ),
    ] = None,
    gpu_memory: Annotated[float, typer.Option(min=1, help="Memory of one GPU in GiB.")] = 80.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list, one object per recipe.")
    ] = False,
) -> None:
    """Compose against the installed verl and check registrations, files, lengths, budgets and memory.

    The exit code is 1 if there is an error; a file that is yet to be prepared is not an error.
    """
    from medr3_plugin.recipe.checks import check
    from medr3_plugin.recipe.shipped import find_recipe, list_recipes

    failed = False
    told = []
    for recipe in [find_recipe(name)] if name else list_recipes():
        findings = check(
            recipe, override or (), files=bool(name) if files is None else files, gpu_memory_gib=gpu_memory
        )
        failed = failed or any(finding.level == "error" for finding in findings)
        if as_json:
            rows = [{"level": f.level, "where": f.where, "message": f.message} for f in findings]
            told.append({"recipe": recipe.name, "verdict": _verdict(findings), "findings": rows})
            continue
        typer.echo(f"{recipe.name}: {_verdict(findings)}")
        for finding in findings:
            typer.echo(f"  {finding.level}: {finding.where}: {finding.message}", err=finding.level == "error")
    if as_json:
        typer.echo(json.dumps(told, indent=1, ensure_ascii=False))
    raise typer.Exit(1 if failed else 0)


def rehearse(
    name: Annotated[str, typer.Argument(help="A recipe's folder or name.")],
    override: Annotated[
        list[str] | None, typer.Argument(help="Hydra overrides, e.g. paths.data=data/mine.")
    ] = None,
    stand_ins: Annotated[
        bool, typer.Option("--stand-ins", help="Replace missing data, index, judge or tokenizer, and say so.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Keep the rehearsal's files in this new folder.")] = None,
    gpu_memory: Annotated[float, typer.Option(min=1, help="Memory of one GPU in GiB.")] = 80.0,
) -> None:
    """Run a whole recipe before paying for GPUs: every stage, hand-over, validation, checkpoint, kill and resume.

    Uses your data, index, judge, tools and schedule, with a tiny random model of the recipe's architecture, on this
    machine's CPU, in minutes. Three of four rollouts follow a script of searches and answers. Prints what was
    replaced, and so not rehearsed, and a verdict. The exit code is 1 if a line of the verdict is NO.
    """
    from medr3_plugin.recipe.rehearsal.rehearse import rehearse as run
    from medr3_plugin.recipe.shipped import find_recipe

    passed = run(
        find_recipe(name), override or (), out=out, allow_stand_ins=stand_ins, gpu_memory_gib=gpu_memory
    )
    raise typer.Exit(0 if passed else 1)


def _verdict(findings: Sequence[Finding]) -> str:
    errors = sum(finding.level == "error" for finding in findings)
    missing = sum(finding.level == "missing" for finding in findings)
    if errors:
        return counted(errors, "error")
    return f"not ready, {missing} missing" if missing else "ok"
