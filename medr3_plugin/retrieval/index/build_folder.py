"""The folder in which an index is built, and how it takes the place of the target.

Everything is written into a hidden folder beside the target, which is renamed when the manifest is on disk: a
build that is killed, or runs out of disk, leaves the target as it was (killed in the instant between the renames
of the old and the new one: the next build puts the old one back first). An unfinished build is gone on with only if
it is the same build (`provenance`). Encoded vectors of another one, which may have taken days, and an index of
something else go only when asked.
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
from medr3_plugin.retrieval.index import manifest as manifest_file
from medr3_plugin.retrieval.index.provenance import Provenance, difference

STATE = "state.json"
VECTORS = "vectors"
"""In the folder: the shards of a dense index, see `retrieval.vectors`."""


class Steps:
    """The folder of a build under way and which of its steps are done.

    When the corpus or an option turns out to be wrong, a folder without a finished step is removed; when the machine
    fails, it stays.

    Args:
        target: the index folder to be.
        made_of: what is built.
        overwrite: whether the encoded vectors of something else may go.
        notify: told if an unfinished build goes.

    Attributes:
        building: the folder.

    Raises:
        UserError: on entering: there are encoded vectors of something else.
    """

    def __init__(
        self, target: Path, made_of: Provenance, *, overwrite: bool, notify: Callable[[str], None]
    ) -> None:
        self.building = target.parent / f".{target.name}.building"
        self._target = target
        self._state = self.building / STATE
        self._made_of = made_of
        self._overwrite = overwrite
        self._notify = notify
        self._done: dict[str, Any] = {}

    def __enter__(self) -> Steps:
        with contextlib.suppress(OSError, ValueError, KeyError):
            state = json.loads(self._state.read_text())
            self._go_on(state["done"], difference(state["built_from"], self._made_of))
        if not self._done and self.building.exists():
            shutil.rmtree(self.building)
        self.building.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, UserError) and not self._done:
            shutil.rmtree(self.building, ignore_errors=True)

    def folder(self, name: str) -> Path:
        """An empty folder for a step."""
        folder = self.building / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        return folder

    def done(self, name: str) -> bool:
        """Whether an earlier start did this step."""
        return name in self._done

    def run(self, name: str, step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The result of a step, from the state if it was done before."""
        if name not in self._done:
            self._done[name] = step()
            temporary = self._state.with_suffix(".tmp")
            temporary.write_text(json.dumps({"built_from": self._made_of, "done": self._done}))
            temporary.replace(self._state)
        return dict(self._done[name])

    def finish(self, content: dict[str, Any]) -> dict[str, Any]:
        """Write the manifest and put the folder in the target's place; returns the manifest."""
        written = manifest_file.write(self.building, content, leave_out=(STATE,))
        _replace(self.building, self._target)
        # not before the index is in its place, or a killed build starts anew
        (self._target / STATE).unlink(missing_ok=True)
        return written

    def _go_on(self, done: dict[str, Any], why_not: str) -> None:
        encoded = "dense" in done or any((self.building / VECTORS).glob("*.npy"))
        if not why_not:
            self._done = done
        elif self._overwrite or not encoded:
            self._notify(f"{self._target}: an unfinished build of something else is removed ({why_not})")
        else:
            raise UserError(
                f"{self._target}: an unfinished build of something else is there, with encoded vectors ({why_not}); "
                "put that back to go on with it, or pass --overwrite to start anew"
            )


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
    why = difference(recorded, made_of) if recorded else "it does not say of what"
    if why:
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
        raise UserError(f"{target}: is not an index, so it is not overwritten; choose another folder")


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """One build of a target at a time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(target.parent / f".{target.name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        if not Path(lock.lock_file).exists():
            raise UserError(f"{target.parent}: cannot be written; choose another folder") from error
        raise UserError(f"{target}: another process is building it; wait for that one") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not remove an open file
            Path(lock.lock_file).unlink()
        lock.release()


def recover(target: Path) -> None:
    """Put right what a build left that was killed while it replaced the target."""
    old = _old(target)
    if not target.exists() and (old / manifest_file.NAME).is_file():
        # rather than the new one, whose steps are kept: this build, if it is the same, ends at once
        old.rename(target)
    elif old.exists():
        shutil.rmtree(old)


def _old(target: Path) -> Path:
    return target.parent / f".{target.name}.old"


def _replace(building: Path, target: Path) -> None:
    """Put the finished folder in its place; an old index goes only when the new one is there."""
    if not target.exists():
        building.rename(target)
        return
    old = _old(target)
    target.rename(old)
    building.rename(target)
    shutil.rmtree(old)
