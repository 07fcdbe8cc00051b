"""What an OpenAI-compatible server replies, on `pytest_httpserver`."""

from __future__ import annotations

import json
from typing import Any

from werkzeug import Response

PROBED = {"choices": [], "usage": None}
"""The reply to the question what the server has."""


def serve_models(server: Any, name: str = "served", path: str = "/v1") -> None:
    model = {"id": name, "object": "model", "created": 1, "owned_by": "x"}
    server.expect_request(f"{path}/models").respond_with_json({"object": "list", "data": [model]})


def as_response(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), content_type="application/json")


def completed(text: str, tokenizer: Any = None, **choice: Any) -> Response:
    """A completion; with its token ids where there is a tokenizer."""
    choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None, **choice}
    if tokenizer is not None:
        choice["token_ids"] = tokenizer.encode(text, add_special_tokens=False)
    body = {"id": "1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
    return as_response(body)


def chatted(
    text: str, *, message: dict[str, Any] | None = None, usage: Any = None, **choice: Any
) -> Response:
    said = {"role": "assistant", "content": text, **(message or {})}
    choice = {"index": 0, "finish_reason": "stop", "message": said, **choice}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return as_response(body | ({"usage": usage} if usage else {}))
