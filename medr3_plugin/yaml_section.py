"""Sections of a yaml file as pydantic models."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from medr3_plugin.errors import UserError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)

_FORMS = {
    "a valid tuple": "a list",
    "a valid list": "a list",
    "a valid dictionary": "a mapping",
    "a valid string": "a text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
}
"""What pydantic calls the forms of values -> what the other checks call them."""


class Section(BaseModel):
    """A section without unknown keys, without infinite numbers, and without `true` or `false` for a number.

    Made directly, a wrong value is a `ValueError` (pydantic's, naming each field); `validated` makes a `UserError`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if _is_number(cls, str(info.field_name)):
            inside = value.values() if isinstance(value, Mapping) else value
            if any(isinstance(item, bool) for item in (inside if isinstance(inside, Iterable) else [inside])):
                raise ValueError("a number is needed, not true or false")
        return value


@functools.cache
def _is_number(model: type[Section], field: str) -> bool:
    """Whether a field is a number, or several."""
    kinds = set(_kinds(model.model_fields[field].annotation))
    return bool({int, float} & kinds) and bool not in kinds


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that an annotation is made of."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation)[: 1 if get_origin(annotation) is Annotated else None]:
            yield from _kinds(part)


def validated(model: type[Model], options: Mapping[str, Any], section: str) -> Model:
    """`options` as a `model`; a mistake raises a `UserError` that names the yaml path."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise mistake(error, section, model.model_fields) from error


def is_address(url: str) -> bool:
    """Whether it is an HTTP address: a scheme, a host, and a port that exists if any.

    >>> is_address("http://127.0.0.1:8000/v1"), is_address("localhost:8000"), is_address("http://host:99999")
    (True, False, False)
    """
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
        )
    except ValueError:
        return False


def as_list(value: Any) -> list[str]:
    """A value that may be one name, several or null, as a list."""
    return [value] if isinstance(value, str) else [str(item) for item in value or ()]


def mistake(error: ValidationError, section: str, known: Collection[str] = ()) -> UserError:
    """The first mistake that pydantic found, by its yaml path under `section`.

    Args:
        known: keys of the section itself, to name where one is unknown.
    """
    found = error.errors(include_url=False)
    first, hint = found[0], ""
    if first["type"] == "missing":  # unless it is there, but misspelt
        place, key = first["loc"][:-1], str(first["loc"][-1])
        beside = (
            other for other in found if other["type"] == "extra_forbidden" and other["loc"][:-1] == place
        )
        first = next((other for other in beside if did_you_mean(other["loc"][-1], [key])), first)
        hint = did_you_mean(first["loc"][-1], [key])
    path = section + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    message = (
        first["msg"]
        .removeprefix("Value error, ")
        .replace("Input should be", "expected")
        .partition(", unable to")[0]
        .partition(" or instance of ")[0]
    )
    for theirs, ours in _FORMS.items():
        message = message.replace(theirs, ours)
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        message = f"unknown key{hint}"
        if known and len(first["loc"]) == 1 and not hint:
            message += did_you_mean(first["loc"][0], known, f"; known are {', '.join(sorted(known))}")
    elif first["type"] in ("missing", "string_too_short"):
        message = "missing" if first["type"] == "missing" else "must not be empty"
    elif isinstance(first.get("input"), str | int | float | list | None):
        given = repr(first["input"])
        message += f", got {given if len(given) <= 60 else f'{given[:57]}...'}"
    return UserError(f"{path}: {message}")
