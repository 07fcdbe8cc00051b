"""Subcommands of `medr3`, one module each.

A command module has a function `register(app)` that adds its command or group to the typer application.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

MODULES = (
    "doctor",
    "recipes",
    "data",
    "corpus",
    "index",
    "serve",
    "score",
    "train",
    "promote",
    "evaluate",
    "report",
)


def register_all(app: typer.Typer) -> None:
    """Add every subcommand to `app`."""
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").register(app)
