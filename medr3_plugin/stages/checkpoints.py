"""Which checkpoint a run resumes from.

verl marks its latest checkpoint in a file of its own, which a kill at the wrong moment leaves pointing at a
folder that is half written, or half deleted by `max_actor_ckpt_to_keep`. So each finished checkpoint gets a
marker inside, and a run resumes from the newest folder that has it.
"""

from __future__ import annotations

import re
from pathlib import Path

from medr3_plugin.errors import UserError
from medr3_plugin.stages.state import STATE_FILE, write_json

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


def mark_complete(folder: Path) -> None:
    """Say that everything of the checkpoint is on disk; called last."""
    actor = folder / "actor"
    write_json(
        folder / MARKER, {"step": step_of(folder), "actor_files": sorted(p.name for p in actor.glob("*.pt"))}
    )


def is_complete(folder: Path) -> bool:
    """Whether a checkpoint was finished and its parts are still there."""
    import json

    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = [folder / STATE_FILE, folder / "data.pt"]
    wanted += [folder / "actor" / name for name in marker.get("actor_files", ())]
    return all(file.is_file() and file.stat().st_size > 0 for file in wanted)


def latest(root: Path) -> tuple[Path | None, list[Path]]:
    """The newest complete checkpoint in `root`, or None, and the newer ones that are incomplete."""
    if not root.is_dir():
        return None, []
    folders = sorted(
        (p for p in root.iterdir() if p.is_dir() and _FOLDER.match(p.name)), key=step_of, reverse=True
    )
    skipped: list[Path] = []
    for folder in folders:
        if is_complete(folder):
            return folder, skipped
        skipped.append(folder)
    return None, skipped
