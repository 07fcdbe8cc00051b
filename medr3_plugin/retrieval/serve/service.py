"""The retrieval service: an index behind HTTP, in Search-R1's protocol.

`POST /retrieve` answers searches, `GET /health` is 200 once the index is loaded, `GET /metrics` is for Prometheus,
`GET /` says what is served, and `/docs` is FastAPI's page about the routes. One asyncio process does the HTTP, one
thread of it runs the engine over greedily joined queries (`batching`); more uvicorn workers share a memory-mapped
index. Refusals are explicit: 401, 413 (body), 422 (fields), 429 (queue full), 503 (not loaded), 504 (too slow), each
with a one-line `detail`.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from medr3_plugin import __version__
from medr3_plugin.errors import RetrievalFailure, UserError, needs
from medr3_plugin.records import Hit
from medr3_plugin.retrieval.engine import Engine
from medr3_plugin.retrieval.place import SearchedPlace
from medr3_plugin.retrieval.protocol import TOKEN_ENV, response_to_wire
from medr3_plugin.retrieval.serve.batching import Batcher
from medr3_plugin.retrieval.serve.metrics import ServiceMetrics
from medr3_plugin.retrieval.serve.requests import (
    OneQuery,
    Refusal,
    RetrieveRequest,
    openapi,
    read_body,
    refused,
)

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response


class ServiceOptions(SearchedPlace):
    """Limits of the service.

    Attributes:
        uri_token_env: name of the environment variable with the token of the Milvus server.
        mcp: offer the tool of `mcp_tool` at `/mcp`, too.
        host: where the service listens; on a loopback address `/mcp` refuses a foreign `Host` or `Origin`.
        topk: hits per query when the request does not say.
        max_topk, max_queries, max_query_chars, max_body_bytes: larger requests are refused.
        max_pending: queries that may wait or be worked on; 429 beyond, and sooner where the engine is too slow for
            `timeout_s`.
        max_batch, cache_hits: see `Batcher`; for measurements without the one or the other.
        timeout_s: longest time for a search, its wait included; 504 beyond.
        body_timeout_s: longest time for a client to send its body; 408 beyond.
        token_env: name of the environment variable with the bearer token; not set or empty: no token asked.
    """

    uri_token_env: str = TOKEN_ENV
    mcp: bool = False
    host: str = "127.0.0.1"
    topk: int = Field(5, ge=1)
    max_topk: int = Field(100, ge=1)
    max_queries: int = Field(4096, ge=1)
    max_query_chars: int = Field(8192, ge=1)
    max_body_bytes: int = Field(4 << 20, ge=1)
    max_pending: int = Field(2048, ge=1)
    max_batch: int = Field(256, ge=1)
    cache_hits: int = Field(20_000, ge=0)
    timeout_s: float = Field(10.0, gt=0)
    body_timeout_s: float = Field(10.0, gt=0)
    token_env: str = TOKEN_ENV


def opened(options: ServiceOptions) -> Engine:
    """The engine that the options name."""
    return options.opened(token_env=options.uri_token_env, timeout_s=options.timeout_s)


_STATUS = {"timeout": 504, "overloaded": 429, "closed": 503, "engine": 500, "milvus": 503}


class RetrievalService:
    """What the routes do, apart from HTTP's plumbing."""

    def __init__(self, options: ServiceOptions, open_engine: Callable[[], Engine]) -> None:
        self.options = options
        self.metrics = ServiceMetrics(lambda: self.batcher.pending)
        self.batcher = Batcher(
            open_engine,
            max_batch=options.max_batch,
            max_pending=options.max_pending,
            cache_hits=options.cache_hits,
            observe=self.metrics.batch,
        )
        self._token = os.environ.get(options.token_env, "") if options.token_env else ""

    def authorise(self, header: str | None) -> None:
        """Refuse with 401 when a token is asked for and `header` does not carry it."""
        if not self._token:
            return
        expected = f"Bearer {self._token}".encode()
        if not hmac.compare_digest((header or "").encode("utf-8", "replace"), expected):
            raise Refusal(401, "a bearer token is needed")

    async def retrieve(self, body: bytes) -> dict[str, Any]:
        """Answer one request body."""
        try:
            request = RetrieveRequest.model_validate_json(body)
        except ValidationError as error:
            wrong = {(one["type"], one["loc"]) for one in error.errors(include_input=False)}
            if {("missing", ("queries",)), ("extra_forbidden", ("query",))} <= wrong:
                return await self._one(body)
            raise refused(error, RetrieveRequest) from error
        return response_to_wire(await self.search(request), return_scores=request.return_scores)

    async def _one(self, body: bytes) -> dict[str, Any]:
        try:
            one = OneQuery.model_validate_json(body)
        except ValidationError as error:
            raise refused(error, OneQuery) from error
        request = RetrieveRequest(queries=[one.query], topk=one.top_k, filters=one.filters)
        [results] = response_to_wire(await self.search(request), return_scores=True)["result"]
        return {"query": one.query, "results": results, "num_results": len(results)}

    async def search(self, request: RetrieveRequest) -> list[list[Hit]]:
        """The hits of each query; a blank query has none, as Search-R1's client expects.

        Raises:
            Refusal: of a request beyond the limits, or that could not be answered.
        """
        self._check(request)
        if not self.batcher.ready:
            failure = self.batcher.failure
            raise Refusal(503, f"the index is not loaded: {failure}" if failure else "the index is loading")
        asked = [query for query in request.queries if query.strip()]
        topk = self.options.topk if request.topk is None else request.topk
        try:
            found = iter(await self.batcher.search(asked, topk, request.filters, self.options.timeout_s))
        except RetrievalFailure as failure:
            raise Refusal(_STATUS.get(failure.kind, 500), str(failure)) from failure
        except UserError as error:
            # the engine is open, so the request asks for something that the index does not have
            raise Refusal(422, str(error)) from error
        return [next(found) if query.strip() else [] for query in request.queries]

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status code and body of `/health`."""
        if self.batcher.failure is not None:
            return 503, {"status": "failed", "detail": str(self.batcher.failure)}
        if not self.batcher.ready:
            return 503, {"status": "loading"}
        ready: dict[str, Any] = {"status": "ready", "pending": self.batcher.pending}
        if isinstance(self.batcher.engine, Engine):
            ready["documents"] = len(self.batcher.engine)
            ready["engine"] = self.batcher.engine.manifest.get("engine", "milvus")
        return 200, ready

    def _check(self, request: RetrieveRequest) -> None:
        options = self.options
        if len(request.queries) > options.max_queries:
            raise Refusal(422, f"queries: {len(request.queries)} given, at most {options.max_queries}")
        for number, query in enumerate(request.queries):
            if len(query) > options.max_query_chars:
                limit = options.max_query_chars
                raise Refusal(422, f"queries[{number}]: {len(query)} characters, at most {limit}")
        if request.topk is not None and not 1 <= request.topk <= options.max_topk:
            raise Refusal(422, f"topk: {request.topk}, expected 1 to {options.max_topk}")


def create_app(options: ServiceOptions, open_engine: Callable[[], Engine] | None = None) -> FastAPI:
    """The ASGI application.

    Args:
        open_engine: opens the engine; default: what `options` name, see `opened`.
    """
    with needs("fastapi", "serve", "the retrieval service"):
        import orjson
        from fastapi import FastAPI, Response

    service = RetrievalService(options, open_engine or (lambda: opened(options)))

    tool = None
    if options.mcp:
        from medr3_plugin.retrieval.serve.mcp_tool import HttpTool

        tool = HttpTool(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        async with tool.running() if tool else nullcontext():
            yield
        await asyncio.to_thread(service.batcher.close)

    app = FastAPI(title="medr3 retrieval", version=__version__, redoc_url=None, lifespan=lifespan)
    app.openapi = lambda: openapi(app.title, app.version)  # type: ignore[method-assign]
    app.state.service = service

    def reply(status: int, content: Any) -> Response:
        return Response(orjson.dumps(content), status, media_type="application/json")

    async def retrieve(request: Request) -> Response:
        start = time.perf_counter()
        try:
            service.authorise(request.headers.get("authorization"))
            body = await read_body(request, options.max_body_bytes, options.body_timeout_s)
            response = reply(200, await service.retrieve(body))
        except Refusal as refusal:
            response = reply(refusal.status, {"detail": refusal.detail})
            if refusal.status == 429:
                # when about half of what waits is done; clients spread their returns
                response.headers["Retry-After"] = str(max(1, round(service.batcher.backlog_s / 2)))
        service.metrics.request(response.status_code, time.perf_counter() - start)
        return response

    async def health(_: Request) -> Response:
        return reply(*service.health())

    async def about(_: Request) -> Response:
        routes = {
            "retrieve": "POST /retrieve",
            **{name: f"GET /{name}" for name in ("health", "metrics", "docs")},
            **({"mcp": "POST /mcp"} if options.mcp else {}),
        }
        return reply(200, {"service": app.title, "version": app.version, "routes": routes})

    async def metrics(request: Request) -> Response:
        try:
            service.authorise(request.headers.get("authorization"))
        except Refusal as refusal:
            return reply(refusal.status, {"detail": refusal.detail})
        return Response(service.metrics.exposition(), media_type=service.metrics.content_type)

    # plain routes: the bodies are parsed above, once, with limits that FastAPI does not have
    app.add_route("/retrieve", retrieve, methods=["POST"])
    app.add_route("/health", health, methods=["GET"])
    app.add_route("/metrics", metrics, methods=["GET"])
    app.add_route("/", about, methods=["GET"])
    if tool is not None:
        app.router.routes.append(tool.route)
    return app
