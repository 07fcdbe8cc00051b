"""The manifest of an index: what it was built from and with, and the checksum of every file.

`manifest.json` is written last and checked first. An index without one was never finished; one whose files
changed since is refused, and so is one that names files outside its folder. Files up to `WHOLE_BYTES` are hashed
whole when an index is opened; of larger ones the size and 64 evenly spread blocks, so that opening stays quick
(`verify="full"` hashes everything).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from medr3_plugin.errors import UserError

FORMAT = "medr3-index"
FORMAT_VERSION = 1
NAME = "manifest.json"
WHOLE_BYTES = 64 << 20
_BLOCKS, BLOCK_BYTES = 64, 1 << 16

Verify = Literal["quick", "full"]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sample_digest(path: Path) -> str:
    """SHA-256 of the size and of `_BLOCKS` blocks spread evenly over the file, first and last included."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    step = max(0, size - BLOCK_BYTES) / (_BLOCKS - 1)
    with path.open("rb") as file:
        for block in range(_BLOCKS):
            file.seek(int(block * step))
            digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def describe_files(folder: Path, paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Size and checksums of `paths`, under their names relative to `folder`."""
    described = {}
    for path in sorted(paths):
        size = path.stat().st_size
        entry: dict[str, Any] = {"bytes": size, "sha256": file_digest(path)}
        if size > WHOLE_BYTES:
            entry["sample_sha256"] = sample_digest(path)
        described[path.relative_to(folder).as_posix()] = entry
    return described


def write(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of a finished index: `content`, the checksums of all files, and its own digest."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != NAME]
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **content,
        "files": describe_files(folder, files),
    }
    manifest["digest"] = _own_digest(manifest)
    with (folder / NAME).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    return manifest


def read(folder: Path, verify: Verify = "quick") -> dict[str, Any]:
    """The manifest of the index in `folder`, after checking that the files are those it describes.

    Raises:
        UserError: no index, an unfinished one, one of another format version, or one that was changed.
    """
    path = folder / NAME
    if not folder.is_dir():
        what = "is a file, not an index folder" if folder.is_file() else "no such index folder"
        raise UserError(f"{folder}: {what}; build one with `medr3 index build`")
    if not path.is_file():
        raise UserError(f"{folder}: not a finished index (no {NAME}); build one with `medr3 index build`")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: corrupted ({error}); build the index again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"{path}: not the manifest of a medr3 index")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path}: index format {manifest.get('format_version')}, this version reads {FORMAT_VERSION}; "
            "build the index again"
        )
    if manifest.get("digest") != _own_digest(manifest):
        raise UserError(f"{path}: changed after it was written (digest differs); build the index again")
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise UserError(f"{path}: describes no files; build the index again")
    for name, entry in files.items():
        _check_file(folder, name, entry, verify)
    return manifest


def _check_file(folder: Path, name: str, entry: Any, verify: Verify) -> None:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not isinstance(entry, dict):
        raise UserError(f"{folder / NAME}: {name!r} is not a file of an index; build the index again")
    path = folder / relative
    if not path.is_file():
        raise UserError(f"{path}: missing from the index; build it again")
    size = path.stat().st_size
    if size != entry.get("bytes"):
        raise UserError(
            f"{path}: corrupted, {size} bytes instead of {entry.get('bytes')}; build the index again"
        )
    if "sample_sha256" in entry and verify == "quick":
        intact = sample_digest(path) == entry["sample_sha256"]
    else:
        intact = file_digest(path) == entry.get("sha256")
    if not intact:
        raise UserError(f"{path}: corrupted, its checksum differs from the manifest; build the index again")


def _own_digest(manifest: Mapping[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
