"""What a start in a folder that is in use already would be refused for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks.finding import Finding, section
from medr3_plugin.runs.files import LOCK
from medr3_plugin.runs.writer import claimed
from medr3_plugin.stages.checkpoints import resume_folder, step_of
from medr3_plugin.stages.schedule import Schedule
from medr3_plugin.stages.state import StageState


def resumes(config: Any) -> Iterator[Finding]:
    """Another run is using the folder, or its checkpoint cannot be resumed with these stages."""
    ours = section(config)
    run_dir = Path(str(ours.get("run_dir") or "")).expanduser().absolute()
    if ours.get("run_dir") and (run_dir / LOCK).is_file():
        try:
            claimed(run_dir).release()
        except (UserError, OSError) as error:
            yield Finding.error("medr3.run_dir", str(error).removeprefix("medr3.run_dir: "))
    schedule = Schedule.from_config(ours["stages"])
    # reading a checkpoint takes minutes, so it is read only if something is wrong
    for verify in (False, True):
        wrong = ""
        try:
            folder, _ = resume_folder(config.trainer, verify=verify)
            if folder is not None:
                step_of(folder)
                StageState.load(folder, schedule)
        except UserError as error:
            wrong = str(error)
        if not wrong:
            return
    key = "resume_from_path" if config.trainer.resume_mode == "resume_path" else "default_local_dir"
    yield Finding.error(f"trainer.{key}", wrong.removeprefix(f"trainer.{key}: "))
