"""The `medr3` command.

Each subcommand lives in `medr3_plugin.commands.<name>` and imports what it needs inside its functions, so
that `medr3 --help` is quick and works with the core dependencies only.
"""

from __future__ import annotations

import os
import sys

import typer

from medr3_plugin.errors import InfrastructureFailure, RunFailed, UserError

app = typer.Typer(
    name="medr3",
    help="Med-R^3 for verl: progressive RL of medical retrieval-augmented reasoning.",
    no_args_is_help=True,
    add_completion=False,
    # plain help: tables cut long option names and take "[default: ...]" for markup, and rich doubles the start-up
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _register() -> None:
    # import for the side effect: each module adds its commands to `app`
    from medr3_plugin.commands import register_all

    register_all(app)


def main() -> None:
    """Entry point of the console script: a user's mistake is one line on stderr and exit code 2, a failure is 1."""
    _register()
    try:
        app()
    except (UserError, RunFailed, InfrastructureFailure) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UserError) else 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}; give another path", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
