"""A row as it was read, whatever container it came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as read: `where` names file and line (or key), `split` is inferred from the file name.

    `error` is set, and `data` holds the raw text, if the row could not be decoded.
    """

    where: str
    data: Mapping[str, Any]
    split: str = ""
    error: str = ""
