"""Which checkpoint a run resumes from.

verl marks its latest checkpoint in a file of its own, which a kill at the wrong moment leaves pointing at a
folder that is half written, or half deleted by `max_actor_ckpt_to_keep`. So each finished checkpoint gets a
marker inside, and a run resumes from the folder that was marked last. That is not always the one of the highest
step: a run may have been sent back to an earlier checkpoint, or to its beginning, beside the later ones. Markers are
numbered, as a clock may be set back between two of them.

The marker records sizes and checksums: of whole files, and of the ends of large ones. Those (weights, optimizer) are
what `torch.save` writes: zip archives with a checksum of every tensor and a directory at the end. So damage is found
when a run resumes, and saving costs next to nothing.
"""

from __future__ import annotations

import json
import re
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from medr3_plugin.errors import UserError
from medr3_plugin.outputs import write_json
from medr3_plugin.stages.state import STATE_FILE

MARKER = "medr3_complete.json"
SMALL = 32 * 2**20
"""Bytes up to which the checksum in the marker is of the whole file."""

END = 2**20
"""Bytes at the end of a larger file that the checksum is of."""

_FOLDER = re.compile(r"^global_step_(\d+)$")


class Skipped(NamedTuple):
    """A checkpoint that a run does not resume from, and why."""

    folder: Path
    reason: str


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
    """Create the folder, and remove the marker of an earlier checkpoint that is about to be overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).unlink(missing_ok=True)


def mark_complete(folder: Path) -> None:
    """Mark the checkpoint as completely on disk; called last."""
    written = [
        *(file for file in folder.iterdir() if file.is_file() and file.name != MARKER),
        *(folder / "actor").glob("*.pt"),
        *(file for file in (folder / "transfer_queue").rglob("*") if file.is_file()),
    ]
    files = {
        str(file.relative_to(folder)): (file.stat().st_size, _checksum(file)) for file in sorted(written)
    }
    number = 1 + max((marker.get("number", 0) for marker in _markers(folder.parent).values()), default=0)
    marker = {"step": step_of(folder), "number": number, "saved_at": time.time(), "files": files}
    write_json(folder / MARKER, marker)


def latest(root: Path, *, verify: bool = True) -> tuple[Path | None, list[Skipped]]:
    """The last complete checkpoint saved in `root`, or None, and those that were skipped.

    Args:
        verify: read its files, which takes minutes for a large model; else what was marked complete is taken for it.
    """
    if not root.is_dir():
        return None, []
    folders = sorted(_checkpoints(root), key=step_of, reverse=True)
    # markers of earlier versions have no number
    saved = {
        folder: (marker.get("number", 0), marker["saved_at"]) for folder, marker in _markers(root).items()
    }
    skipped: list[Skipped] = []
    newest = None
    for folder in sorted(saved, key=saved.__getitem__, reverse=True):
        damage = damage_of(folder) if verify else None
        if damage is None:
            newest = folder
            break
        skipped.append(Skipped(folder, damage))
    behind = -1 if newest is None else step_of(newest)
    unfinished = [folder for folder in folders if folder not in saved and step_of(folder) > behind]
    return newest, [*(Skipped(folder, "it was not finished") for folder in unfinished), *skipped]


def resume_folder(trainer: Any, *, verify: bool = True) -> tuple[Path | None, list[Skipped]]:
    """The checkpoint that verl's section `trainer` resumes from, or None, and those that `auto` skipped.

    Args:
        verify: see `latest`.

    Raises:
        UserError: the checkpoint that `resume_path` names is damaged, or a path is missing.
    """
    if trainer.resume_mode == "disable":
        return None, []
    by_path = trainer.resume_mode == "resume_path"
    key, what = "default_local_dir", "the folder of the checkpoints"
    if by_path:
        key, what = "resume_from_path", "a checkpoint, a folder named global_step_<number>"
    path = getattr(trainer, key)
    if not path or not isinstance(path, str):
        raise UserError(f"trainer.{key}: give {what}, got {path!r}")
    folder = Path(path).absolute()
    if not by_path:
        return latest(folder, verify=verify)
    if verify and _marker(folder) and (damage := damage_of(folder)):
        raise UserError(f"trainer.resume_from_path: {folder}: {damage}; name another checkpoint")
    return folder, []


def damage_of(folder: Path) -> str | None:
    """What is missing, truncated or changed in a finished checkpoint; None if it is intact.

    Reads all of its files: at the speed of the disk, once per resume.
    """
    marker = _marker(folder) or {}
    before = [STATE_FILE, "data.pt", *(f"actor/{file}" for file in marker.get("actor_files", ()))]
    # markers of earlier versions name the actor's files alone
    recorded: dict[str, Any] = marker.get("files") or dict.fromkeys(before, (None, None))
    for name, (size, checksum) in recorded.items():
        file = folder / name
        try:
            found = file.stat().st_size
            if found == 0 or found != (size or found):
                return f"{name} has {found} bytes" + (f" of {size}" if size else "")
            changed = checksum is not None and _checksum(file) != checksum
            if changed or (found > SMALL and file.suffix == ".pt" and not _sound_archive(file)):
                return f"{name} is corrupted"
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
    return None


def _sound_archive(file: Path) -> bool:
    """Whether every tensor of what `torch.save` wrote still has its checksum."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError):
        return False


def _checksum(file: Path) -> int:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0 if size <= SMALL else size - END)
        return zlib.crc32(stream.read())


def _checkpoints(root: Path) -> list[Path]:
    return [folder for folder in root.iterdir() if folder.is_dir() and _FOLDER.match(folder.name)]


def _markers(root: Path) -> dict[Path, dict[str, Any]]:
    """The finished checkpoints in a folder, with their markers."""
    return {folder: marker for folder in _checkpoints(root) if (marker := _marker(folder))}


def _marker(folder: Path) -> dict[str, Any] | None:
    """The marker of a finished checkpoint; None if there is none that can be read."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        sound = isinstance(marker["saved_at"], int | float) and isinstance(marker.get("number", 0), int)
        return marker if sound else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
