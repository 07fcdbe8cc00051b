"""The options -v and -q of every command."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

OPTIONS = (
    ("-v, --verbose", "Show log messages and full tracebacks."),
    ("-q, --quiet", "Show only errors and warnings."),
)
_VERBOSE = ("-v", "--verbose")
_QUIET = ("-q", "--quiet")
_SHOWN = ("error:", "warning:", "interrupted", "Usage:", "Try ", "Error:", "Traceback")


class OnlyErrors:
    """Replaces stderr: passes only errors and warnings, with the indented lines that follow them.

    It is not a terminal, so progress bars do not appear.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = False
        self._rest = ""
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Write those whole lines of `text` that should be shown."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if not line.startswith(" "):
                self._shown = line.startswith(_SHOWN)
            if self._shown:
                self._stream.write(f"{line}\n")
        return len(text)

    def flush(self) -> None:
        """Flush the underlying stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Never a terminal."""
        return False


_state = {"verbose": False}


def is_verbose() -> bool:
    """Whether -v was given."""
    return _state["verbose"]


def _hush_verl() -> None:
    """Keep verl's messages on import off the terminal: which engines are not installed, and that there is no GPU."""
    warnings.filterwarnings("ignore", message=r"\w+ engine is not available", module=r"verl\.workers\.engine")
    platforms = logging.getLogger("verl.plugin.platform.platform_manager")  # it sets its own level on import
    platforms.addFilter(lambda record: record.levelno >= logging.ERROR)


def taken_from(arguments: Sequence[str]) -> list[str]:
    """Apply -v and -q and return the other arguments; those after `--` are left alone."""
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = arguments[:end]
    if any(argument in _VERBOSE for argument in before):
        _state["verbose"] = True
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("medr3_plugin").setLevel(logging.DEBUG)
    else:
        _hush_verl()
    if any(argument in _QUIET for argument in before) and not isinstance(sys.stderr, OnlyErrors):
        sys.stderr = OnlyErrors(sys.stderr)  # all that print and tqdm need
    return [a for a in before if a not in (*_VERBOSE, *_QUIET)] + arguments[end:]
