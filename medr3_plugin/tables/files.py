"""Bytes and lines of text files, packed or not, in UTF-8 or in UTF-16 with a byte order mark (Windows), and a row."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from medr3_plugin.errors import UserError, needs

_SIGNATURES = {
    b"\x1f\x8b": "packed by gzip; add .gz to its name",
    b"(\xb5/\xfd": "packed by zstd; add .zst to its name",
    b"PAR1\x15": "parquet; name it .parquet",
    b"PK\x03\x04": "an Excel file or a zip archive; save its sheet as csv, or unpack it",
    b"\xd0\xcf\x11\xe0": "an Excel file; save its sheet as csv",
    b"%PDF-": "a PDF; write its text to a .txt file",
}
"""First bytes of files that are not text, whatever they are called."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as read: `where` names file and line (or key), `split` is inferred from the file name.

    `error` is set, and `data` holds the raw text, if the row could not be decoded.
    """

    where: str
    data: Mapping[str, Any]
    split: str = ""
    error: str = ""


def opened(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked."""
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix.lower() != ".zst":
        return path.open("rb")
    with needs("pyarrow", "data", "reading .zst files"):
        import pyarrow as pa
    return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression="zstd")))


def content(path: Path) -> bytes:
    """The whole of a text file, as UTF-8 without a mark; empty if there is nothing but white space in it."""
    try:
        with opened(path) as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, "cannot be read", error) from error
    if _utf16(raw[:8], path):
        try:
            raw = raw.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: damaged UTF-16 at byte {error.start + 1}; get the file again"
            ) from error
    raw = raw.removeprefix(codecs.BOM_UTF8)
    return raw if raw.strip() else b""


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines of a text file that are not empty, as UTF-8 without a mark."""
    number = 0
    try:
        with opened(path) as file:
            for number, line in enumerate(_lines(file, path), 1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.strip():
                    yield number, text.strip()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise _unreadable(
            path, f"cannot be read past line {number}" if number else "cannot be read", error
        ) from error


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    head = cast(io.BufferedReader, file).peek(8)[:8]
    if not _utf16(head, path):
        return iter(file)
    return (line.encode() for line in io.TextIOWrapper(file, encoding="utf-16", newline="\n"))


def _utf16(head: bytes, path: Path) -> bool:
    """Whether a text begins with UTF-16's byte order mark.

    Raises:
        UserError: it is not marked and cannot be UTF-8 either.
    """
    if kind := next((kind for mark, kind in _SIGNATURES.items() if head.startswith(mark)), ""):
        raise UserError(f"{path}: not text but {kind}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if b"\0" in head:
        raise UserError(
            f"{path}: not UTF-8 text (a file of another kind, or UTF-16 without a byte order mark): convert the file "
            "to UTF-8"
        )
    return False


def _unreadable(path: Path, what: str, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return UserError(f"{path}: {what}: {error.strerror}")
    if isinstance(error, gzip.BadGzipFile) and "Not a gzipped" in str(error):
        return UserError(
            f"{path}: {what}: not packed by gzip; remove .gz from its name, or get the file again"
        )
    return UserError(f"{path}: {what}: {error}; get the file again")
