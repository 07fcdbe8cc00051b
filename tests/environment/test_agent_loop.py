"""`medr3_search`: verl's agent loop around `run_episode`, with a scripted rollout server and backend."""

from __future__ import annotations

import asyncio
from itertools import compress
from typing import Any

import pytest

pytest.importorskip("verl")

from byte_tokenizer import byte_tokenizer
from loops import ABORTED, OPENS_THINK, Backend, Server, loop

from medr3_plugin.environment import agent_loop
from medr3_plugin.environment.agent_loop import SearchAgentLoop
from medr3_plugin.retrieval.protocol import turns_from_json

QUESTION = [{"role": "user", "content": "What lowers glucose?"}]
ANSWER = "so</think><answer>metformin</answer>"
SAID = len(ANSWER) + 1  # tokens: a byte each, and the end of the turn


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(agent_loop, "make_backend", lambda _: Backend())

    def made(server: Server, **settings: Any) -> SearchAgentLoop:
        return loop(SearchAgentLoop, server, **{"response_length": 300, "answer_reserve": 60, **settings})

    return made


async def test_a_search_and_an_answer(tokenizer, make):
    server = Server(tokenizer, ["<think><search>glucose</search>", ANSWER])
    output = await make(server).run({"temperature": 1.0, "logprobs": True}, raw_prompt=QUESTION)
    spoken = list(compress(output.response_ids, output.response_mask))
    assert tokenizer.decode(spoken[:-1]) == "<think><search>glucose</search>" + ANSWER
    first = len("<think><search>glucose</search>")
    log_probs = list(compress(output.response_logprobs, output.response_mask))
    assert log_probs == [-0.5] * first + [-1.0] * SAID
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    # token in, token out: each call has exactly what came before
    assert server.prompts == [output.prompt_ids, (output.prompt_ids + output.response_ids)[:-SAID]]
    assert len(set(server.requests)) == 1
    # the weights of the first call and of the last
    assert (output.extra_fields["min_global_steps"], output.extra_fields["max_global_steps"]) == (1, 2)
    assert output.metrics.num_preempted == 2
    (turn,) = turns_from_json(output.extra_fields["searches"])
    assert (turn.query, turn.shown) == ("glucose", ("d1",))


async def test_every_call_gets_the_whole_of_the_sampling_parameters(tokenizer, make):
    given = {"temperature": 1.0, "top_p": 1.0, "logprobs": True}
    server = Server(tokenizer, ["<search>glucose</search>", ANSWER])
    stamp = {"sampling": {"temperature": 0.5}, "stage": "joint"}
    output = await make(server).run(given, raw_prompt=QUESTION, extra_info=stamp)
    # verl gives it to all samples of a group
    assert given == {"temperature": 1.0, "top_p": 1.0, "logprobs": True}
    for sampling in server.sampling:
        assert (sampling["temperature"], sampling["top_p"], sampling["logprobs"]) == (0.5, 1.0, True)
        assert sampling["include_stop_str_in_output"] and "</search>" in sampling["stop"]
    room = 300 - len(output.response_ids) + SAID
    assert [sampling["max_tokens"] for sampling in server.sampling] == [300, room]


async def test_a_stage_sets_the_limit_of_its_samples(tokenizer, make):
    server = Server(tokenizer, ["<search>glucose</search>", ANSWER])
    output = await make(server, max_searches=3).run({}, raw_prompt=QUESTION, extra_info={"max_searches": 0})
    assert [turn.outcome for turn in turns_from_json(output.extra_fields["searches"])] == ["limit"]
    assert "</search>" not in server.sampling[1]["stop"]


async def test_the_opened_think_is_part_of_the_prompt_and_of_its_length(tokenizer, make):
    async def prompt(**settings):
        output = await make(Server(tokenizer, [ANSWER]), **settings).run({}, raw_prompt=QUESTION)
        return output.prompt_ids, output.extra_fields["prefill_think"]

    plain, told = await prompt()
    opened, told_opened = await prompt(prefill_think=True)
    assert (told, told_opened) == (False, True)
    assert tokenizer.decode(opened) == tokenizer.decode(plain) + "<think>"
    # a prompt that fills its length loses its oldest tokens, never the tag, and never grows past it
    full, _ = await prompt(prefill_think=True, prompt_length=len(plain))
    assert full == opened[-len(plain) :]


@pytest.mark.parametrize("prefill", [True, False])
async def test_a_chat_template_may_open_the_think_region_itself(make, prefill):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = OPENS_THINK
    output = await make(Server(tokenizer, [ANSWER]), prefill_think=prefill).run({}, raw_prompt=QUESTION)
    assert tokenizer.decode(output.prompt_ids).endswith("assistant\n<think>\n")
    assert output.extra_fields["prefill_think"] is True


async def test_routed_experts_are_those_of_the_last_call(tokenizer, make):
    server = Server(tokenizer, ["<search>glucose</search>", ANSWER], experts=True)
    output = await make(server).run({}, raw_prompt=QUESTION)
    assert len(output.routed_experts) == len(output.prompt_ids) + len(output.response_ids) - 1
    assert set(output.routed_experts.ravel()) == {2}
    assert (await make(Server(tokenizer, [ANSWER])).run({}, raw_prompt=QUESTION)).routed_experts is None


async def test_an_aborted_request_leaves_the_log_probs_of_the_others(tokenizer, make):
    server = Server(tokenizer, ["<think><search>glucose</search>", ABORTED])
    output = await make(server).run({}, raw_prompt=QUESTION)
    assert len(output.response_logprobs) == len(output.response_ids)
    assert output.response_mask[-1] == 0 and output.response_logprobs[-1] == 0.0


async def test_without_log_probs_there_are_none(tokenizer, make):
    server = Server(tokenizer, ["<search>glucose</search>", ANSWER], log_probs=False)
    assert (await make(server).run({}, raw_prompt=QUESTION)).response_logprobs is None


async def test_a_failed_search_or_a_cancelled_sample_touches_no_other(tokenizer, make):
    """Sixteen trajectories at a time over one backend."""
    queries = ["down" if i % 4 == 0 else f"glucose {i}" for i in range(16)]
    loops = [make(Server(tokenizer, [f"<search>{query}</search>", ANSWER])) for query in queries]
    tasks = [asyncio.create_task(loop.run({}, raw_prompt=QUESTION)) for loop in loops]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    for i, output in enumerate(results):
        if i == 1:
            continue
        (turn,) = turns_from_json(output.extra_fields["searches"])
        assert (turn.outcome, turn.failure) == (("failed", "timeout") if i % 4 == 0 else ("ok", None))
        text = tokenizer.decode(output.response_ids, skip_special_tokens=True)
        assert text.endswith(ANSWER) and f"<search>{queries[i]}</search>" in text
