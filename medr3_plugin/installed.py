"""Which packages are installed here."""

from __future__ import annotations

import importlib.metadata


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None if there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions_of(*distributions: str) -> dict[str, str]:
    """The installed versions, absent distributions left out."""
    return {name: version for name in distributions if (version := version_of(name))}
