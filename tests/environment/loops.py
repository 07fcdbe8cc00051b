"""Both agent loops whole: a scripted model with a byte tokenizer, and a backend that knows three documents."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
from byte_tokenizer import TEMPLATE
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

from medr3_plugin.environment.tool import MedicalSearchTool
from medr3_plugin.environment.tool_loop import MedicalToolAgentLoop
from medr3_plugin.errors import RetrievalFailure
from medr3_plugin.records import Document, Hit

LIBRARY = {
    "glucose": ("d1", "Metformin", "Metformin lowers hepatic glucose production in type 2 diabetes.", 6),
    "cholesterol": ("d2", "Statins", "Statins lower cholesterol by inhibiting HMG-CoA reductase.", 9),
    "diuretic": ("d3", "Furosemide", "Furosemide blocks sodium chloride transport in the loop of Henle.", 3),
}
ENVIRONMENT = {"topk": 2, "max_searches": 2, "answer_reserve": 100, "document_template": "{title}. {text}"}
ABORTED = None
OPENS_THINK = TEMPLATE.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")


class Backend:
    """Finds by word; fails for `down`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def search(self, queries, topk):
        self.asked += queries
        await asyncio.sleep(0)
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
    """Says a segment per call, as vLLM behind verl's server: cut at a stop string, and parameters are taken out."""

    def __init__(
        self, tokenizer, segments: list[str | None], *, log_probs: bool = True, experts: bool = False
    ) -> None:
        self.tokenizer, self.segments = tokenizer, list(segments)
        self.log_probs, self.experts = log_probs, experts
        self.requests: list[str] = []
        self.prompts: list[list[int]] = []
        self.sampling: list[dict[str, Any]] = []

    async def generate(self, request_id, prompt_ids, sampling_params, **_):
        self.requests.append(request_id)
        self.prompts.append(list(prompt_ids))
        self.sampling.append(dict(sampling_params))
        room = sampling_params.pop("max_tokens", None)
        await asyncio.sleep(0)
        text = self.segments.pop(0)
        version = len(self.prompts)
        steps = {"global_steps": version, "min_global_steps": version, "max_global_steps": version}
        if text is ABORTED:
            return TokenOutput(token_ids=[], log_probs=None, stop_reason="aborted", extra_fields=steps)
        ends = [text.find(stop) + len(stop) for stop in sampling_params["stop"] if stop in text]
        ids = self.tokenizer.encode(text[: min(ends, default=len(text))], add_special_tokens=False)
        ids = [*ids, *([] if ends else [self.tokenizer.eos_token_id])][:room]
        return TokenOutput(
            token_ids=ids,
            log_probs=[-0.5 * version] * len(ids) if self.log_probs else None,
            routed_experts=np.full((len(prompt_ids) + len(ids) - 1, 1, 1), version) if self.experts else None,
            num_preempted=1,
            extra_fields=steps,
        )


def config(*, prompt_length: int = 1000, response_length: int = 3000, **environment: Any) -> Any:
    multi_turn = {
        "max_user_turns": None,
        "max_assistant_turns": 8,
        "max_parallel_calls": 1,
        "max_tool_response_length": 4000,
        "tool_response_truncate_side": "middle",
        "format": "hermes",
    }
    rollout = {"multi_turn": multi_turn, "prompt_length": prompt_length, "response_length": response_length}
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


def loop(cls, server: Any, *, response_chars: int = 4000, **settings: Any) -> Any:
    """A loop over `server`; settings of the environment, `prompt_length` and `response_length` by name."""
    tool = {"document_chars": 2000, "response_chars": response_chars, "retrieval": {}}
    return cls(
        trainer_config=DictConfigWrap(config(**settings)),
        server_manager=server,
        tokenizer=server.tokenizer,
        processor=None,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(OmegaConf.create({})),
        tools=ToolListWrap([MedicalSearchTool(tool)]) if cls is MedicalToolAgentLoop else None,
    )


def call(query: str) -> str:
    arguments = {"name": "medical_search", "arguments": {"query": query}}
    return f"<tool_call>\n{json.dumps(arguments)}\n</tool_call>"
