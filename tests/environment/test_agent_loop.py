"""`medr3_search`: verl's agent loop around `run_episode`, with a scripted rollout server and backend."""

from __future__ import annotations

import asyncio
from itertools import compress
from typing import Any

import pytest

pytest.importorskip("verl")

import numpy as np
from byte_tokenizer import TEMPLATE, byte_tokenizer
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import DictConfigWrap
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from medr3_plugin.environment import agent_loop
from medr3_plugin.environment.agent_loop import SearchAgentLoop
from medr3_plugin.errors import RetrievalFailure
from medr3_plugin.records import Document, Hit
from medr3_plugin.retrieval.protocol import turns_from_json

QUESTION = [{"role": "user", "content": "What lowers glucose?"}]
ANSWER = "so</think><answer>metformin</answer>"
ABORTED = None


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


class Server:
    """Says one segment a call, as vLLM behind verl's server does: it takes keys out of the parameters it is given."""

    def __init__(
        self, tokenizer, segments: list[str | None], *, log_probs: bool = True, experts: bool = False
    ):
        self.tokenizer, self.segments = tokenizer, list(segments)
        self.log_probs, self.experts = log_probs, experts
        self.calls: list[dict[str, Any]] = []
        self.sampling: list[dict[str, Any]] = []

    async def generate(self, request_id, prompt_ids, sampling_params, priority):
        self.calls.append({"request_id": request_id, "prompt_ids": list(prompt_ids), "priority": priority})
        self.sampling.append(dict(sampling_params))
        room = sampling_params.pop("max_tokens")
        await asyncio.sleep(0)
        segment = self.segments.pop(0)
        version = len(self.calls)
        steps = {"global_steps": version, "min_global_steps": version, "max_global_steps": version}
        if segment is ABORTED:
            return TokenOutput(token_ids=[], log_probs=None, stop_reason="aborted", extra_fields=steps)
        ids = self.tokenizer.encode(segment, add_special_tokens=False)[:room]
        return TokenOutput(
            token_ids=ids,
            log_probs=[-0.5 * version] * len(ids) if self.log_probs else None,
            routed_experts=np.full((len(prompt_ids) + len(ids) - 1, 1, 1), version) if self.experts else None,
            num_preempted=1,
            extra_fields=steps,
        )


class Backend:
    """Knows one document; fails for the query `down`."""

    async def search(self, queries, topk):
        await asyncio.sleep(0)
        if "down" in queries:
            raise RetrievalFailure("no answer", "timeout")
        return [[Hit(Document("d1", "lowers glucose", "Metformin"), 1.0)] for _ in queries]


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(agent_loop, "make_backend", lambda _: Backend())

    def made(server: Server, *, prompt_length: int = 200, response_length: int = 300, **environment: Any):
        environment = {"answer_reserve": 60, "document_template": "{title} {text}", **environment}
        config = {
            "medr3": {"environment": environment, "retrieval": {}},
            "actor_rollout_ref": {
                "rollout": {"prompt_length": prompt_length, "response_length": response_length}
            },
        }
        return SearchAgentLoop(
            trainer_config=DictConfigWrap(OmegaConf.create(config)),
            server_manager=server,
            tokenizer=server.tokenizer,
            processor=None,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(OmegaConf.create({})),
        )

    return made


async def test_a_search_and_an_answer(tokenizer, make):
    server = Server(tokenizer, ["<think><search>glucose</search>", ANSWER])
    output = await make(server).run({"temperature": 1.0, "logprobs": True}, raw_prompt=QUESTION)
    spoken = list(compress(output.response_ids, output.response_mask))
    assert tokenizer.decode(spoken) == "<think><search>glucose</search>" + ANSWER
    first = len("<think><search>glucose</search>")
    assert list(compress(output.response_logprobs, output.response_mask)) == [-0.5] * first + [-1.0] * len(
        ANSWER
    )
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    # token in, token out: each call has exactly what came before
    assert server.calls[0]["prompt_ids"] == output.prompt_ids
    assert server.calls[1]["prompt_ids"] == (output.prompt_ids + output.response_ids)[: -len(ANSWER)]
    assert len({call["request_id"] for call in server.calls}) == 1
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
    room = 300 - len(output.response_ids) + len(ANSWER)
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
    tokenizer.chat_template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
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
        text = tokenizer.decode(output.response_ids)
        assert text.endswith(ANSWER) and f"<search>{queries[i]}</search>" in text
