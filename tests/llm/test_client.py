"""The chat client against a server that fails in every way, on real sockets."""

from __future__ import annotations

import asyncio
import logging

import pytest
from chat_server import verdict_text

from medr3_plugin.errors import JudgeFailure, UserError
from medr3_plugin.judge.llm import SCHEMA
from medr3_plugin.llm.client import ChatClient
from medr3_plugin.llm.stats import collected

ASK = [{"role": "user", "content": "?"}]


def client(server, **options):
    return ChatClient(server.url, **{"model": "m", "timeout_s": 5.0, "attempts": 3, **options})


async def test_sends_the_protocol_and_returns_the_text(chat_server, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    chat = client(
        chat_server,
        api_key_env="SOME_KEY",
        params={"temperature": 0.0, "max_tokens": 99},
        extra_body={"chat_template_kwargs": {"enable_thinking": False}},
    )
    assert (await chat.complete(ASK, SCHEMA)).text == verdict_text(2)
    body = chat_server.requests[0]
    assert body["model"] == "m"
    assert body["messages"] == ASK
    assert (body["temperature"], body["max_tokens"]) == (0.0, 99)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert body["response_format"]["json_schema"]["schema"]["properties"]["score"]["enum"] == [0, 1, 2]
    assert chat_server.headers[0]["authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("structured", "expected"), [("none", None), ("json_object", {"type": "json_object"})]
)
async def test_servers_without_schemas(chat_server, structured, expected):
    chat = client(chat_server, structured=structured)
    await chat.complete(ASK, SCHEMA)
    assert chat_server.requests[0].get("response_format") == expected


async def test_asks_the_server_for_its_model_once(chat_server):
    chat = client(chat_server, model=None)
    await asyncio.gather(*(chat.complete(ASK) for _ in range(5)))
    assert {request["model"] for request in chat_server.requests} == {"served-model"}
    assert sum(path.endswith("/models") for path in chat_server.paths) == 1


@pytest.mark.parametrize("bad", [500, 502, 503, 429, 408, "close", "half"])
async def test_tries_again_what_may_pass(chat_server, bad):
    chat_server.script = [bad, verdict_text(1)]
    chat = client(chat_server)
    with collected() as stats:
        assert (await chat.complete(ASK)).text == verdict_text(1)
    assert chat_server.asked() == stats.requests == 2
    assert (stats.retries, stats.failures, len(stats.latencies_s)) == (1, {}, 1)


@pytest.mark.parametrize(
    ("bad", "kind", "asked"),
    [
        (500, "status_500", 3),
        (429, "status_429", 3),
        (400, "status_400", 1),
        (401, "status_401", 1),
        (404, "status_404", 1),
        (422, "status_422", 1),
        ("close", "connection", 3),
        ("half", "connection", 3),
        ("not-json", "bad_response", 1),
        ("not-chat", "bad_response", 1),
        ("no-choices", "bad_response", 1),
        ("empty", "bad_response", 1),
    ],
)
async def test_gives_up_with_a_typed_failure(chat_server, bad, kind, asked):
    chat_server.script = [bad]
    chat = client(chat_server)
    with collected() as stats, pytest.raises(JudgeFailure) as failure:
        await chat.complete(ASK)
    assert failure.value.kind == kind
    assert chat_server.url in str(failure.value)
    assert chat_server.asked() == stats.requests == asked
    assert stats.failures == {kind: 1}


@pytest.mark.parametrize("bad", ["slow", "trickle"])
async def test_a_slow_server_is_a_timeout(chat_server, bad):
    chat_server.script = [bad]
    chat = client(chat_server, timeout_s=0.3, attempts=2)
    with pytest.raises(JudgeFailure) as failure:
        await chat.complete(ASK)
    assert failure.value.kind == "timeout"
    assert chat_server.asked() == 2


async def test_nobody_listens():
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    chat = ChatClient(f"http://127.0.0.1:{port}/v1", model="m", attempts=2)
    with pytest.raises(JudgeFailure) as failure:
        await chat.complete(ASK)
    assert failure.value.kind == "connection"


async def test_limits_requests_in_flight(chat_server):
    chat_server.delay_s = 0.02
    chat = client(chat_server, max_in_flight=3)
    await asyncio.gather(*(chat.complete(ASK) for _ in range(20)))
    assert chat_server.most_in_flight == 3
    assert chat_server.asked() == 20


async def test_a_cancelled_request_frees_its_slot(chat_server):
    chat_server.script = ["slow", verdict_text(2)]
    chat = client(chat_server, max_in_flight=1)
    first = asyncio.ensure_future(chat.complete(ASK))
    while not chat_server.requests:
        await asyncio.sleep(0.01)
    first.cancel()
    assert (await asyncio.wait_for(chat.complete(ASK), 5)).text == verdict_text(2)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_proxies_of_the_environment(chat_server, monkeypatch):
    monkeypatch.setenv("http_proxy", chat_server.url.removesuffix("/v1"))
    monkeypatch.setenv("no_proxy", "direct.example")
    chat = ChatClient("http://judge.example/v1", model="m", attempts=1)
    assert (await chat.complete(ASK)).text == verdict_text(2)
    assert chat_server.paths == ["http://judge.example/v1/chat/completions"]
    direct = ChatClient("http://direct.example/v1", model="m", attempts=1)
    assert direct._proxy is None
    cluster = ChatClient("http://judge.example/v1", model="m", attempts=1, use_proxies=False)
    assert cluster._proxy is None


def test_missing_key_variable(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(UserError, match="NO_SUCH_KEY"):
        ChatClient("http://127.0.0.1:1/v1", api_key_env="NO_SUCH_KEY")


def test_retries_print_nothing_by_themselves() -> None:
    ChatClient("http://127.0.0.1:9/v1", model="m")
    # else Python's handler of last resort prints stamina's bare event name, once for each retry
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("stamina").handlers)
