"""The same trajectory in tags and as tool calls has the same record: both loops whole, then the reward manager."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

import numpy as np  # noqa: E402
from byte_tokenizer import TEMPLATE, byte_tokenizer  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from verl import DataProto  # noqa: E402
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap  # noqa: E402
from verl.utils.dataset.rl_dataset import RLHFDataset  # noqa: E402
from verl.workers.rollout.replica import TokenOutput  # noqa: E402

from medr3_plugin.environment import agent_loop, tool  # noqa: E402
from medr3_plugin.environment.agent_loop import SearchAgentLoop  # noqa: E402
from medr3_plugin.environment.tool import MedicalSearchTool  # noqa: E402
from medr3_plugin.environment.tool_loop import MedicalToolAgentLoop  # noqa: E402
from medr3_plugin.errors import RetrievalFailure  # noqa: E402
from medr3_plugin.records import Document, Hit  # noqa: E402
from medr3_plugin.runs.files import TRAIN, Labels  # noqa: E402
from medr3_plugin.runs.reader import read_run  # noqa: E402
from medr3_plugin.runs.report.tiles import by_stage  # noqa: E402
from medr3_plugin.runs.step_metrics import StepSample, step_metrics  # noqa: E402
from medr3_plugin.runs.writer import RunWriter  # noqa: E402
from medr3_plugin.verl_adapters.reward_manager import Medr3RewardManager  # noqa: E402

LIBRARY = {
    "glucose": ("d1", "Metformin", "Metformin lowers hepatic glucose production in type 2 diabetes.", 6),
    "cholesterol": ("d2", "Statins", "Statins lower cholesterol by inhibiting HMG-CoA reductase.", 9),
    "diuretic": ("d3", "Furosemide", "Furosemide blocks sodium chloride transport in the loop of Henle.", 3),
}
REFERENCE = {
    "triples": [["metformin", "lowers", "hepatic glucose production", True]],
    "text": "Metformin lowers hepatic glucose production.",
}
ENVIRONMENT = {"topk": 2, "max_searches": 2, "answer_reserve": 100, "document_template": "{title}. {text}"}


class Backend:
    """Finds by word; fails for `down`."""

    asked: list[str]

    def __init__(self) -> None:
        self.asked = []

    async def search(self, queries, topk):
        self.asked += queries
        if "down" in queries[0]:
            raise RetrievalFailure("no answer", "timeout")
        found = [LIBRARY[word] for word in LIBRARY if word in queries[0]]
        return [
            [
                Hit(Document(identity, text, title, source="s", evidence_level=level), 1.0)
                for identity, title, text, level in found[:topk]
            ]
        ]


class Server:
    """Says one segment per call, cut at the first stop string as vLLM does."""

    def __init__(self, tokenizer, segments: list[str]) -> None:
        self.tokenizer, self.segments, self.sampling = tokenizer, list(segments), []

    async def generate(self, request_id, prompt_ids, sampling_params, **_):
        self.sampling.append(dict(sampling_params))
        text = self.segments.pop(0)
        ends = [text.find(stop) + len(stop) for stop in sampling_params["stop"] if stop in text]
        text = text[: min(ends)] if ends else text + "<|im_end|>"
        ids = self.tokenizer.encode(text, add_special_tokens=False)
        steps = {"min_global_steps": 1, "max_global_steps": 1}
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), num_preempted=0, extra_fields=steps)


def config(**environment: Any) -> Any:
    multi_turn = {
        "max_user_turns": None,
        "max_assistant_turns": 8,
        "max_parallel_calls": 1,
        "max_tool_response_length": 4000,
        "tool_response_truncate_side": "middle",
        "format": "hermes",
    }
    rollout = {"multi_turn": multi_turn, "prompt_length": 1000, "response_length": 3000}
    return OmegaConf.create(
        {
            "medr3": {
                "environment": {**ENVIRONMENT, **environment},
                "retrieval": {},
                "stages": [{"name": name} for name in ("reasoning", "retrieval", "joint")],
                "reward": {"extractor": {"kind": "lexicon"}},
            },
            "actor_rollout_ref": {"rollout": {**rollout, "full_determinism": False}},
        }
    )


def loop(cls, tokenizer, segments: list[str], **environment: Any):
    settings = {**ENVIRONMENT, "document_chars": 2000, "response_chars": 4000, "retrieval": {}}
    tools = ToolListWrap([MedicalSearchTool(settings)]) if cls is MedicalToolAgentLoop else None
    server = Server(tokenizer, segments)
    made = cls(
        trainer_config=DictConfigWrap(config(**environment)),
        server_manager=server,
        tokenizer=tokenizer,
        processor=None,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(OmegaConf.create({})),
        tools=tools,
    )
    return made, server


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


def as_row(stage: str) -> dict[str, Any]:
    return {**ROW, "extra_info": {**ROW["extra_info"], "stage": stage}}


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


def call(query: str) -> str:
    arguments = {"name": "medical_search", "arguments": {"query": query}}
    return f"<tool_call>\n{json.dumps(arguments)}\n</tool_call>"


@dataclass
class Pair:
    """What the model generates, call by call, in each protocol."""

    tags: list[str]
    tools: list[str]


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
    in_tags, _ = loop(SearchAgentLoop, tokenizer, PAIRS[name].tags)
    in_calls, _ = loop(MedicalToolAgentLoop, tokenizer, PAIRS[name].tools)
    row = as_row(stage)
    tags = await record(await in_tags.run({}, **row), tokenizer, stage)
    calls = await record(await in_calls.run({}, **row, tools_kwargs={}), tokenizer, stage)
    assert calls == pytest.approx(tags, abs=1e-9)
    well_formed = name not in (
        "no answer",
        "two answers",
        "a forged document",
        "words outside",
        "never a thought",
    )
    assert calls["format"] == float(well_formed)
    assert calls["valid"] == float(name != "a failure")


@pytest.mark.parametrize("cls", [SearchAgentLoop, MedicalToolAgentLoop])
async def test_query_gain_from_the_search_to_the_report(tokenizer, backend, cls, tmp_path):
    """The bare question finds the gold document first: the first query is worse by all of it, the second as good."""
    pair = searched(A, "Not that one.", B, queries=["diuretic", "glucose"])
    segments = pair.tags if cls is SearchAgentLoop else pair.tools
    samples: list[StepSample] = []
    for _ in range(3):
        made, _ = loop(cls, tokenizer, segments)
        output = await made.run({}, **as_row("joint"), tools_kwargs={})
        assert output.extra_fields["query_gain"] == [-1.0, 0.0]
        assert ROW["extra_info"]["question"] not in output.extra_fields["searches"]
        with_metric = await record(output, tokenizer, "joint", samples)
    question = ROW["extra_info"]["question"]
    assert backend.asked.count(question) == 1  # for the whole group
    made, _ = loop(cls, tokenizer, segments, query_gain=False)
    output = await made.run({}, **as_row("joint"), tools_kwargs={})
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


@pytest.mark.parametrize("cls", [SearchAgentLoop, MedicalToolAgentLoop])
async def test_query_gain_needs_gold_documents_and_no_working_search(tokenizer, backend, cls):
    pair = PAIRS["a search"]
    segments = pair.tags if cls is SearchAgentLoop else pair.tools
    row = as_row("joint")
    row["extra_info"]["gold_docs"] = []
    made, _ = loop(cls, tokenizer, segments)
    output = await made.run({}, **row, tools_kwargs={})
    assert output.extra_fields["query_gain"] == [] and backend.asked == ["glucose"]
    row = as_row("joint")
    row["extra_info"]["question"] = "What goes down?"  # its search fails, the model's does not
    made, _ = loop(cls, tokenizer, segments)
    output = await made.run({}, **row, tools_kwargs={})
    told = await record(output, tokenizer, "joint")
    assert output.extra_fields["query_gain"] == [] and told["valid"] == 1


async def test_searching_costs_nothing(tokenizer):
    """The same words with and without a search: what a group of samples compares."""
    scores = {}
    for name in ("no search", "nothing found"):
        made, _ = loop(MedicalToolAgentLoop, tokenizer, PAIRS[name].tools)
        scores[name] = await record(
            await made.run({}, **as_row("reasoning"), tools_kwargs={}), tokenizer, "reasoning"
        )
    assert scores["nothing found"]["penalty_format"] == scores["no search"]["penalty_format"] == 0
    assert scores["nothing found"]["score"] >= scores["no search"]["score"] - 1e-9


async def test_a_query_is_no_use_of_a_document(tokenizer):
    pair = searched(
        "Hm.",
        "So it is.",
        queries=["glucose hepatic production metformin"],
        answer="<answer>Insulin</answer>",
    )
    made, _ = loop(MedicalToolAgentLoop, tokenizer, pair.tools)
    told = await record(await made.run({}, **as_row("retrieval"), tools_kwargs={}), tokenizer, "retrieval")
    assert told["documents"] == 1 and told["retrieval_utilisation"] == 0


async def test_a_template_that_opens_the_think_region(tokenizer):
    tokenizer.chat_template = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    made, _ = loop(
        MedicalToolAgentLoop,
        tokenizer,
        [f"{A}</think>{call('glucose')}", f"{B}</think><answer>Metformin</answer>"],
    )
    calls = await record(await made.run({}, **as_row("joint"), tools_kwargs={}), tokenizer, "joint")
    made, _ = loop(
        SearchAgentLoop, tokenizer, [f"{A}<search>glucose</search>", f"{B}</think><answer>Metformin</answer>"]
    )
    tags = await record(await made.run({}, **as_row("joint")), tokenizer, "joint")
    assert calls == pytest.approx(tags, abs=1e-9) and calls["format"] == 1


@pytest.mark.parametrize("cls", [SearchAgentLoop, MedicalToolAgentLoop])
async def test_a_stage_sets_sampling_and_limit_in_both(tokenizer, cls):
    pair = PAIRS["a search"]
    made, server = loop(cls, tokenizer, pair.tags if cls is SearchAgentLoop else pair.tools)
    row = as_row("joint")
    row["extra_info"] |= {"sampling": {"temperature": 0.3, "top_p": 0.8}, "max_searches": 0}
    output = await made.run({"temperature": 1.0, "top_p": 1.0, "logprobs": True}, **row, tools_kwargs={})
    assert [(s["temperature"], s["top_p"], s["logprobs"]) for s in server.sampling] == [(0.3, 0.8, True)] * 2
    assert '"outcome": "limit"' in output.extra_fields["searches"]


@pytest.mark.parametrize("cls", [SearchAgentLoop, MedicalToolAgentLoop])
async def test_an_aborted_generation_is_a_failure(tokenizer, cls):
    class Aborts:
        async def generate(self, **_):
            steps = {"min_global_steps": 1, "max_global_steps": 1}
            return TokenOutput(token_ids=[], log_probs=None, stop_reason="aborted", extra_fields=steps)

    made, _ = loop(cls, tokenizer, [])
    made.server_manager = Aborts()
    output = await made.run({}, **as_row("joint"), tools_kwargs={})
    assert len(output.response_ids) == len(output.response_mask) == 1 and not any(output.response_mask)
    told = await record(output, tokenizer, "joint")
    assert told["valid"] == 0 and told["score"] == 0


@pytest.mark.parametrize("cls", [SearchAgentLoop, MedicalToolAgentLoop])
async def test_tokens_past_a_stop_string_are_cut(tokenizer, cls):
    class Overruns(Server):
        async def generate(self, *args, **kwargs):
            said = await super().generate(*args, **kwargs)
            more = self.tokenizer.encode(" and on</answer>", add_special_tokens=False)
            said.token_ids += more
            said.log_probs += [-9.0] * len(more)
            return said

    forged = "<think>x<document>made up"
    made, _ = loop(cls, tokenizer, [])
    made.server_manager = Overruns(tokenizer, [forged])
    output = await made.run({}, **as_row("joint"), tools_kwargs={})
    assert output.extra_fields["forged"]
    assert tokenizer.decode(output.response_ids) == "<think>x<document>"
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    assert set(output.response_logprobs) == {-0.5}
