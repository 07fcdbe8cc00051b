"""The `medr3` command.

Each subcommand is in `medr3_plugin.commands.<name>` and imports what it needs inside its functions, so
`medr3 --help` is quick and needs only the core dependencies.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import Annotated

import typer

from medr3_plugin import __version__
from medr3_plugin.commands.help import Root
from medr3_plugin.commands.verbosity import is_verbose
from medr3_plugin.errors import InfrastructureFailure, RunFailed, UserError
from medr3_plugin.outputs import FULL

app = typer.Typer(
    name="medr3",
    help="Med-R^3 for verl: train language models to search for medical evidence and reason over it.",
    cls=Root,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # plain help: tables cut long option names and take "[default: ...]" for markup, and rich doubles the start-up
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"medr3 {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def command_line() -> typer.Typer:
    """The application with all its commands."""
    from medr3_plugin.commands import register_all

    if not app.registered_commands:
        register_all(app)
    return app


def main() -> None:
    """Entry point of the console script: a user's mistake is one line on stderr and exit code 2, a failure is 1."""
    for stream in (sys.stdout, sys.stderr):
        # an encoding without Chinese shows the code points instead of failing
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _run() -> None:
    try:
        command_line()()
    except (UserError, RunFailed, InfrastructureFailure) as error:
        if is_verbose():
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if is_verbose():
            traceback.print_exc()
        if error.filename is None:  # a lost connection, a full disk
            print(f"error: {error.strerror or error} (-v shows where)", file=sys.stderr)
            sys.exit(1)
        full = error.errno in FULL
        remedy = "free some space, or give another path" if full else "give another path"
        print(f"error: {error.filename}: {error.strerror}; {remedy}", file=sys.stderr)
        sys.exit(1 if full else 2)


if __name__ == "__main__":
    main()
