"""What the service is asked for, over HTTP and as a tool, how it says no, and what its `/docs` shows of both."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.yaml_section import Section, mistake

if TYPE_CHECKING:
    from starlette.requests import Request


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
    return Refusal(422, str(mistake(error, "body", form)).removeprefix("body."))


_REFUSALS = {
    "401": "a token is set and the request has none, or another",
    "408": "the body did not arrive in time",
    "413": "the body is too large",
    "422": "not JSON, a wrong or unknown field, a source that the index does not have",
    "429": "the queue is full; see Retry-After",
    "500": "the engine failed on this request",
    "503": "the index is loading, or could not be loaded",
    "504": "no result in time",
}
_READ_OUT_S = 1.0
"""How long what is sent of a body that is too large is still read: closing at once would lose the refusal."""


async def read_body(request: Request, limit: int, timeout_s: float) -> bytes:
    """The body, never more than `limit` bytes of it.

    Raises:
        Refusal: it is larger, or did not arrive within `timeout_s` seconds.
    """
    from starlette.requests import ClientDisconnect

    declared = request.headers.get("content-length", "")
    stream = request.stream()

    async def read() -> bytes:
        if declared.isdigit() and int(declared) > limit:
            raise Refusal(413, f"{declared} bytes, at most {limit}")
        chunks, size = [], 0
        async for chunk in stream:
            size += len(chunk)
            if size > limit:
                raise Refusal(413, f"more than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    async def read_out() -> None:
        async for _ in stream:
            pass

    try:
        return await asyncio.wait_for(read(), timeout_s)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise Refusal(408, f"the body did not arrive within {timeout_s:g} s") from error
    except ClientDisconnect as error:
        raise Refusal(499, "the client went away") from error  # nobody reads it; the metrics count it
    except Refusal:
        with suppress(TimeoutError, asyncio.TimeoutError, ClientDisconnect):
            await asyncio.wait_for(read_out(), _READ_OUT_S)
        raise


def openapi(title: str, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the service, for `/docs`.

    The routes parse their bodies themselves (see `service`), so FastAPI cannot derive this from them.
    """
    example = {"queries": ["statins in primary prevention"], "topk": 3, "return_scores": True}
    schema = RetrieveRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = {"schemas": schema.pop("$defs", {})}
    body = {"schema": schema, "example": example}
    result = {"type": "object", "properties": {"result": {"type": "array", "items": {"type": "array"}}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": "Search-R1's protocol over one index."},
        "components": parts,
        "paths": {
            "/retrieve": {
                "post": {
                    "summary": "The best documents of each query, best first",
                    "requestBody": {"required": True, "content": {"application/json": body}},
                    "responses": {
                        "200": {
                            "description": "one list of hits per query",
                            "content": {"application/json": {"schema": result}},
                        },
                        **{status: {"description": reason} for status, reason in _REFUSALS.items()},
                    },
                }
            },
            "/health": _get("200 once the index is loaded, else 503"),
            "/metrics": _get("Prometheus metrics"),
            "/": _get("What is served"),
        },
    }


def _get(summary: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": {"description": summary}}}}
