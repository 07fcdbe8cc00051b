"""Sections of a yaml file as pydantic models."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from medr3_plugin.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], options: Mapping[str, Any], section: str) -> Model:
    """`options` as a `model`; a mistake raises a `UserError` that names the yaml path."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise mistake(error, section, model.model_fields) from error


def as_list(value: Any) -> list[str]:
    """A value that may be one name, several or null, as a list."""
    return [value] if isinstance(value, str) else [str(item) for item in value or ()]


def mistake(error: ValidationError, section: str, known: Collection[str] = ()) -> UserError:
    """The first mistake that pydantic found, by its yaml path under `section`.

    Args:
        known: keys of the section itself, to name where one is unknown.
    """
    first = error.errors(include_url=False)[0]
    path = section + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        message = "unknown key"
        if known and len(first["loc"]) == 1:
            close = difflib.get_close_matches(str(first["loc"][0]), known, n=1)
            message += f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"
    elif isinstance(first.get("input"), str | int | float | None):
        message += f", got {first['input']!r}"
    return UserError(f"{path}: {message}")
