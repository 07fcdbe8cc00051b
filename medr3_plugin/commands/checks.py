"""Checks of options that typer cannot make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from medr3_plugin.errors import UserError
from medr3_plugin.tables import PACKED, SUFFIXES

Stage = Literal["reasoning", "retrieval", "joint"]
Structured = Literal["json_schema", "json_object", "none"]
"""How a server is asked to decode, see `llm.client.Structured`."""


def endpoint(option: str, url: str) -> None:
    """Raise UserError unless `url` is an HTTP address or empty."""
    from medr3_plugin.yaml_section import is_address

    if url and not is_address(url):
        raise UserError(f"{option} {url!r}: expected an address such as http://127.0.0.1:8000/v1")


def out_folder(out: Path) -> None:
    """Raise UserError if `--out` cannot be a folder, because a file is in its place or above it, or it is none."""
    if str(out) == "-":
        raise UserError("--out -: give a folder")
    if (file := next((path for path in (out, *out.parents) if path.is_file()), None)) is not None:
        raise UserError(f"--out {out}: {file} is a file; give another folder")


JSONL = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet",)
HTML = (".html", ".htm")


def out_file(out: Path, written: tuple[str, ...], sources: Iterable[Path | str | None] = ()) -> None:
    """Raise UserError if `--out` cannot be the file: a folder, below a file, named as another form of data, or read.

    Args:
        written: endings of the form that is written.
        sources: files or folders that the command reads.
    """
    if any(source and Path(source).resolve() == out.resolve() for source in sources):
        raise UserError(f"--out {out}: the command reads this file; give another one")
    if out.is_dir() or str(out) == "-":
        raise UserError(
            f"--out {out}: {'is a folder' if out.is_dir() else 'not a file name'}; give the file to write"
        )
    if (file := next((path for path in out.parents if path.is_file()), None)) is not None:
        raise UserError(f"--out {out}: {file} is a file; give another path")
    if out.suffix.lower() in (*SUFFIXES, *PACKED, ".xlsx") and not out.name.lower().endswith(written):
        name = (Path(out.stem) if out.suffix in PACKED else out).with_suffix(written[0]).name
        raise UserError(f"--out {out}: this command writes {written[0][1:]}; name it {name}")
