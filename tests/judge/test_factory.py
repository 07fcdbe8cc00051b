"""Judges from options, and what is said about wrong options."""

from __future__ import annotations

import pytest
from chat_server import verdict_text

from medr3_plugin.errors import UserError
from medr3_plugin.judge.factory import ROUTER_VARIABLE, make_judge

CASE = {"question": "What is it?", "answers": ("Gout",), "options": None, "dataset": ""}


def test_no_options_no_judge():
    assert make_judge(None) is None
    assert make_judge({}) is None


def test_rules_alone_are_no_judge():
    assert make_judge({"kind": "rule"}) is None
    with pytest.raises(UserError):
        make_judge({"kind": "rule", "max_tokens": 1})


async def test_parameters_are_left_out_and_replaced(chat_server):
    options = {"kind": "openai", "base_url": chat_server.url, "model": "m", "temperature": None}
    replaced = {"max_tokens": None, "max_completion_tokens": 900, "seed": 1}
    await make_judge({**options, "parameters": replaced}).verdict(answer="x", **CASE)
    sent = chat_server.requests[0]
    assert (sent["max_completion_tokens"], sent["seed"]) == (900, 1)
    assert not {"temperature", "max_tokens"} & sent.keys()


@pytest.mark.parametrize("given", ["option", "environment"])
async def test_router_speaks_the_same_protocol(chat_server, monkeypatch, given):
    address = chat_server.url.removeprefix("http://").removesuffix("/v1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the router is in the cluster: no proxy
    options = {"kind": "router", "model": "judge-model", "attempts": 1}
    if given == "option":
        options["address"] = address
    else:
        monkeypatch.setenv(ROUTER_VARIABLE, address)
    judge = make_judge(options)
    chat_server.script = [verdict_text(1)]
    verdict = await judge.verdict(answer="arthritis", **CASE)
    assert (verdict.level, verdict.source) == (1, "router:judge-model")
    assert chat_server.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kind": "oracle"}, "medr3.reward.judge.kind"),
        ({"kind": "openai"}, "medr3.reward.judge.base_url"),
        ({"base_url": "http://x/v1", "model": "m"}, "medr3.reward.judge.kind"),
        ({"address": "127.0.0.1:1"}, "medr3.reward.judge.kind"),
        ({"kind": "openai", "base_url": "127.0.0.1:8000"}, "medr3.reward.judge.base_url"),
        ({"kind": "router"}, "medr3.reward.judge.address"),
        ({"kind": "rule", "modle": "x"}, "medr3.reward.judge.modle"),
        (
            {"kind": "openai", "base_url": "http://x/v1", "tokenizer": "no/such"},
            "medr3.reward.judge.tokenizer",
        ),
        ({"kind": "openai", "base_url": "http://x/v1", "timeout_s": -1}, "medr3.reward.judge.timeout_s"),
        ({"kind": "openai", "base_url": "http://x/v1", "api_key": "sk"}, "medr3.reward.judge.api_key_env"),
        ({"kind": "openai", "base_url": "http://x/v1", "attempts": 0}, "medr3.reward.judge.attempts"),
    ],
)  # fmt: skip
def test_wrong_options_name_their_path(options, named, monkeypatch):
    monkeypatch.delenv(ROUTER_VARIABLE, raising=False)
    with pytest.raises(UserError) as error:
        make_judge(options)
    assert named in str(error.value)
    assert "\n" not in str(error.value)
