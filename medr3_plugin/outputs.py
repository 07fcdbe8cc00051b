"""What commands write: no file is left behind half-written, and no folder empty."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk without space."""


@contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make `folder` with its parents; if the block fails, the new and empty ones are removed."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # not empty
            for path in new:
                path.rmdir()
        raise


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write beside `path`: it takes the place of `path` when the block ends well, and else is removed.

    A pipe or a device, such as `/dev/stdout`, is written to directly; a link keeps pointing to its file.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        yield path
        return
    path = Path(os.path.realpath(path))  # bears a link to itself, unlike Path.resolve
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _named(path, draft):
            yield draft
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _named(path: Path, draft: Path) -> Iterator[None]:
    """Make errors of writing name `path`: on a full disk they name no file, and users do not know the draft."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL or str(error.filename).startswith(str(draft)):
            error.filename, error.filename2 = str(path), None
        raise


def write_json(file: Path, value: object) -> None:
    """Write JSON so that a reader never sees a half-written file."""
    with whole(file) as draft:
        draft.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `target` when the block ends well, and else is removed."""
    building, old = (target.parent / f".{target.name}.{what}" for what in ("building", "old"))
    shutil.rmtree(building, ignore_errors=True)
    try:
        with _named(target, building):
            building.mkdir(parents=True)
            yield building
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
                target.rename(old)
            building.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)
