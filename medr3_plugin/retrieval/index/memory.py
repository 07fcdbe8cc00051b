"""How much memory an index takes, told before it is loaded, and compared with what is free."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

_VOCABULARY_BYTES_PER_TERM = 130  # a Python string, an int and their place in a dict


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes an open index takes.

    Attributes:
        mapped: memory-mapped files: shared by all processes of a machine, and only what is touched is read.
        resident: what each process holds for itself (vocabulary, encoder weights).
        scanned: of the mapped files, the vectors: a dense search is slow unless all of them are in memory.
        without_encoder: the encoder's weights are not in `resident`: it is not on this machine yet.
    """

    mapped: int
    resident: int
    scanned: int = 0
    without_encoder: bool = False

    def __str__(self) -> str:
        process = f"about {_shown(self.resident)} a process" + " plus the encoder" * self.without_encoder
        return f"{process}, and {_shown(self.mapped)} of memory-mapped files"


def estimate_memory(
    manifest: Mapping[str, Any], encoder: str | None = None, reranker: str | None = None
) -> MemoryEstimate:
    """The estimate for searching an index.

    Args:
        manifest: the index's.
        encoder: where the model for queries is now; None is where it was at building. A model of its own for
            articles is not loaded to search.
        reranker: the cross-encoder, if there is one.
    """
    files = {name: int(entry["bytes"]) for name, entry in manifest["files"].items()}
    resident = (_weights_bytes(reranker) or 0) if reranker else 0
    if lexical := manifest.get("bm25"):
        resident += int(lexical["terms"]) * _VOCABULARY_BYTES_PER_TERM
    weights: int | None = 0
    if dense := manifest.get("dense"):
        weights = _weights_bytes(encoder or dense["encoder"]["path"])
        resident += 300 << 20  # torch, transformers and their working memory
    return MemoryEstimate(
        mapped=sum(files.values()),
        resident=resident + (weights or 0),
        scanned=sum(size for name, size in files.items() if name.startswith("dense/")),
        without_encoder=weights is None,
    )


def warn_if_short(index: Path, estimate: MemoryEstimate, processes: int = 1) -> None:
    """Log a warning if an index that is about to be opened needs more memory than is free; else nothing.

    A warning and no error: the estimate is coarse, and what is free changes.
    """
    needed, free = processes * estimate.resident + estimate.scanned, available_memory()
    if free is None or needed <= free:
        return
    smaller = "; a build with --dense-index SQ8 or IVF takes a quarter of Flat's" if estimate.scanned else ""
    logger.warning(
        "%s: needs about %s of memory in %d process%s, %s is free: it may be slow, or be killed%s "
        "(docs/SCALING.md: several machines)",
        index, _shown(needed), processes, "es" if processes > 1 else "", _shown(free), smaller,
    )  # fmt: skip


def available_memory() -> int | None:
    """Bytes that can be had without swapping, within this process's control group; None where Linux is not."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        return None
    return min([int(found[1]) * 1024, *_left_in_groups()]) if found else None


def _left_in_groups(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> Iterator[int]:
    """What each control group (version 2) around this process may still take; its page cache can be reclaimed."""
    try:
        found = re.search(r"^0::/(.*)$", own.read_text(), re.MULTILINE)
    except OSError:
        return
    group = root / found[1] if found else root
    for folder in (group, *group.parents):
        if not folder.is_relative_to(root):
            return
        try:
            limit = (folder / "memory.max").read_text().strip()
            used = int((folder / "memory.current").read_text())
            cache = re.search(r"^file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
        except (OSError, ValueError):  # the root group has no limit, older kernels have other files
            continue
        if limit.isdigit():
            yield max(0, int(limit) - used + (int(cache[1]) if cache else 0))


def _weights_bytes(path: str) -> int | None:
    """Size of a model's weights, of the first format there is; None if the model is not on this machine."""
    given = Path(path).expanduser()
    folder = given if given.is_dir() else _cached(path)
    if folder is None:
        return None
    for suffix in (".safetensors", ".bin"):  # a model published in both is loaded from the first
        if sizes := [file.stat().st_size for file in folder.rglob(f"*{suffix}")]:
            return sum(sizes)
    return None


def _cached(name: str) -> Path | None:
    """Folder of a hub model in Hugging Face's local cache; nothing is downloaded."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    # sentence-transformers looks for a name without owner among its own models
    for repository in (name, f"sentence-transformers/{name}"):
        try:
            config = try_to_load_from_cache(repository, "config.json")
        except ValueError:  # not a name the hub allows
            continue
        if isinstance(config, str):
            return Path(config).parent
    return None


def _shown(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
