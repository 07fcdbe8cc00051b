"""`medical_search`, a verl tool: the tag protocol's retrieval for models that call tools by chat template.

Listed in the yaml at `rollout.multi_turn.tool_config_path` (`recipes/qwen3_8b_tools/tools.yaml`) and called by the
agent loop `medr3_tool` (`environment.tool_loop`), which tells it the tokenizer, the room left in the response and the
stage's search limit.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from medr3_plugin.environment.asking import ask
from medr3_plugin.environment.rendering import (
    MIN_DOCUMENT_TOKENS,
    Tokenizer,
    document_text,
    fit_block,
)
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.environment.tool_file import SEARCHES_NOWHERE, ToolSettings
from medr3_plugin.errors import UserError
from medr3_plugin.records import Hit, SearchTurn
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.protocol import turns_to_json
from medr3_plugin.trajectory import DOCUMENT_CLOSE, DOCUMENT_OPEN
from medr3_plugin.yaml_section import validated

_TOOL_TAG = re.compile(r"<(/?\s*tool_\w{1,20})\s*>", re.IGNORECASE)

max_searches: ContextVar[int | None] = ContextVar("max_searches", default=None)
"""The running trajectory's own search limit, set by `medr3_tool` if the stage stamped one on the sample."""

SCHEMA = {
    "type": "function",
    "function": {
        "name": "medical_search",
        "description": "Search the medical literature. Returns the passages that fit the query best.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What to look for, in plain words."}},
            "required": ["query"],
        },
    },
}
"""Used when the yaml gives no `tool_schema`."""


@dataclass
class _Trajectory:
    """State of one trajectory; the lock keeps parallel calls in order, so the record is deterministic."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    turns: list[SearchTurn] = field(default_factory=list)
    position: int = -1
    """Tokens of the response when the last call was answered."""
    unseen: int = 0
    """Tokens answered to calls at `position`: they join the response together, after the last one."""


@dataclass(frozen=True)
class Policy:
    """What `medr3_tool` knows about the calling model.

    Attributes:
        response_length: tokens that a response may have.
        frame_tokens: tokens that the chat template puts around one answer of the tool.
    """

    tokenizer: Tokenizer
    response_length: int
    frame_tokens: int


class MedicalSearchTool(BaseTool):
    """verl `BaseTool` over a `RetrievalBackend`.

    One instance serves all trajectories of an agent loop worker (and one only shows its schema to the
    dataset), so the constructor opens nothing. `policy` is set by `medr3_tool`: with it, documents hold no control
    token and never overflow the response, which would end the trajectory before the model saw them.
    """

    def __init__(self, config: dict[str, Any], tool_schema: OpenAIFunctionToolSchema | None = None) -> None:
        self.settings = validated(ToolSettings, config, "tools[medical_search].config")
        given = self.settings.retrieval
        self.backend = None if given is None else make_backend(given)
        self.environment = self.settings.over(EnvironmentSettings())
        self.policy: Policy | None = None
        self._trajectories: weakref.WeakKeyDictionary[Any, _Trajectory] = weakref.WeakKeyDictionary()
        super().__init__(config, tool_schema or OpenAIFunctionToolSchema.model_validate(SCHEMA))

    def attach(
        self, policy: Policy, environment: EnvironmentSettings, retrieval: dict[str, Any] | None
    ) -> None:
        """Take from the run's configuration what the tool's own section leaves open.

        Args:
            environment, retrieval: the sections `medr3.environment` and `medr3.retrieval`.

        Raises:
            UserError: neither section says where to search.
        """
        self.policy = policy
        self.environment = self.settings.over(environment)
        if self.backend is None:
            if retrieval is None:
                raise UserError(SEARCHES_NOWHERE)
            self.backend = make_backend(retrieval)

    async def execute(
        self,
        instance_id: str,  # noqa: ARG002 (verl's signature; state is kept by trajectory instead)
        parameters: dict[str, Any],
        **kwargs: Any,
    ) -> tuple[ToolResponse, float | None, dict[str, Any]]:
        """Answer one call; never raises because of the model or a service.

        verl drops the metrics that a tool returns, so every search is recorded in the trajectory's
        `extra_fields["searches"]`, in the form that the rewards read (`retrieval.protocol.turns_to_json`).

        Returns:
            The documents (or a neutral line), no reward of its own, and metrics that verl drops.
        """
        agent_data = kwargs["agent_data"]
        trajectory = self._trajectories.setdefault(agent_data, _Trajectory())
        async with trajectory.lock:
            if trajectory.position != len(agent_data.response_mask):
                trajectory.position, trajectory.unseen = len(agent_data.response_mask), 0
            turn, text = await self._search(parameters, trajectory)
            trajectory.turns.append(turn)
            if self.policy is not None:
                taken = len(self.policy.tokenizer.encode(text, add_special_tokens=False))
                trajectory.unseen += taken + self.policy.frame_tokens
            agent_data.extra_fields["searches"] = turns_to_json(trajectory.turns)
        return ToolResponse(text=text), None, {"outcome": turn.outcome, "query": turn.query}

    async def _search(self, parameters: Any, trajectory: _Trajectory) -> tuple[SearchTurn, str]:
        query = parameters.get("query") if isinstance(parameters, dict) else None
        # a call's JSON may escape half a surrogate pair: no file of the run could hold it
        query = query.strip().encode(errors="replace").decode() if isinstance(query, str) else ""
        limit = max_searches.get()
        if len(trajectory.turns) >= (self.environment.max_searches if limit is None else limit):
            return SearchTurn(query, outcome="limit"), _block(self.environment.limit_line)

        async def search(query: str) -> Sequence[Hit]:
            if self.backend is None:  # called by a loop that is not ours
                raise UserError("medical_search: set its `retrieval`, or use the agent loop medr3_tool")
            return (await self.backend.search([query], self.environment.topk))[0]

        turn, new, line = await ask(query, trajectory.turns, search, self.environment)
        if not new:
            return turn, _block(line)
        text, shown = self._render(new, trajectory)
        return replace(turn, shown=shown), text or _block(self.environment.limit_line)

    def _render(self, hits: Sequence[Hit], trajectory: _Trajectory) -> tuple[str, tuple[str, ...]]:
        """Documents in tags, best first, as many as there is room for."""
        blocks: list[str] = []
        shown: list[str] = []
        chars = self.settings.response_chars
        tokens = self._tokens_left(trajectory)
        frame = len(_block("")) + 1
        for hit in hits:
            text = _TOOL_TAG.sub(r"(\1)", document_text(hit.document, self.environment.document_template))
            text = _cut(text, min(self.settings.document_chars, chars - frame))
            block = _block(text) if text else ""
            if block and self.policy is not None:
                fits = tokens >= MIN_DOCUMENT_TOKENS
                block = fit_block(text, tokens, self.policy.tokenizer) if fits else ""
                tokens -= len(self.policy.tokenizer.encode(f"{block}\n", add_special_tokens=False))
            if not block:
                break
            blocks.append(block)
            shown.append(hit.document.id)
            chars -= len(block) + 1
        return "\n".join(blocks), tuple(shown)

    def _tokens_left(self, trajectory: _Trajectory) -> int:
        """Tokens that the answer may have."""
        if self.policy is None:
            return 0
        used = trajectory.position + trajectory.unseen + self.policy.frame_tokens
        return self.policy.response_length - used - self.environment.answer_reserve


def _block(text: str) -> str:
    # in document tags, as in the tag protocol: what the tool says is never the model's own reasoning
    return f"{DOCUMENT_OPEN} {text} {DOCUMENT_CLOSE}"


def _cut(text: str, chars: int) -> str:
    """At most `chars` characters of `text`, whole words; "" if a longer text would be left with under 40."""
    if len(text) <= chars:
        return text
    if chars < 40:
        return ""
    return text[: chars + 1].rsplit(" ", 1)[0][:chars].rstrip(" ,;:(")
