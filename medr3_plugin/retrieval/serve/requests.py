"""What the service is asked for, over HTTP and as a tool, and how it says no."""

from __future__ import annotations

from pydantic import ValidationError

from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.yaml_section import Section, mistake


class RetrieveRequest(Section):
    """The body of `POST /retrieve`; `filters` is our addition to Search-R1's protocol."""

    queries: list[str]
    topk: int | None = None
    return_scores: bool = False
    filters: Filters | None = None


class OneQuery(Section):
    """A single query, as rLLM's search tool sends it: `{"query", "top_k"}`; the answer is `{"query", "results"}`."""

    query: str
    top_k: int | None = None
    filters: Filters | None = None


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def refused(error: ValidationError, form: type[Section]) -> Refusal:
    """What is wrong with a request's fields."""
    return Refusal(422, str(mistake(error, "body", form.model_fields)).removeprefix("body."))
