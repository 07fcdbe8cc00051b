"""The recipes' `run.sh`: which commands they would start, with stubs for `ray`, `python` and `scontrol`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from medr3_plugin.recipe.shipped import copy_recipe, list_recipes

SEVERAL_NODES = [r.name for r in list_recipes() if r.name != "medr3_cpu"]
FOLDERS = {recipe.name: recipe.folder for recipe in list_recipes()}

STUBS = {
    "ray": 'echo "ray $*" >> "$LOG"',
    # asked for the nodes that are alive it says one more each time
    "python": 'if [[ "$1" == -c ]]; then echo . >> "$LOG.asked"; wc -l < "$LOG.asked"; exit; fi\n'
    'echo "${MEDR3_TOOLS:-}" > "${LOG%log}tools"\n'
    'echo "RAY_ADDRESS=${RAY_ADDRESS:-} python $*" >> "$LOG"; exit "${STATUS:-0}"',
    # as many nodes as do not fit a pipe: whoever closes it early kills scontrol
    "scontrol": "for i in {a..z}; do printf 'node-%s\\n' $i; done; printf '%0100000d\\n' 0",
    "sleep": ":",
}


def start(folder: Path, tmp_path: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code of a run.sh, and the commands it started."""
    stubs = tmp_path / "bin"
    stubs.mkdir()
    for name, body in STUBS.items():
        (stubs / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (stubs / name).chmod(0o755)
    log = tmp_path / "log"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "RAY_", "MEDR3_", "NNODES"))}
    done = subprocess.run(
        [str(folder / "run.sh"), *arguments],
        env={**clean, "PATH": f"{stubs}:{os.environ['PATH']}", "LOG": str(log), **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    return done.returncode, log.read_text().splitlines() if log.is_file() else []


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_scripts_are_sound_bash(name: str) -> None:
    assert subprocess.run(["bash", "-n", FOLDERS[name] / "run.sh"]).returncode == 0


@pytest.mark.parametrize("name", SEVERAL_NODES)
def test_one_node_needs_no_cluster(name: str, tmp_path: Path) -> None:
    status, commands = start(FOLDERS[name], tmp_path, "trainer.save_freq=5", NNODES="1")
    (command,) = commands
    assert status == 0 and command.startswith("RAY_ADDRESS= python -m verl.trainer.main_ppo --config-dir ")
    assert command.endswith(f"--config-name {name} trainer.nnodes=1 trainer.save_freq=5")


@pytest.mark.parametrize("name", SEVERAL_NODES)
def test_the_head_waits_for_all_nodes_and_ends_the_cluster(name: str, tmp_path: Path) -> None:
    status, commands = start(FOLDERS[name], tmp_path, NNODES="3", STATUS="7")
    assert status == 7  # the trainer's own
    assert [c.split(" --config-dir")[0] for c in commands] == [
        "ray start --head --port 6379",
        "RAY_ADDRESS=auto python -m verl.trainer.main_ppo",
        "ray stop",
    ]
    assert len((tmp_path / "log.asked").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", SEVERAL_NODES)
def test_a_worker_joins_and_needs_the_heads_address(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    status, commands = start(FOLDERS[name], tmp_path / "a", "worker", HEAD="10.0.0.1")
    assert (status, commands) == (0, ["ray start --address 10.0.0.1:6379 --block"])
    status, commands = start(FOLDERS[name], tmp_path / "b", "worker")
    assert status != 0 and commands == []


def test_under_slurm_the_first_task_is_the_head(tmp_path: Path) -> None:
    slurm = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "node-[a-b]"}
    for rank in "01":
        (tmp_path / rank).mkdir()
    folder = FOLDERS["qwen2_5_7b"]
    _, head = start(folder, tmp_path / "0", SLURM_NODEID="0", **slurm)
    _, worker = start(folder, tmp_path / "1", SLURM_NODEID="1", **slurm)
    assert head[0] == "ray start --head --port 6379" and head[1].endswith("trainer.nnodes=2")
    assert worker == ["ray start --address node-a:6379 --block"]


def test_the_tool_file_beside_the_recipe_is_handed_on(tmp_path: Path) -> None:
    """In a copy of the recipe, whatever its folder is called."""
    folder = tmp_path / "mine"
    copy_recipe("qwen3_8b_tools", folder)
    status, commands = start(folder, tmp_path, NNODES="1")
    assert status == 0 and f"--config-dir {folder} --config-name qwen3_8b_tools" in commands[0]
    assert (tmp_path / "tools").read_text().strip() == str(folder / "tools.yaml")


def test_a_copied_recipe_has_files_of_its_own(tmp_path: Path) -> None:
    copy_recipe("qwen2_5_7b", tmp_path / "mine")
    assert not [path for path in (tmp_path / "mine").rglob("*") if path.is_symlink()]
