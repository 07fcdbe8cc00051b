"""Agent loops of a rehearsal: the engine generates, and a script replaces its output.

A model of random weights never searches. In a rehearsal (`recipe.rehearsal`) three of four trajectories follow a
script instead: search and answer right, search and answer wrong, answer right at once; the fourth is the model's
own. So searches, documents, masks, the judge and every part of the reward see what a trained model gives them.
verl finds these loops through `actor_rollout_ref.rollout.agent.agent_loop_config_path`, under the names of the real
ones, which they extend and do not change.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput

from medr3_plugin.environment.agent_loop import SearchAgentLoop
from medr3_plugin.environment.rendering import opens_think
from medr3_plugin.environment.tool_loop import MedicalToolAgentLoop
from medr3_plugin.trajectory import SEARCH_CLOSE, SEARCH_OPEN, THINK_OPEN

ENGINE_TOKENS = 8
"""Tokens that the engine generates in each call before the script takes its place."""

OWN_TOKENS = 48
"""Most tokens of a call of an unscripted trajectory, which would not end by itself."""

_rollout = itertools.count()


class _ScriptedClient:
    """verl's server client, with the engine's output replaced by the next text of the script."""

    def __init__(self, client: Any, tokenizer: Any, texts: Sequence[str]) -> None:
        self._client = client
        self._tokenizer = tokenizer
        self._texts = list(texts)
        self._scripted = bool(texts)
        self._first = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: Mapping[str, Any], **rest: Any
    ) -> Any:
        limit = ENGINE_TOKENS if self._scripted else OWN_TOKENS
        asked = dict(sampling_params)
        asked["max_tokens"] = min(limit, asked.get("max_tokens") or limit)
        output = await self._client.generate(
            request_id=request_id, prompt_ids=prompt_ids, sampling_params=asked, **rest
        )
        if not self._scripted:
            return output
        text = self._texts.pop(0) if self._texts else ""
        if self._first and not opens_think(prompt_ids, self._tokenizer):
            text = THINK_OPEN + text
        self._first = False
        output.token_ids = self._tokenizer.encode(text, add_special_tokens=False)
        if not text.endswith(SEARCH_CLOSE):
            output.token_ids.append(self._tokenizer.eos_token_id)
        if output.log_probs is not None:
            # about what a model of random weights gives every token
            output.log_probs = [-math.log(len(self._tokenizer))] * len(output.token_ids)
        output.stop_reason = "completed"
        return output


def script(row: Mapping[str, Any], *, searches: bool) -> tuple[str, str] | tuple[()]:
    """A query and the text after its documents, for one trajectory; ("", text) without a search, () for none.

    Args:
        row: verl's columns of the sample.
        searches: whether the stage allows any.
    """
    kind = next(_rollout) % 4
    if kind == 3:
        return ()
    info = row.get("extra_info") or {}
    gold = str((row.get("reward_model") or {}).get("ground_truth", ""))
    question = str(info.get("original_question") or info.get("question") or gold)
    said = "a different condition" if kind == 1 else gold
    query = "" if kind == 2 or not searches else " ".join(question.split()[:12])
    return query, f"The evidence speaks for {said}.</think><answer>{said}</answer>"


class ScriptedSearchLoop(SearchAgentLoop):
    """`medr3_search` under a script."""

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> AgentLoopOutput:
        """See `SearchAgentLoop.run`."""
        limit = (kwargs.get("extra_info") or {}).get("max_searches")
        texts: list[str] = []
        if told := script(kwargs, searches=(self.settings.max_searches if limit is None else limit) > 0):
            query, end = told
            texts = [f"I look it up. {SEARCH_OPEN} {query} {SEARCH_CLOSE}", end] if query else [end]
        self.server_manager: Any = _ScriptedClient(self.server_manager, self.tokenizer, texts)
        return await super().run(sampling_params, priority, **kwargs)


class ScriptedToolLoop(MedicalToolAgentLoop):
    """`medr3_tool` under a script; calls in the form that verl calls `hermes`."""

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> AgentLoopOutput:
        """See `MedicalToolAgentLoop.run`."""
        texts: list[str] = []
        if told := script(kwargs, searches=True):
            query, end = told
            call = json.dumps({"name": "medical_search", "arguments": {"query": query}}, ensure_ascii=False)
            first = f"I look it up.</think>\n<tool_call>\n{call}\n</tool_call>"
            texts = [first, THINK_OPEN + end] if query else [end]
        self.server_manager: Any = _ScriptedClient(self.server_manager, self.tokenizer, texts)
        return await super().run(sampling_params, priority, **kwargs)
