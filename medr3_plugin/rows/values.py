"""Single values of a row, as JSON, a csv, pandas and numpy write them."""

from __future__ import annotations

import math
import re
from typing import Any


def is_missing(value: Any) -> bool:
    """Null, or NaN, as pandas writes it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def plain(value: Any) -> Any:
    """Lists and numbers for numpy's arrays and scalars."""
    return value.tolist() if hasattr(value, "tolist") else value


def number_as_text(value: Any) -> Any:
    """The text of a number; anything else, true and false among it, unchanged."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def whole_number(value: Any) -> int | None:
    """2 of 2, 2.0 and "2"; None for what is no whole number."""
    text = str(number_as_text(value)).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,9}(?:\.0)?", text):
        return None
    return int(float(text))
