"""The tool `medical_search` as two independent clients see it, over HTTP and over stdio."""

from __future__ import annotations

import contextlib
import json
import sys
import time
import urllib.request

import pytest
from service_helpers import CORPUS, running, small_index

pytest.importorskip("mcp")
pytest.importorskip("fastapi")

from medr3_plugin.retrieval.serve.service import ServiceOptions, create_app


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return small_index(tmp_path_factory.mktemp("mcp"))


@contextlib.contextmanager
def service(index: str):
    app = create_app(ServiceOptions(index=index, mcp=True))
    with running(app) as url:
        while not app.state.service.batcher.ready:
            time.sleep(0.005)
        yield url


def stdio_command(index: str) -> list[str]:
    program = "from medr3_plugin.cli import main; main()"
    return [sys.executable, "-c", program, "serve", "--index", index, "--mcp", "--stdio"]


@contextlib.asynccontextmanager
async def mcps_own(transport: str, index: str):
    """The client of the package mcp; yields `list_tools` and `call(arguments) -> (error?, structured, text)`."""
    from mcp.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    with contextlib.ExitStack() as stack:
        if transport == "http":
            target = f"{stack.enter_context(service(index))}/mcp"
        else:
            command, *arguments = stdio_command(index)
            target = stdio_client(StdioServerParameters(command=command, args=arguments))
        async with Client(target) as client:

            async def call(arguments: dict):
                result = await client.call_tool("medical_search", arguments)
                return result.is_error, result.structured_content, result.content[0].text

            yield (await client.list_tools()).tools, call


@contextlib.asynccontextmanager
async def fastmcps(transport: str, index: str):
    fastmcp = pytest.importorskip("fastmcp")
    from fastmcp.client.transports import StdioTransport

    with contextlib.ExitStack() as stack:
        if transport == "http":
            target = f"{stack.enter_context(service(index))}/mcp"
        else:
            command, *arguments = stdio_command(index)
            target = StdioTransport(command=command, args=arguments)
        async with fastmcp.Client(target) as client:

            async def call(arguments: dict):
                result = await client.call_tool("medical_search", arguments, raise_on_error=False)
                return result.is_error, result.structured_content, result.content[0].text

            yield await client.list_tools(), call


@pytest.mark.parametrize("client", [mcps_own, fastmcps])
@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_two_clients_find_the_same(index, client, transport):
    async with client(transport, index) as (tools, call):
        assert [tool.name for tool in tools] == ["medical_search"]
        error, found, text = await call({"query": "statins cholesterol", "topk": 1})
        assert not error
        (document,) = found["documents"]
        assert (document["id"], document["text"]) == ("d2", CORPUS[1].text)
        assert (document["evidence_level"], document["year"]) == (9, 2015)
        assert json.loads(text) == found
        error, found, _ = await call({"query": "diabetes", "min_year": 2000})
        assert [document["id"] for document in found["documents"]] == ["d1"]
        error, found, _ = await call({"query": "nothing of it"})
        assert (error, found) == (False, {"documents": []})
        error, _, text = await call({"query": "diabetes", "sources": ["Trials"]})
        assert error
        assert "Trials" in text
        assert (await call({"query": "diabetes", "topk": 101}))[0]
        error, _, text = await call({"query": "diabetes", "top_k": 1})
        assert error and "top_k" in text
        for wrong in (
            {"topk": True},
            {"min_evidence_level": True},
            {"min_year": "2000"},
            {"max_year": 2000.0},
        ):
            error, _, text = await call({"query": "diabetes", **wrong})  # as `/retrieve` answers
            assert error and next(iter(wrong)) in text
        assert await call({"query": "diabetes", "sources": []}) == await call({"query": "diabetes"})


def test_the_tool_stands_beside_retrieve_and_behind_the_token(index, monkeypatch):
    monkeypatch.setenv("MEDR3_RETRIEVAL_TOKEN", "s3cret")
    with service(index) as url:
        for path, body in (("/retrieve", {"queries": ["statins"]}), ("/mcp", {})):
            request = urllib.request.Request(url + path, data=json.dumps(body).encode())  # noqa: S310
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=20)  # noqa: S310
            assert caught.value.code == 401
            request.add_header("Authorization", "Bearer s3cret")
            if path == "/retrieve":
                assert urllib.request.urlopen(request, timeout=20).status == 200  # noqa: S310


def test_a_call_that_is_too_large_is_refused_as_such(index):
    with running(create_app(ServiceOptions(index=index, mcp=True, max_body_bytes=10_000))) as url:
        request = urllib.request.Request(f"{url}/mcp", data=b" " * 10_000_000)  # noqa: S310
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)  # noqa: S310
    assert caught.value.code == 413


@pytest.mark.parametrize(("host", "status"), [("127.0.0.1", 421), ("0.0.0.0", 200)])  # noqa: S104
def test_a_foreign_host_is_refused_on_a_loopback_address_only(index, host, status):
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with running(create_app(ServiceOptions(index=index, mcp=True, host=host))) as url:
        request = urllib.request.Request(  # noqa: S310
            f"{url}/mcp", data=json.dumps(ask).encode(), headers={**accept, "Host": "evil.example"}
        )
        try:
            found = urllib.request.urlopen(request, timeout=20).status  # noqa: S310
        except urllib.error.HTTPError as error:
            found = error.code
    assert found == status
