"""What the service is asked for, over HTTP and as a tool, and how it says no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from medr3_plugin.yaml_section import Section


class RetrieveRequest(Section):
    """The body of `POST /retrieve`; `filters` is our addition to Search-R1's protocol."""

    queries: list[str]
    topk: int | None = None
    return_scores: bool = False
    filters: dict[str, Any] | None = None


class OneQuery(Section):
    """A single query, as rLLM's search tool sends it: `{"query", "top_k"}`; the answer is `{"query", "results"}`."""

    query: str
    top_k: int | None = None
    filters: dict[str, Any] | None = None


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def refused(first: Mapping[str, Any], form: type[BaseModel]) -> Refusal:
    """What is wrong with a request's fields."""
    where = ".".join(map(str, first["loc"])) or "body"
    if first["type"] == "extra_forbidden":
        return Refusal(422, f"{where}: unknown field; known are {', '.join(form.model_fields)}")
    return Refusal(422, f"{where}: {first['msg'].removeprefix('Value error, ')}")
