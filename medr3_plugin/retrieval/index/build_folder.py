"""The folders of a build, hidden beside the target: `.NAME.building`, `.NAME.vectors`, `.NAME.lock`.

An index is written under the first name and renamed when its manifest is on disk: a build that is killed, or runs out
of disk, leaves the target as it was. Every build writes documents and BM25 again; encoded vectors, which may have taken
days, stay until the index is in its place, and those of something else go only when asked.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from medr3_plugin.errors import UserError
from medr3_plugin.outputs import made
from medr3_plugin.retrieval.index import manifest as manifest_file
from medr3_plugin.retrieval.index.provenance import Provenance, difference

MADE_OF = "made_of.json"


def finished_index(target: Path, made_of: Provenance) -> dict[str, Any] | None:
    """The manifest of the index at `target` if it is the wanted one; None if there is nothing.

    Raises:
        UserError: something else is there, with the difference.
    """
    if not target.exists() or not any(target.iterdir()):
        return None
    check_replaceable(target)
    try:
        manifest = manifest_file.read(target)
    except UserError as error:
        raise UserError(f"{error}, with --overwrite") from error
    recorded = manifest.get("built_from")
    if why := difference(recorded, made_of) if recorded else "it does not say of what":
        raise UserError(
            f"{target}: exists, and is not an index of this corpus with these options ({why}); choose another "
            "folder, or pass --overwrite to replace it"
        )
    return manifest


def check_replaceable(target: Path) -> None:
    """Refuse a target that is there and no index.

    Raises:
        UserError: it is not.
    """
    if target.exists() and any(target.iterdir()) and not (target / manifest_file.NAME).is_file():
        raise UserError(f"{target} is not an index, so it is not overwritten; choose another folder")


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """One build of a target at a time."""
    with made(target.parent):
        lock = filelock.FileLock(target.parent / f".{target.name}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            if not Path(lock.lock_file).exists():
                raise UserError(f"{target.parent}: cannot be written; choose another folder") from error
            raise UserError(f"{target}: another process is building it; wait for it to finish") from error
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows does not remove an open file
                Path(lock.lock_file).unlink()
            lock.release()


@contextlib.contextmanager
def vectors_folder(
    target: Path, made_of: Provenance, *, overwrite: bool, notify: Callable[[str], None]
) -> Iterator[Path]:
    """Where the encoded vectors of a build are, those of an earlier start among them; removed when the block ends well.

    Args:
        overwrite: whether vectors of something else may go.
        notify: told if a build resumes.

    Raises:
        UserError: there are vectors of something else.
    """
    folder = target.parent / f".{target.name}.vectors"
    record = folder / MADE_OF
    encoded = len(list(folder.glob("*.npy")))
    why = "it does not say of what"
    with contextlib.suppress(OSError, ValueError, KeyError):
        why = difference(json.loads(record.read_text(encoding="utf-8")), made_of)
    if encoded and why and not overwrite:
        raise UserError(
            f"{target}: {folder} has encoded vectors of another build ({why}); restore that to resume it, or pass "
            "--overwrite to start over"
        )
    if why:
        shutil.rmtree(folder, ignore_errors=True)
    elif encoded:
        notify(f"{target}: resuming with {encoded} files of encoded vectors")
    folder.mkdir(exist_ok=True)
    record.write_text(json.dumps(made_of), encoding="utf-8")
    try:
        yield folder
    except BaseException:
        if not any(folder.glob("*.npy")):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
