"""A rehearsal's two runs of verl's trainer: one that is killed after its first checkpoint, one that resumes it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from medr3_plugin.launch import run_training
from medr3_plugin.platform_cpu.speed import cores, cpu_environment
from medr3_plugin.recipe.rehearsal.prepare import CONFIG_NAME, Prepared
from medr3_plugin.stages.checkpoints import latest


def run(prepared: Prepared) -> float:
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
