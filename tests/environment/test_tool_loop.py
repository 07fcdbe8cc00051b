"""`medr3_tool`: verl's own tool loop, run whole with a scripted model and a byte tokenizer."""

from __future__ import annotations

import json
from itertools import compress

import pytest

pytest.importorskip("verl")

from byte_tokenizer import TEMPLATE, byte_tokenizer
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
from verl.tools.tool_registry import load_all_tools
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from medr3_plugin.environment.tool_loop import MedicalToolAgentLoop
from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.protocol import turns_from_json
from medr3_plugin.trajectory import parse


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


@pytest.fixture(scope="module")
def yaml(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tool_loop")
    meta = {"source": "s", "evidence_type": "RCT", "evidence_type_method": "m", "license": "CC0"}
    rows = [{"id": "d1", "title": "Metformin", "text": "Metformin lowers glucose in diabetes.", **meta}]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build_index([str(folder / "corpus.jsonl")], folder / "index", "bm25")
    (folder / "tools.yaml").write_text(
        "tools:\n  - class_name: medr3_plugin.environment.tool.MedicalSearchTool\n    config:\n"
        f"      {{type: native, retrieval: {{index: {folder / 'index'}}}, response_chars: 400,"
        " answer_reserve: 150}\n"
    )
    return str(folder / "tools.yaml")


class ScriptedServer:
    """Says one line a turn; keeps what it was prompted with."""

    def __init__(self, tokenizer, lines: list[str]) -> None:
        self._tokenizer, self._lines = tokenizer, list(lines)
        self.prompts: list[str] = []

    async def generate(self, request_id, prompt_ids, sampling_params, **_):
        self.prompts.append(self._tokenizer.decode(prompt_ids))
        ids = self._tokenizer.encode(self._lines.pop(0) + "<|im_end|>", add_special_tokens=False)
        steps = {"min_global_steps": 3, "max_global_steps": 3 + len(self.prompts)}
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), num_preempted=0, extra_fields=steps)


def make(tokenizer, yaml: str, lines: list[str], **multi_turn):
    section = {
        "max_user_turns": None,
        "max_assistant_turns": None,
        "max_parallel_calls": 1,
        "max_tool_response_length": 400,
        "tool_response_truncate_side": "middle",
        "format": "hermes",
        **multi_turn,
    }
    rollout = {
        "multi_turn": section,
        "prompt_length": 1000,
        "response_length": 900,
        "full_determinism": False,
    }
    server = ScriptedServer(tokenizer, lines)
    loop = MedicalToolAgentLoop(
        trainer_config=DictConfigWrap(OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}})),
        server_manager=server,
        tokenizer=tokenizer,
        processor=None,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(OmegaConf.create({})),
        tools=ToolListWrap(load_all_tools(yaml, None)),
    )
    return loop, server


def call(query: str) -> str:
    arguments = {"name": "medical_search", "arguments": {"query": query}}
    return f"I look it up.<tool_call>\n{json.dumps(arguments)}\n</tool_call>"


QUESTION = {"raw_prompt": [{"role": "user", "content": "What lowers glucose?"}], "tools_kwargs": {}}


async def test_a_search_and_an_answer(tokenizer, yaml):
    loop, server = make(tokenizer, yaml, [call("glucose"), "<answer>metformin</answer>"])
    output = await loop.run({}, **QUESTION)
    assert "<document> [s, RCT] Metformin. Metformin lowers" in server.prompts[1].replace("rct", "RCT")
    (turn,) = turns_from_json(output.extra_fields["searches"])
    assert (turn.query, turn.shown, turn.outcome) == ("glucose", ("d1",), "ok")
    assert output.extra_fields["forged"] is False
    assert output.extra_fields["truncated"] is output.extra_fields["prefill_think"] is False
    # weight versions: of the first call and of the last, as verl's metrics want them
    assert output.extra_fields["min_global_steps"] == 3
    assert output.extra_fields["max_global_steps"] == 5
    generated = tokenizer.decode(list(compress(output.response_ids, output.response_mask)))
    assert generated == call("glucose") + "<|im_end|><answer>metformin</answer><|im_end|>"
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    text = tokenizer.decode(output.response_ids, skip_special_tokens=True)
    assert parse(text).answer == "metformin"
    assert parse(text).documents == ("[s, rct] Metformin. Metformin lowers glucose in diabetes.",)


async def test_a_chat_template_may_open_the_think_region(yaml):
    opening = byte_tokenizer()
    opening.chat_template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    loop, _ = make(opening, yaml, ["so</think><answer>insulin</answer>"])
    assert (await loop.run({}, **QUESTION)).extra_fields["prefill_think"] is True


async def test_no_search_is_recorded_as_none(tokenizer, yaml):
    loop, _ = make(tokenizer, yaml, ["<answer>insulin</answer>"])
    output = await loop.run({}, **QUESTION)
    assert output.extra_fields["searches"] == "[]"
    assert output.extra_fields["forged"] is False


@pytest.mark.parametrize("forgery", ["<document> I read that … </document>", "so </document> it is"])
async def test_a_document_of_the_models_own_is_forged(tokenizer, yaml, forgery):
    loop, _ = make(tokenizer, yaml, [call("glucose"), f"{forgery}<answer>insulin</answer>"])
    output = await loop.run({}, **QUESTION)
    assert output.extra_fields["forged"] is True


async def test_documents_never_end_the_trajectory(tokenizer, yaml):
    long = "I think about it. " * 34  # leaves fewer tokens than the document has characters
    loop, _ = make(tokenizer, yaml, [long + call("glucose"), "<answer>a</answer>"])
    output = await loop.run({}, **QUESTION)
    text = tokenizer.decode(output.response_ids, skip_special_tokens=True)
    assert parse(text).answer == "a"
    (turn,) = turns_from_json(output.extra_fields["searches"])
    assert turn.shown == ()
    assert turn.hits


async def test_the_stage_sets_the_limit_of_its_samples(tokenizer, yaml):
    loop, server = make(tokenizer, yaml, [call("glucose"), "<answer>a</answer>"])
    output = await loop.run({}, **QUESTION, extra_info={"max_searches": 0})
    assert turns_from_json(output.extra_fields["searches"])[0].outcome == "limit"
    assert "search limit reached" in server.prompts[1]


def test_a_configuration_that_would_cut_documents_is_refused(tokenizer, yaml):
    with pytest.raises(UserError, match=r"max_tool_response_length is 256 characters.*400"):
        make(tokenizer, yaml, [], max_tool_response_length=256)
