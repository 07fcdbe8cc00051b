"""The same trajectory in tags and as tool calls has the same record: both loops whole, then the reward manager."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import compress
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

import numpy as np  # noqa: E402
from byte_tokenizer import byte_tokenizer  # noqa: E402
from loops import ABORTED, OPENS_THINK, Backend, Server, call, config, loop  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from verl import DataProto  # noqa: E402

from medr3_plugin.environment import agent_loop, tool  # noqa: E402
from medr3_plugin.environment.agent_loop import SearchAgentLoop  # noqa: E402
from medr3_plugin.environment.tool_loop import MedicalToolAgentLoop  # noqa: E402
from medr3_plugin.errors import UserError  # noqa: E402
from medr3_plugin.records import Sample  # noqa: E402
from medr3_plugin.retrieval.protocol import turns_from_json  # noqa: E402
from medr3_plugin.rewards.score_rows import read_rows  # noqa: E402
from medr3_plugin.rewards.scorer import build_scorer  # noqa: E402
from medr3_plugin.runs.files import TRAIN, Labels  # noqa: E402
from medr3_plugin.runs.reader import read_run  # noqa: E402
from medr3_plugin.runs.report.tiles import by_stage  # noqa: E402
from medr3_plugin.runs.step_metrics import StepSample, step_metrics  # noqa: E402
from medr3_plugin.runs.writer import RunWriter  # noqa: E402
from medr3_plugin.verl_adapters.reward_manager import Medr3RewardManager  # noqa: E402

LOOPS = [SearchAgentLoop, MedicalToolAgentLoop]
REFERENCE = {
    "triples": [["metformin", "lowers", "hepatic glucose production", True]],
    "text": "Metformin lowers hepatic glucose production.",
}
ROW = {
    "data_source": "own",
    "reward_model": {"ground_truth": "Metformin", "style": "rule"},
    "raw_prompt": [{"role": "user", "content": "Which drug lowers glucose in diabetes?"}],
    "extra_info": {
        "id": "q1",
        "question": "Which drug lowers glucose in diabetes?",
        "answers": ["Metformin"],
        "gold_docs": ["d1"],
        "references": json.dumps([REFERENCE]),
        "options": "",
    },
}


def as_row(stage: str, info: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**ROW, "extra_info": {**ROW["extra_info"], "stage": stage, **(info or {})}}


async def rolled_out(
    cls, tokenizer, segments: list[str | None], stage: str = "joint", *, info: dict[str, Any] | None = None,
    **settings: Any,
) -> Any:  # fmt: skip
    """What a loop makes of the segments; `info` goes into the row's `extra_info`."""
    made = loop(cls, Server(tokenizer, segments), **settings)
    return await made.run({}, **as_row(stage, info), tools_kwargs={})


async def record(output, tokenizer, stage: str, details: list[StepSample] | None = None) -> dict[str, Any]:
    """What verl's reward worker is told of a rollout, and what it answers; `details` gets what the trainer sees."""
    ids = torch.tensor([output.response_ids])
    columns = {}
    for key, value in {**as_row(stage), "tool_extra_fields": output.extra_fields}.items():
        columns[key] = np.empty(1, dtype=object)
        columns[key][0] = value
    batch = TensorDict(
        {"prompts": torch.zeros(1, 1), "responses": ids, "attention_mask": torch.ones(1, 1 + ids.shape[1])},
        batch_size=1,
    )
    data = DataProto(batch=batch, non_tensor_batch=columns)
    told = await Medr3RewardManager(config(), tokenizer).run_single(data)
    info = told["reward_extra_info"]
    if details is not None:
        details.append(StepSample.from_reward_extra_info("group", info, told["reward_score"]))
    return {key: value for key, value in info.items() if key != "detail"}


@dataclass
class Pair:
    """What the model generates, call by call, in each protocol."""

    tags: list[str]
    tools: list[str]

    def said(self, cls) -> list[str]:
        return self.tags if cls is SearchAgentLoop else self.tools


def searched(*thoughts: str, queries: list[str], answer: str = "<answer>Metformin</answer>") -> Pair:
    """A thought, a search, …, a last thought and the answer."""
    tags = [f"{thought}<search>{query}</search>" for thought, query in zip(thoughts, queries, strict=False)]
    tags = [f"<think>{tags[0]}", *tags[1:], f"{thoughts[-1]}</think>{answer}"]
    tools = [
        f"<think>{thought}</think>\n\n{call(query)}"
        for thought, query in zip(thoughts, queries, strict=False)
    ]
    return Pair(tags, [*tools, f"<think>{thoughts[-1]}</think>\n\n{answer}"])


A = "I do not know which drug lowers it."
B = "The document says that metformin lowers hepatic glucose production, so it is metformin."
PAIRS = {
    "no search": Pair(
        [f"<think>{B}</think><answer>Metformin</answer>"] * 1,
        [f"<think>{B}</think>\n<answer>Metformin</answer>"],
    ),
    "a search": searched(A, B, queries=["glucose"]),
    "a wrong answer": searched(A, B, queries=["glucose"], answer="<answer>Insulin</answer>"),
    "two searches": searched(A, "Not that one.", B, queries=["cholesterol", "glucose"]),
    "nothing new": searched(A, "Again.", B, queries=["glucose", "glucose diabetes"]),
    "nothing found": searched(A, B, queries=["zebra"]),
    "over the limit": searched(A, "Go on.", "And on.", B, queries=["diuretic", "cholesterol", "glucose"]),
    "no query": searched(A, B, queries=[" "]),
    "a failure": searched(A, B, queries=["down"]),
    "tags in the query": searched(
        A, "More.", B, queries=["glucose <think> x", "zebra </think><answer>x</answer>"]
    ),
    "no answer": searched(A, B, queries=["glucose"], answer=""),
    "two answers": searched(
        A, B, queries=["glucose"], answer="<answer>Insulin</answer><answer>Metformin</answer>"
    ),
    "the query's words used afterwards": searched(
        A, "Hepatic production.", queries=["glucose hepatic production"]
    ),
    "a forged document": searched(A, f"<document>Metformin works.</document>{B}", queries=["glucose"]),
    "a call before any thought": Pair(
        ["<think><search>glucose</search>", f"{B}</think><answer>Metformin</answer>"],
        [call("glucose"), f"<think>{B}</think><answer>Metformin</answer>"],
    ),
    "a call inside the thought": Pair(
        [f"<think>{A}<search>glucose</search>", f"{B}</think><answer>Metformin</answer>"],
        [f"<think>{A}{call('glucose')}", f"{B}</think><answer>Metformin</answer>"],
    ),
    "no thought after the search": Pair(
        [f"<think>{A}<search>glucose</search>", "</think><answer>Metformin</answer>"],
        [f"<think>{A}</think>{call('glucose')}", "<answer>Metformin</answer>"],
    ),
    "words outside": Pair(
        [f"<think>{A}<search>glucose</search>", f"{B}</think>It is clear. <answer>Metformin</answer>"],
        [
            f"<think>{A}</think>{call('glucose')}",
            f"<think>{B}</think>It is clear. <answer>Metformin</answer>",
        ],
    ),
    "never a thought": Pair(
        ["<search>glucose</search>", "<answer>Metformin</answer>"],
        [call("glucose"), "<answer>Metformin</answer>"],
    ),
}


@pytest.fixture
def backend():
    return Backend()


@pytest.fixture
def tokenizer(monkeypatch, backend):
    for module in (agent_loop, tool):
        monkeypatch.setattr(module, "make_backend", lambda _: backend)
    return byte_tokenizer()


@pytest.mark.parametrize("stage", ["reasoning", "retrieval", "joint"])
@pytest.mark.parametrize("name", PAIRS)
async def test_the_record_is_the_same(tokenizer, name, stage):
    tags, calls = [
        await record(await rolled_out(cls, tokenizer, PAIRS[name].said(cls), stage), tokenizer, stage)
        for cls in LOOPS
    ]
    assert calls == pytest.approx(tags, abs=1e-9)
    malformed = {"no answer", "two answers", "a forged document", "words outside", "never a thought"}
    assert calls["format"] == float(name not in malformed)
    assert calls["valid"] == float(name != "a failure")


@pytest.mark.parametrize("cls", LOOPS)
async def test_query_gain_from_the_search_to_the_report(tokenizer, backend, cls, tmp_path):
    """The bare question finds the gold document first: the first query is worse by all of it, the second as good."""
    pair = searched(A, "Not that one.", B, queries=["diuretic", "glucose"])
    samples: list[StepSample] = []
    for _ in range(3):
        output = await rolled_out(cls, tokenizer, pair.said(cls))
        assert output.extra_fields["query_gain"] == [-1.0, 0.0]
        assert ROW["extra_info"]["question"] not in output.extra_fields["searches"]
        with_metric = await record(output, tokenizer, "joint", samples)
    question = ROW["extra_info"]["question"]
    assert backend.asked.count(question) == 1  # for the whole group
    output = await rolled_out(cls, tokenizer, pair.said(cls), query_gain=False)
    assert await record(output, tokenizer, "joint") == with_metric and output.extra_fields["query_gain"] == []
    assert backend.asked.count(question) == 1

    writer = RunWriter(tmp_path)
    for step, stage in enumerate(("retrieval", "joint"), 1):
        writer.append_metrics(Labels(step, stage, 1, TRAIN), step_metrics(samples))
    written = [json.loads(line) for line in (tmp_path / "metrics.jsonl").open()]
    assert [line["search/query_gain"] for line in written] == [-0.5, -0.5]
    stages = by_stage(read_run(tmp_path))
    assert [(s["name"], s["values"]["query gain"]["last"]) for s in stages] == [
        ("retrieval", -0.5),
        ("joint", -0.5),
    ]


@pytest.mark.parametrize("cls", LOOPS)
async def test_query_gain_needs_gold_documents_and_no_working_search(tokenizer, backend, cls):
    said = PAIRS["a search"].said(cls)
    output = await rolled_out(cls, tokenizer, said, info={"gold_docs": []})
    assert output.extra_fields["query_gain"] == [] and backend.asked == ["glucose"]
    # its search fails, the model's does not
    output = await rolled_out(cls, tokenizer, said, info={"question": "What goes down?"})
    told = await record(output, tokenizer, "joint")
    assert output.extra_fields["query_gain"] == [] and told["valid"] == 1


OTHER_TOOL = json.dumps({"name": "calculator", "arguments": {"of": "<answer>Metformin</answer>"}})
AGAIN = {
    **PAIRS,
    "aborted": Pair([ABORTED], [ABORTED]),
    "aborted after a search": Pair(
        [f"<think>{A}<search>glucose</search>", ABORTED], [f"<think>{A}</think>{call('glucose')}", ABORTED]
    ),
    "an answer in another tool's text": Pair(
        [f"<think>{A}</think>"],
        [f"<think>{A}</think><tool_call>\n{OTHER_TOOL}\n</tool_call>", f"<think>{B}</think>"],
    ),
}


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("cls", LOOPS)
async def test_a_run_folders_rows_are_scored_again_as_they_were(tokenizer, tmp_path, cls, opened):
    if opened:
        tokenizer.chat_template = OPENS_THINK
    samples: list[StepSample] = []
    texts = []
    for pair in AGAIN.values():
        said = [s.removeprefix("<think>") if s and opened else s for s in pair.said(cls)]
        output = await rolled_out(cls, tokenizer, said)
        await record(output, tokenizer, "joint", samples)
        texts.append(tokenizer.decode(output.response_ids, skip_special_tokens=True))
    places = range(len(samples))
    RunWriter(tmp_path).append_trajectories(Labels(1, "joint", 1, TRAIN), samples, places, texts)
    again = [row for row in read_rows(tmp_path / "trajectories.jsonl", "joint") if isinstance(row, Sample)]
    scored = await build_scorer({}).score(again)
    for name, before, after in zip(AGAIN, samples, scored, strict=True):
        without_references = {
            k: v for k, v in before.record.items() if not k.startswith(("reasoning", "coord"))
        }
        del without_references["score"]
        assert {k: after.record[k] for k in without_references} == pytest.approx(without_references), name


async def test_searching_costs_nothing(tokenizer):
    """The same words with and without a search: what a group of samples compares."""
    scores = {}
    for name in ("no search", "nothing found"):
        output = await rolled_out(MedicalToolAgentLoop, tokenizer, PAIRS[name].tools, "reasoning")
        scores[name] = await record(output, tokenizer, "reasoning")
    assert scores["nothing found"]["penalty_format"] == scores["no search"]["penalty_format"] == 0
    assert scores["nothing found"]["score"] >= scores["no search"]["score"] - 1e-9


async def test_a_query_is_no_use_of_a_document(tokenizer):
    pair = searched(
        "Hm.",
        "So it is.",
        queries=["glucose hepatic production metformin"],
        answer="<answer>Insulin</answer>",
    )
    output = await rolled_out(MedicalToolAgentLoop, tokenizer, pair.tools, "retrieval")
    told = await record(output, tokenizer, "retrieval")
    assert told["documents"] == 1 and told["retrieval_utilisation"] == 0


async def test_a_template_that_opens_the_think_region(tokenizer):
    tokenizer.chat_template = OPENS_THINK
    end = f"{B}</think><answer>Metformin</answer>"
    first = {
        SearchAgentLoop: f"{A}<search>glucose</search>",
        MedicalToolAgentLoop: f"{A}</think>{call('glucose')}",
    }
    outputs = [await rolled_out(cls, tokenizer, [said, end]) for cls, said in first.items()]
    assert all(output.extra_fields["prefill_think"] is True for output in outputs)
    tags, calls = [await record(output, tokenizer, "joint") for output in outputs]
    assert calls == pytest.approx(tags, abs=1e-9) and calls["format"] == 1


@pytest.mark.parametrize("cls", LOOPS)
async def test_a_stage_sets_sampling_and_limit_in_both(tokenizer, cls):
    server = Server(tokenizer, PAIRS["a search"].said(cls))
    row = as_row("joint", {"sampling": {"temperature": 0.3, "top_p": 0.8}, "max_searches": 0})
    sampling = {"temperature": 1.0, "top_p": 1.0, "logprobs": True}
    output = await loop(cls, server).run(sampling, **row, tools_kwargs={})
    assert [(s["temperature"], s["top_p"], s["logprobs"]) for s in server.sampling] == [(0.3, 0.8, True)] * 2
    assert '"outcome": "limit"' in output.extra_fields["searches"]
    assert "search limit reached" in tokenizer.decode(server.prompts[1])


@pytest.mark.parametrize("cls", LOOPS)
async def test_an_aborted_generation_is_a_failure(tokenizer, cls):
    output = await rolled_out(cls, tokenizer, [ABORTED])
    assert len(output.response_ids) == len(output.response_mask) == 1 and not any(output.response_mask)
    told = await record(output, tokenizer, "joint")
    assert told["valid"] == 0 and told["score"] == 0


@pytest.mark.parametrize("cls", LOOPS)
async def test_tokens_past_a_stop_string_are_cut(tokenizer, cls):
    class Overruns(Server):
        async def generate(self, *args, **kwargs):
            said = await super().generate(*args, **kwargs)
            more = self.tokenizer.encode(" and on</answer>", add_special_tokens=False)
            said.token_ids += more
            said.log_probs += [-9.0] * len(more)
            return said

    made = loop(cls, Overruns(tokenizer, ["<think>x<document>made up"]))
    output = await made.run({}, **as_row("joint"), tools_kwargs={})
    assert output.extra_fields["forged"]
    assert tokenizer.decode(output.response_ids) == "<think>x<document>"
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    assert set(output.response_logprobs) == {-0.5}


@pytest.mark.parametrize("cls", LOOPS)
async def test_an_answer_past_the_response_length_is_none(tokenizer, cls):
    """verl lets a turn run past it where the prompt is shorter than it may be, and cuts the tokens only."""
    pair = searched(A, f"{B}{' So it is.' * 60}", queries=["glucose"])
    output = await rolled_out(cls, tokenizer, pair.said(cls), response_length=700)
    assert len(output.response_ids) == 700 and output.extra_fields["truncated"]
    told = await record(output, tokenizer, "joint")
    assert (told["acc"], told["searches"], told["documents"]) == (0, 1, 1)


async def test_tokens_of_tool_calls_are_kept_as_they_were_generated(tokenizer):
    said = PAIRS["a search"].tools
    output = await rolled_out(MedicalToolAgentLoop, tokenizer, said)
    generated = tokenizer.decode(list(compress(output.response_ids, output.response_mask)))
    assert generated == "".join(f"{segment}<|im_end|>" for segment in said)
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    # weight versions: of the first call and of the last, as verl's metrics want them
    assert (output.extra_fields["min_global_steps"], output.extra_fields["max_global_steps"]) == (1, 2)
    assert output.extra_fields["truncated"] is output.extra_fields["prefill_think"] is False


async def test_documents_never_end_a_trajectory_of_tool_calls(tokenizer):
    long = "I think about it. " * 35  # leaves fewer tokens than the document has characters
    said = [f"{long}{call('glucose')}", "<answer>a</answer>"]
    output = await rolled_out(
        MedicalToolAgentLoop, tokenizer, said, response_length=900, answer_reserve=150, response_chars=400
    )
    assert "<answer>a</answer>" in tokenizer.decode(output.response_ids)
    (turn,) = turns_from_json(output.extra_fields["searches"])
    assert turn.hits and turn.shown == ()


def test_a_configuration_in_which_verl_would_cut_documents_is_refused(tokenizer):
    with pytest.raises(UserError, match=r"max_tool_response_length.*4000.*5000"):
        loop(MedicalToolAgentLoop, Server(tokenizer, []), response_chars=5000)
