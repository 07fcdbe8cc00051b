"""The index as a tool of other agents: `medical_search` over the Model Context Protocol (MCP).

Over HTTP it stands at `/mcp` beside `/retrieve` (stateless, so that any worker answers any call); over stdio an agent
starts `medr3 serve --mcp --stdio` itself. Both go through the service's batcher, limits and token.
"""

# no `from __future__ import annotations`: the tool's annotations hold values of the function that defines it
import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, Field, ValidationError, create_model

from medr3_plugin import __version__
from medr3_plugin.errors import needs
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.serve.requests import Refusal, RetrieveRequest, read_body
from medr3_plugin.yaml_section import Section, mistake

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from starlette.routing import BaseRoute
    from starlette.types import Message, Receive, Scope, Send

    from medr3_plugin.retrieval.serve.service import RetrievalService

PATH = "/mcp"


class FoundDocument(BaseModel):
    """A document as the agent reads it."""

    id: str
    title: str
    text: str
    source: str
    evidence_type: str
    evidence_level: int = Field(description="1 (expert opinion) to 9 (meta-analysis)")
    year: int | None
    score: float


class Found(BaseModel):
    """What the tool returns: the best documents first; none if nothing fits."""

    documents: list[FoundDocument]


def build_server(service: "RetrievalService") -> "MCPServer[Any]":
    """An MCP server with the one tool over `service`.

    Raises:
        MissingExtra: the package mcp is not installed.
    """
    with needs("mcp", "mcp", "serving over MCP"):
        from mcp.server import MCPServer
        from mcp.server.mcpserver.exceptions import ToolError
        from mcp.server.mcpserver.tools import Tool

    limit = service.options.max_topk

    async def medical_search(  # noqa: PLR0917 (the fields of the tool)
        query: Annotated[str, Field(description="What to look for, in plain words.", min_length=1)],
        topk: Annotated[
            int, Field(description="Documents to return.", ge=1, le=limit)
        ] = service.options.topk,
        sources: Annotated[list[str] | None, Field(description="Only documents of these sources.")] = None,
        min_evidence_level: Annotated[
            int | None, Field(description="Lowest level of evidence, 1 to 9.", ge=1, le=9, strict=True)
        ] = None,
        min_year: Annotated[int | None, Field(description="First year of publication.", strict=True)] = None,
        max_year: Annotated[int | None, Field(description="Last year of publication.", strict=True)] = None,
    ) -> Found:
        given: dict[str, Any] = {
            "sources": sources or None,  # agents fill in what they do not need
            "min_evidence_level": min_evidence_level,
            "min_year": min_year,
            "max_year": max_year,
        }
        try:
            request = RetrieveRequest(queries=[query], topk=topk, filters=Filters(**given))
            hits = await service.search(request)
        except ValidationError as error:
            raise ToolError(str(mistake(error, "filters"))) from error
        except Refusal as refusal:
            raise ToolError(refusal.detail) from refusal
        found = [FoundDocument(**hit.document.columns(), score=hit.score) for hit in hits[0]]
        return Found(documents=found)

    tool = Tool.from_function(
        medical_search,
        description="Search the medical literature. Returns the passages that fit the query best, with their level of "
        "evidence.",
    )
    # as strict as `/retrieve`: a misspelt argument (top_k) would silently have no effect, and true counts as 1
    arguments = tool.fn_metadata.arg_model = cast(
        Any, create_model("Arguments", __base__=(Section, tool.fn_metadata.arg_model))
    )
    tool.parameters = arguments.model_json_schema(by_alias=True)
    # what the server logs below that is a line for each call
    logging.getLogger("mcp").setLevel(logging.WARNING)
    return MCPServer("medr3", title="medr3 retrieval", version=__version__, log_level="WARNING", tools=[tool])


class HttpTool:
    """The tool over HTTP: an ASGI application behind the service's token and its limits of a body.

    Attributes:
        route: leads to it.
        running: the context that it answers in.
    """

    def __init__(self, service: "RetrievalService") -> None:
        from starlette.routing import Route

        self._service = service
        server = build_server(service)
        app = server.streamable_http_app(
            host=service.options.host, streamable_http_path=PATH, json_response=True, stateless_http=True
        )
        (route,) = (route for route in app.routes if isinstance(route, Route) and route.path == PATH)
        self._app = route.app
        self.route: BaseRoute = Route(PATH, self)
        self.running = server.session_manager.run

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request."""
        from starlette.requests import Request
        from starlette.responses import JSONResponse

        options = self._service.options
        request = Request(scope, receive)
        try:
            self._service.authorise(request.headers.get("authorization"))
            body = await read_body(request, options.max_body_bytes, options.body_timeout_s)
        except Refusal as refusal:
            await JSONResponse({"detail": refusal.detail}, refusal.status)(scope, receive, send)
            return
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> "Message":
            return unread.pop() if unread else await receive()

        await self._app(scope, receive_again, send)


async def serve_stdio(service: "RetrievalService") -> None:
    """Answer on standard input and output until the input ends.

    Raises:
        UserError: the index cannot be opened.
        RetrievalFailure: nor can the engine's own server be reached.
    """
    server = build_server(service)
    await service.batcher.opened()
    if service.batcher.failure is not None:
        raise service.batcher.failure
    try:
        await server.run_stdio_async()
    finally:
        await asyncio.to_thread(service.batcher.close)
