"""`medr3 recipes rehearse`: prepare, report what was replaced, run, report the verdict."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from medr3_plugin.errors import UserError, counted
from medr3_plugin.launch import run_training
from medr3_plugin.platform_cpu.speed import cores, cpu_environment
from medr3_plugin.recipe.rehearsal.prepare import CONFIG_NAME, Prepared, prepare
from medr3_plugin.recipe.rehearsal.verdict import verdict
from medr3_plugin.recipe.shipped import Recipe
from medr3_plugin.stages.checkpoints import latest


def rehearse(
    recipe: Recipe,
    overrides: Sequence[str] = (),
    *,
    out: Path | None = None,
    allow_stand_ins: bool = False,
    gpu_memory_gib: float = 80.0,
) -> bool:
    """Rehearse `recipe` and print the verdict; whether it passed.

    Args:
        out: a new or empty folder for everything the rehearsal writes; None for one that is removed at the end.

    Raises:
        UserError: the recipe is wrong, or something is missing.
        RunFailed: training failed.
    """
    with ExitStack() as resources:
        if out is None:
            kept = resources.enter_context(tempfile.TemporaryDirectory(prefix="medr3-rehearsal-"))
            folder = Path(kept)
        else:
            folder = out.expanduser().absolute()
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise UserError(f"{out} exists and is not an empty folder: choose another --out")
        prepared = prepare(
            recipe,
            overrides,
            folder,
            allow_stand_ins=allow_stand_ins,
            gpu_memory_gib=gpu_memory_gib,
            resources=resources,
        )
        _announce(recipe, prepared)
        seconds = _train(prepared)
        lines = verdict(prepared)
    print(f"\nverdict on {recipe.name} after {seconds / 60:.1f} minutes:")
    width = max(len(line.what) for line in lines)
    for line in lines:
        mark = {True: "ok", False: "NO", None: "-"}[line.ok]
        print(f"{mark:<3} {line.what:<{width}}  {line.found}")
    return not any(line.ok is False for line in lines)


def _announce(recipe: Recipe, prepared: Prepared) -> None:
    print(f"{recipe.name}: {prepared.model.architecture}, {counted(prepared.ranks, 'rank')}")
    print(f"tokenizer: {prepared.model.tokenizer}")
    if prepared.stand_ins:
        print("stand-ins:")
        for what in prepared.stand_ins:
            print(f"  {what}")
    print("replaced, so not rehearsed:")
    for change in prepared.replaced:
        print(f"  {change}", flush=True)


def _train(prepared: Prepared) -> float:
    """Train until the first checkpoint is whole, kill everything, run the same command to its end; seconds taken.

    Raises:
        UserError, RunFailed: training failed; the message says why and where the log is.
    """

    def start(kill_when: Callable[[], bool] = lambda: False) -> None:
        run_training(
            prepared.folder,
            CONFIG_NAME,
            [],
            run_dir=prepared.run_dir,
            total_steps=prepared.steps,
            environment=cpu_environment(cores()),
            kill_when=kill_when,
        )

    def saved() -> bool:
        # verl writes a mark of its own earlier, and a kill between leaves none to resume
        return latest(prepared.run_dir / "checkpoints", verify=False)[0] is not None

    started = time.monotonic()
    start(kill_when=saved)
    print("killed after the first checkpoint; resuming", file=sys.stderr, flush=True)
    start()
    return time.monotonic() - started
