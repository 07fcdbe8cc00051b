"""Prompts are text files beside the code that sends them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache
def prompt(file: Path) -> str:
    """The text of a prompt, read once, without white space at its ends."""
    return file.read_text(encoding="utf-8").strip()
