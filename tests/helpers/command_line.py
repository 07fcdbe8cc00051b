"""`medr3` in this process."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from medr3_plugin import cli


def medr3(*arguments: object, **options: Any) -> Result:
    """The outcome of a command; what it raised is its `exception`."""
    return CliRunner().invoke(cli.command_line(), [str(argument) for argument in arguments], **options)


def main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    """Exit code, output and errors of the command as a shell sees it."""
    monkeypatch.setattr(sys, "argv", ["medr3", *map(str, arguments)])
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # -q puts another in its place
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err
