"""What the service is asked for, over HTTP and as a tool, and how it says no."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

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
