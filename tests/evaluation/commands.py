"""`medr3 eval` as a test calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from command_line import medr3


def evaluate(files: Path, server: Any, tokenizer: Path, *more: str) -> Any:
    arguments = ["eval", "--model", server.url_for("/"), "--benchmark", "rare", "--data", str(files)]
    arguments += ["--index", str(files / "index"), "--tokenizer", str(tokenizer), "--out", str(files / "out")]
    return medr3(*arguments, "--response-length", "1200", *more)
