"""Which checkpoint a run resumes from.

verl marks its latest checkpoint in a file of its own, which a kill at the wrong moment leaves pointing at a
folder that is half written, or half deleted by `max_actor_ckpt_to_keep`. So each finished checkpoint gets a
marker inside, and a run resumes from the folder that was marked last. That is not always the one of the highest
step: a run may have been sent back to an earlier checkpoint, or to its beginning, beside the later ones.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError
from medr3_plugin.runs.files import write_json
from medr3_plugin.stages.state import STATE_FILE

MARKER = "medr3_complete.json"
_FOLDER = re.compile(r"^global_step_(\d+)$")


def step_of(folder: Path) -> int:
    """The step in a checkpoint folder's name.

    Raises:
        UserError: the folder is not called `global_step_<number>`.
    """
    match = _FOLDER.match(folder.name)
    if match is None:
        raise UserError(f"trainer.resume_from_path: {folder} is not a folder named global_step_<number>")
    return int(match[1])


def begin(folder: Path) -> None:
    """Make the folder, without the marker of an earlier checkpoint that is about to be overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).unlink(missing_ok=True)


def mark_complete(folder: Path) -> None:
    """Say that everything of the checkpoint is on disk; called last."""
    files = sorted(file.name for file in (folder / "actor").glob("*.pt"))
    write_json(folder / MARKER, {"step": step_of(folder), "saved_at": time.time(), "actor_files": files})


def latest(root: Path) -> tuple[Path | None, list[Path]]:
    """The complete checkpoint in `root` that was saved last, or None, and the incomplete ones of later steps."""
    if not root.is_dir():
        return None, []
    folders = sorted(
        (p for p in root.iterdir() if p.is_dir() and _FOLDER.match(p.name)), key=step_of, reverse=True
    )
    saved = {folder: at for folder in folders if (at := _saved_at(folder)) is not None}
    newest = max(saved, key=saved.__getitem__, default=None)
    behind = -1 if newest is None else step_of(newest)
    return newest, [folder for folder in folders if folder not in saved and step_of(folder) > behind]


def resume_folder(trainer: Any) -> tuple[Path | None, list[Path]]:
    """The checkpoint that verl's section `trainer` asks to go on from, or None, and those that `auto` passed over."""
    if trainer.resume_mode == "disable":
        return None, []
    if trainer.resume_mode == "resume_path":
        return Path(trainer.resume_from_path).absolute(), []
    return latest(Path(trainer.default_local_dir).absolute())


def _saved_at(folder: Path) -> float | None:
    """When a checkpoint was finished (Unix time); None if it was not, or if parts of it are gone."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        wanted = [folder / STATE_FILE, folder / "data.pt"]
        wanted += [folder / "actor" / name for name in marker["actor_files"]]
        return float(marker["saved_at"]) if all(file.stat().st_size > 0 for file in wanted) else None
    except (OSError, ValueError, KeyError):
        return None
