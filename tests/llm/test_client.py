"""The chat client against a server that fails in every way, on real sockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from chat_server import Cut, Raw, Refused, completion, verdict_text

from medr3_plugin.errors import JudgeFailure, UserError
from medr3_plugin.judge.llm import SCHEMA
from medr3_plugin.llm.client import ChatClient
from medr3_plugin.llm.stats import collected
from medr3_plugin.llm.transport import proxy_of

ASK = [{"role": "user", "content": "?"}]


def client(server, **options):
    return ChatClient(server.url, **{"model": "m", "timeout_s": 5.0, "attempts": 3, **options})


async def failure_of(chat) -> JudgeFailure:
    with pytest.raises(JudgeFailure) as failure:
        await chat.complete(ASK)
    return failure.value


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
        ("not-chat", "bad_response", 1),  # as verl's router passes on what a worker says that is no JSON
        ("no-choices", "bad_response", 1),
        ("empty", "bad_response", 1),
    ],
)
async def test_gives_up_with_a_typed_failure(chat_server, bad, kind, asked):
    chat_server.script = [bad]
    with collected() as stats:
        failure = await failure_of(client(chat_server))
    assert failure.kind == kind and chat_server.url in str(failure)
    assert chat_server.asked() == stats.requests == asked
    assert stats.failures == {kind: 1}


@pytest.mark.parametrize("bad", ["slow", "trickle"])
async def test_a_slow_server_is_a_timeout(chat_server, bad):
    chat_server.script = [bad]
    assert (await failure_of(client(chat_server, timeout_s=0.3, attempts=2))).kind == "timeout"
    assert chat_server.asked() == 2


async def test_nobody_listens():
    chat = ChatClient("http://127.0.0.1:9/v1", model="m", attempts=2)
    assert (await failure_of(chat)).kind == "connection"


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
    assert proxy_of("http://direct.example/v1") is None
    cluster = ChatClient("http://127.0.0.1:9/v1", model="m", attempts=1, use_proxies=False)
    await failure_of(cluster)
    assert len(chat_server.paths) == 1


def test_missing_key_variable(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(UserError, match="NO_SUCH_KEY"):
        ChatClient("http://127.0.0.1:1/v1", api_key_env="NO_SUCH_KEY")


@pytest.mark.parametrize("attempts", [1, 3])
async def test_a_reply_that_is_cut_off_is_a_failure_and_is_not_sent_again(chat_server, attempts):
    chat_server.script = [Cut(verdict_text(2))]
    chat = client(chat_server, attempts=attempts)
    with collected() as stats:
        failure = await failure_of(chat)
    assert failure.kind == "truncated" and chat_server.url in str(failure)
    assert (stats.requests, stats.replies, stats.failures) == (1, 1, {"truncated": 1})
    reply = await chat.complete(ASK, may_be_cut=True)
    assert reply.truncated and reply.text == verdict_text(2)


@pytest.mark.parametrize("reason", ["abort", "content_filter", "length", None, "stop"])
@pytest.mark.parametrize("text", [None, "", verdict_text(2)])
async def test_how_a_reply_ended(chat_server, reason, text):
    chat_server.script = [Raw(completion(text, reason))]
    chat = client(chat_server)
    if reason in (None, "stop") and text:
        assert (await chat.complete(ASK)).text == text
        return
    assert (await failure_of(chat)).kind == ("truncated" if reason == "length" else "bad_response")


async def test_tokens_are_counted(chat_server):
    chat = client(chat_server)
    with collected() as stats:
        reply = await chat.complete(ASK)
    assert (
        (reply.prompt_tokens, reply.completion_tokens)
        == (stats.prompt_tokens, stats.completion_tokens)
        == (300, 20)
    )


REPLACED = {"temperature": None, "max_tokens": None, "max_completion_tokens": 700, "reasoning_effort": "low"}


@pytest.mark.parametrize(
    ("params", "asked", "sent"),
    [
        ({"temperature": 0.0, "max_tokens": 99}, {}, {"temperature": 0.0, "max_tokens": 99}),
        ({"temperature": 0.0, "max_tokens": 99}, {"max_tokens": 7}, {"temperature": 0.0, "max_tokens": 7}),
        (REPLACED, {}, {"max_completion_tokens": 700, "reasoning_effort": "low"}),
        (
            REPLACED,
            {"max_tokens": 7, "temperature": 1.0},
            {"max_completion_tokens": 7, "reasoning_effort": "low"},
        ),
        ({"max_tokens": None}, {"max_tokens": 7}, {}),
        (REPLACED, {"attempt": 1}, {"max_completion_tokens": 700, "reasoning_effort": "low"}),
        ({"temperature": 0.0}, {"attempt": 1}, {"temperature": 0.3}),
        ({"temperature": 0.8}, {"attempt": 1}, {"temperature": 0.8}),
        ({}, {"attempt": 1}, {}),
    ],
)
async def test_parameters_are_left_out_and_replaced(chat_server, params, asked, sent):
    await client(chat_server, params=params).complete(ASK, **asked)
    assert {k: v for k, v in chat_server.requests[0].items() if k not in ("messages", "model")} == sent


REFUSAL = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


async def test_what_a_server_says_is_passed_on_once_per_kind(chat_server, caplog):
    chat_server.script = [Refused(REFUSAL)]
    chat = client(chat_server, params={"max_tokens": 99})
    for _ in range(3):
        said = str(await failure_of(chat))
        assert REFUSAL.rstrip(".") in said
        assert 'judge.parameters: {"max_tokens": null, "max_completion_tokens"' in said
    assert caplog.text.count(REFUSAL.rstrip(".")) == 1
    chat_server.script = [Refused("another"), 404]
    for _ in range(2):
        await failure_of(chat)
    assert len(caplog.records) == 2, "another kind is shown, the same kind is not"


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Incorrect API key provided: my-own-key-123. Find it at x."}},
        {"error": "refused: Bearer my-own-key-123"},
        {"detail": [{"msg": "my-own-key-123"}]},
        {"message": "sk-abc*****def and hf_abcdefghij and Authorization: Bearer abcdefghijkl"},
    ],
)
async def test_keys_are_never_repeated(chat_server, monkeypatch, caplog, body):
    monkeypatch.setenv("SOME_KEY", "my-own-key-123")
    chat_server.script = [Raw(json.dumps(body), 401)]
    failure = await failure_of(client(chat_server, api_key_env="SOME_KEY"))
    for said in (str(failure), caplog.text):
        assert "***" in said
        assert not [key for key in ("my-own-key", "abc*****def", "abcdefghij") if key in said]


async def test_long_messages_of_a_server_are_cut(chat_server):
    chat_server.script = [Raw("<html>\n" + "x" * 100_000, 502)]
    said = str(await failure_of(client(chat_server, attempts=1)))
    assert len(said) < 600 and "\n" not in said


def test_credentials_in_an_address_are_not_told():
    assert "secret" not in ChatClient("http://me:secret@127.0.0.1:9/v1", model="m").name


async def test_a_server_that_is_gone_is_given_up(chat_server):
    chat_server.script = [500, 500, 500]
    chat = client(chat_server, attempts=1, give_up_after=2)
    kinds = [(await failure_of(chat)).kind for _ in range(4)]
    assert kinds == ["status_500", "status_500", "not_asked", "not_asked"]
    assert chat_server.asked() == 2
