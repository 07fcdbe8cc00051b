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
    "search",
    "serve",
    "score",
    "train",
    "promote",
    "evaluate",
    "report",
)


def register_all(app: typer.Typer) -> None:
    """Add every subcommand to `app`, each with its example."""
    for name in MODULES:
        importlib.import_module(f"{__name__}.{name}").register(app)
    _dress(app, "")


def _dress(app: typer.Typer, path: str) -> None:
    from medr3_plugin.commands.examples import EXAMPLES
    from medr3_plugin.commands.help import Command

    for command in app.registered_commands:
        command.cls = Command
        command.epilog = EXAMPLES.get(f"{path}{command.name}")
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _dress(group.typer_instance, f"{path}{group.name} ")
