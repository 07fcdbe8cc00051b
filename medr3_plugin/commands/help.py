"""How the help of the commands looks: groups of commands, examples, exit codes; and where -v and -q are taken."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from medr3_plugin.commands.verbosity import OPTIONS, taken_from

GROUPS = {
    "Begin": ("doctor", "recipes"),
    "Questions and documents": ("data", "corpus", "index", "search", "serve"),
    "Train": ("train", "promote", "report"),
    "Measure": ("score", "eval"),
}
"""Heading -> commands under it, as `medr3 --help` shows them."""

EXIT_CODES = (
    ("0", "done"),
    ("1", "failed: a service, a run, or something that was checked"),
    ("2", "wrong input: an option, a file, a row"),
    ("3", "done, with some rows left out (--skip-bad)"),
)


class Command(TyperCommand):
    """A command whose epilog is an example."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Take -v and -q out of the arguments first."""
        return super().make_context(info_name, taken_from(args), parent, **extra)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The command's own options, then those that every command has."""
        super().format_options(ctx, formatter)
        with formatter.section("Every command"):
            formatter.write_dl(OPTIONS)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (the signature is typer's)
        """The example, line by line as it is written."""
        if self.epilog:
            formatter.write(f"\nExample:\n{_indented(self.epilog)}\n")


class Root(TyperGroup):
    """`medr3` itself."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Take -v and -q out of the arguments first; those after a command are the command's."""
        own = next((i for i, argument in enumerate(args) if not argument.startswith("-")), len(args))
        return super().make_context(info_name, taken_from(args[:own]) + args[own:], parent, **extra)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands under their headings."""
        grouped = {name for names in GROUPS.values() for name in names}
        rest = tuple(name for name in self.list_commands(ctx) if name not in grouped)
        for heading, names in {**GROUPS, "Others": rest}.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(90)) for name, command in found if command is not None]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (the signature is typer's)
        """Options of every command, exit codes and an example."""
        with formatter.section("Every command"):
            formatter.write_dl(OPTIONS)
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)
        formatter.write(f"\nExample:\n{_indented('medr3 recipes copy one_gpu_1_5b ./my_project')}\n")


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
