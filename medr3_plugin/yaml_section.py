"""Sections of a yaml file as pydantic models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from medr3_plugin.errors import UserError

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], options: Mapping[str, Any], section: str) -> Model:
    """`options` as a `model`, mistakes as a `UserError` that names the yaml path."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join((section, *map(str, first["loc"])))
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = f"unknown key; known are {', '.join(sorted(model.model_fields))}"
        elif first["type"] == "unexpected_keyword_argument":
            message = "unknown key"
        raise UserError(f"{path}: {message}") from error
