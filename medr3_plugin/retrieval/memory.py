"""How much memory an index takes, told before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_VOCABULARY_BYTES_PER_TERM = 130  # a Python string, an int and their place in a dict


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes an open index takes.

    Attributes:
        mapped: memory-mapped files: shared by all processes of a machine, and only what is touched is read.
        resident: what each process holds for itself (vocabulary, encoder weights).
        without_encoder: the encoder's weights are not in `resident`: it is not on this machine yet.
    """

    mapped: int
    resident: int
    without_encoder: bool = False

    def __str__(self) -> str:
        process = f"about {_shown(self.resident)} a process" + " plus the encoder" * self.without_encoder
        return f"{process}, and {_shown(self.mapped)} of memory-mapped files"


def estimate_memory(manifest: Mapping[str, Any], encoder: str | None = None) -> MemoryEstimate:
    """The estimate for searching an index.

    Args:
        manifest: the index's.
        encoder: where the model for queries is now; None is where it was at building. A model of its own for
            articles is not loaded to search.
    """
    mapped = sum(entry["bytes"] for entry in manifest["files"].values())
    resident = 0
    if lexical := manifest.get("bm25"):
        resident += int(lexical["terms"]) * _VOCABULARY_BYTES_PER_TERM
    weights: int | None = 0
    if dense := manifest.get("dense"):
        weights = _weights_bytes(encoder or dense["encoder"]["path"])
        resident += 300 << 20  # torch, transformers and their working memory
    return MemoryEstimate(mapped, resident + (weights or 0), without_encoder=weights is None)


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
