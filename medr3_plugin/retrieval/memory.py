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
    """

    mapped: int
    resident: int

    def __str__(self) -> str:
        return f"about {_shown(self.resident)} a process, and {_shown(self.mapped)} of memory-mapped files"


def estimate_memory(manifest: Mapping[str, Any]) -> MemoryEstimate:
    """The estimate for an index, from its manifest alone."""
    mapped = sum(entry["bytes"] for entry in manifest["files"].values())
    resident = 0
    if lexical := manifest.get("bm25"):
        resident += int(lexical["terms"]) * _VOCABULARY_BYTES_PER_TERM
    if dense := manifest.get("dense"):
        encoder = dense["encoder"]
        resident += sum(_weights_bytes(path) for path in {encoder["path"], encoder["article_path"]} if path)
        resident += 300 << 20  # torch, transformers and their working memory
    return MemoryEstimate(mapped, resident)


def _weights_bytes(path: str) -> int:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return 0
    return sum(file.stat().st_size for file in folder.rglob("*") if file.suffix in {".safetensors", ".bin"})


def _shown(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
