"""Single values of a row, as JSON, a csv, pandas and numpy write them."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from medr3_plugin.errors import RowError, shown


def is_missing(value: Any) -> bool:
    """Null, or NaN, as pandas writes it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_empty(value: Any) -> bool:
    """Nothing is there: null, NaN, a blank text, an empty list or object."""
    return is_missing(value) or value in ([], {}, ()) or (isinstance(value, str) and not value.strip())


def clean(text: object) -> str:
    """Text with HTML entities resolved and white space collapsed; "" for None and for NaN, pandas' null."""
    return "" if is_missing(text) else " ".join(html.unescape(str(text)).split())


def plain(value: Any) -> Any:
    """Lists and numbers for numpy's arrays and scalars."""
    return value.tolist() if hasattr(value, "tolist") else value


def number_as_text(value: Any) -> Any:
    """The text of a number; anything else, true, false, NaN and infinities among it, unchanged."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number and math.isfinite(value) else value


def whole_number(value: Any) -> int | None:
    """2 of 2, 2.0 and "2"; None for what is no whole number."""
    text = str(number_as_text(value)).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,9}(?:\.0)?", text):
        return None
    return int(float(text))


def name_of(value: Any, place: str) -> str:
    """An id from a text or a whole number, 12.0 of a column with nulls among them; "" where there is none.

    Raises:
        RowError: it is anything else.
    """
    value = plain(value)
    if is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RowError(f"{place}: expected a text or a whole number, got {shown(value)}")
    return str(value).strip()


def names_of(value: Any, place: str) -> tuple[str, ...]:
    """Ids from one, a list of them, or that list as JSON (in a csv); empty entries are left out.

    Raises:
        RowError: another shape.
    """
    value = plain(value)
    if isinstance(value, str) and value.lstrip().startswith(('["', "['")):
        try:
            value = json.loads(value)
        except ValueError:
            raise RowError(f"{place}: {shown(value)} is the text of a list: write the list") from None
    entries = value if isinstance(value, list | tuple) else [value]
    return tuple(name for entry in entries if (name := name_of(entry, place)))


def has(row: Mapping[str, object]) -> str:
    """What a row has instead of the missing key, to be appended to a message."""
    if "_columns" in row:
        return "; the file's first line does not name its columns"
    names = [name for name in row if not name.startswith("_")]
    return f"; the row has {', '.join(names[:12])}{', …' * (len(names) > 12)}" if names else ""
