"""What the service's `/docs` shows: its routes as an OpenAPI document.

The routes parse their bodies themselves (see `service`), so FastAPI cannot derive this from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

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


def openapi(title: str, version: str, request: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service that takes `request` at `/retrieve`."""
    example = {"queries": ["statins in primary prevention"], "topk": 3, "return_scores": True}
    schema = request.model_json_schema(ref_template="#/components/schemas/{model}")
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
