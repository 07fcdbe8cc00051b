"""`medr3 eval` as a test calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from medr3_plugin.cli import _register, app


def evaluate(files: Path, server: Any, tokenizer: Path, *more: str) -> Any:
    _register()
    arguments = ["eval", "--model", server.url_for("/"), "--benchmark", "rare", "--data", str(files)]
    arguments += ["--index", str(files / "index"), "--tokenizer", str(tokenizer), "--out", str(files / "out")]
    return CliRunner().invoke(app, [*arguments, "--response-length", "1200", *more])
