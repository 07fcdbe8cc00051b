"""`medr3 recipes rehearse`: prepare, report what was replaced, run, report the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from medr3_plugin.errors import UserError
from medr3_plugin.recipe.rehearsal.prepare import Prepared, prepare
from medr3_plugin.recipe.rehearsal.run import run
from medr3_plugin.recipe.rehearsal.verdict import verdict
from medr3_plugin.recipe.shipped import Recipe


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
        UserError: the recipe is wrong, or something is not at hand.
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
        seconds = run(prepared)
        lines = verdict(prepared)
    print(f"\nverdict on {recipe.name} after {seconds / 60:.1f} minutes:")
    width = max(len(line.what) for line in lines)
    for line in lines:
        mark = {True: "ok", False: "NO", None: "-"}[line.ok]
        print(f"{mark:<3} {line.what:<{width}}  {line.found}")
    return not any(line.ok is False for line in lines)


def _announce(recipe: Recipe, prepared: Prepared) -> None:
    print(f"{recipe.name}: {prepared.model.architecture}, {prepared.ranks} rank{'s' * (prepared.ranks > 1)}")
    print(f"tokenizer: {prepared.model.tokenizer}")
    if prepared.stand_ins:
        print("stand-ins:")
        for what in prepared.stand_ins:
            print(f"  {what}")
    print("replaced, so not rehearsed:")
    for change in prepared.replaced:
        print(f"  {change}", flush=True)
