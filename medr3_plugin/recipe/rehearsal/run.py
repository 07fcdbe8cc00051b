"""A rehearsal's two runs of verl's trainer: one that is killed after its first checkpoint, one that resumes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from medr3_plugin.launch import (
    RUN_TAG,
    cpu_environment,
    run_training,
    stop_processes,
    tagged_processes,
    training_failed,
)
from medr3_plugin.platform_cpu.speed import cores, thread_environment
from medr3_plugin.recipe.rehearsal.prepare import CONFIG_NAME, Prepared
from medr3_plugin.runs.files import LOG
from medr3_plugin.stages.checkpoints import latest

_POLL_S = 0.2


def run(prepared: Prepared) -> float:
    """Train until the first checkpoint is whole, kill everything, run the same command to its end; seconds taken.

    Raises:
        UserError, RunFailed: training failed; the message says why and where the log is.
    """
    started = time.monotonic()
    _until_killed(prepared)
    print("killed after the first checkpoint; resuming", file=sys.stderr, flush=True)
    run_training(
        prepared.folder,
        CONFIG_NAME,
        [],
        run_dir=prepared.run_dir,
        total_steps=prepared.steps,
        environment=_environment(),
    )
    return time.monotonic() - started


def _until_killed(prepared: Prepared) -> None:
    run_dir = prepared.run_dir
    run_dir.mkdir(parents=True)
    log = run_dir / LOG
    tag = uuid4().hex
    command = [
        sys.executable, "-m", "verl.trainer.main_ppo",
        "--config-dir", str(prepared.folder), "--config-name", CONFIG_NAME,
        f"hydra.run.dir={run_dir / 'hydra'}",
    ]  # fmt: skip
    environment = {**os.environ, RUN_TAG: tag, "HYDRA_FULL_ERROR": "1", "PYTHONUNBUFFERED": "1"}
    environment |= _environment()
    print(f"rehearsing; log: {log}", file=sys.stderr, flush=True)
    with log.open("ab") as stream:
        child = subprocess.Popen(
            command, env=environment, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while child.poll() is None and not _saved(run_dir):
                time.sleep(_POLL_S)
            if not _saved(run_dir):
                raise training_failed(log, 0)
            for pid in (child.pid, *tagged_processes(tag)):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            stop_processes(tag, child)


def _environment() -> dict[str, str]:
    return cpu_environment(thread_environment(cores()))


def _saved(run_dir: Path) -> bool:
    """Whether a checkpoint is complete: verl writes its own mark earlier, and a kill between leaves none to resume."""
    return latest(run_dir / "checkpoints", verify=False)[0] is not None
