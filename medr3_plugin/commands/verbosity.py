"""The options -v and -q that every command takes."""

from __future__ import annotations

import logging
import sys
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
    """A stream in place of stderr that lets errors and warnings through, with the indented lines that follow them.

    It is no terminal, so progress bars stay away by themselves.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = False
        self._rest = ""
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Write the whole lines of `text` that are to be seen."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if not line.startswith(" "):
                self._shown = line.startswith(_SHOWN)
            if self._shown:
                self._stream.write(f"{line}\n")
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Never a terminal."""
        return False


_state = {"verbose": False}


def is_verbose() -> bool:
    """Whether -v was given."""
    return _state["verbose"]


def taken_from(arguments: Sequence[str]) -> list[str]:
    """The arguments without -v and -q, which take effect; what follows `--` is left alone."""
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    before = arguments[:end]
    if any(argument in _VERBOSE for argument in before):
        _state["verbose"] = True
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("medr3_plugin").setLevel(logging.DEBUG)
    if any(argument in _QUIET for argument in before) and not isinstance(sys.stderr, OnlyErrors):
        sys.stderr = OnlyErrors(sys.stderr)  # all that print and tqdm need
    return [a for a in before if a not in (*_VERBOSE, *_QUIET)] + arguments[end:]
