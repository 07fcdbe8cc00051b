"""Sections of a yaml file as pydantic models."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from medr3_plugin.errors import UserError, did_you_mean

Model = TypeVar("Model", bound=BaseModel)

_WORDS = {
    "Input should be": "expected",
    "Tuple should have": "expected",
    " after validation": "",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
    "a valid tuple": "a list",
    "a valid list": "a list",
    "a valid dictionary": "a mapping",
    "a dictionary": "a mapping",
    "a valid string": "a text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
}
"""Words of pydantic -> those of the other checks."""


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


def validated(
    model: type[Model], options: Mapping[str, Any], section: str, beside: Collection[str] = ()
) -> Model:
    """`options` as a `model`; a mistake raises a `UserError` that names the yaml path.

    Args:
        beside: keys of the section that others read, to name where one is unknown.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        raise mistake(error, section, model, beside) from error


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


def plain(message: str) -> str:
    """pydantic's message of a wrong value, in the words of this package.

    >>> plain("Input should be a valid integer, unable to parse string as an integer")
    'expected a whole number'
    """
    message = re.split(", unable to| or (?:an )?instance of ", message.removeprefix("Value error, "))[0]
    for theirs, ours in _WORDS.items():
        message = message.replace(theirs, ours)
    return message


def _keys(model: type[BaseModel] | None, path: Iterable[int | str]) -> Iterable[str]:
    """The keys of the section at `path` within a model, as far as its types tell."""
    for part in path:
        if model is not None and part in model.model_fields:
            kinds = _kinds(model.model_fields[str(part)].annotation)
            model = next(
                (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None
            )
        elif not isinstance(part, int):
            model = None
    fields = model.model_fields.items() if model is not None else ()
    return [field.alias or name for name, field in fields]


def mistake(
    error: ValidationError,
    section: str,
    model: type[BaseModel] | None = None,
    beside: Collection[str] = (),
) -> UserError:
    """The first mistake that pydantic found, by its yaml path under `section`.

    Args:
        model: what the section was read as; its keys are named where one is unknown.
        beside: further keys of the section.
    """
    found = error.errors(include_url=False)
    first, hint = found[0], ""
    if first["type"] == "missing":  # unless it is there, but misspelt, or stands beside its section
        place, key = first["loc"][:-1], str(first["loc"][-1])
        unknown = [
            other for other in found if other["type"] == "extra_forbidden" and other["loc"][:-1] == place
        ]
        misspelt = [other for other in unknown if did_you_mean(other["loc"][-1], [key])]
        first = [*misspelt, *unknown, first][0]
        hint = did_you_mean(first["loc"][-1], [key])
    path = section + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    message = plain(first["msg"])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        message = f"unknown key{hint}"
        known = {*_keys(model, first["loc"][:-1]), *(beside if len(first["loc"]) == 1 else ())}
        if known and not hint:
            message += did_you_mean(first["loc"][-1], known, f"; known are {', '.join(sorted(known))}")
    elif first["type"] in ("missing", "string_too_short"):
        message = "missing" if first["type"] == "missing" else "must not be empty"
    elif isinstance(first.get("input"), str | int | float | None) or (
        isinstance(first["input"], list) and first["type"] != "value_error"
    ):
        given = repr(first["input"])
        message += f", got {given if len(given) <= 60 else f'{given[:57]}...'}"
    return UserError(f"{path}: {message}")
