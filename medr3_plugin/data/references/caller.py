"""Asking a model for one step: the journal of paid replies first, then the endpoint.

The journal is a store of replies (`llm.store`), so a run that is killed and restarted, or two runs at a time, pay once.
A reply is identified by everything that determines it: step, model, messages, parameters and number of the attempt.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from medr3_plugin.data.questions.prompts import language_of
from medr3_plugin.errors import UserError
from medr3_plugin.llm.client import ChatClient, Completion, Messages
from medr3_plugin.llm.control_tokens import neutralise_control_tokens
from medr3_plugin.llm.json_reply import ask_json
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.llm.stats import LLMStats, collected
from medr3_plugin.llm.store import ReplyStore, reply_key

_PROMPTS = Path(__file__).parent / "prompts"

Reply = TypeVar("Reply", bound=BaseModel)

TEACHER_SETTINGS = {
    "model": "--model",
    "structured": "--structured none",
    "parameters": "--parameters '{%s}'",
    "length": "--max-tokens",
}
POLICY_SETTINGS = {**TEACHER_SETTINGS, "model": "--policy-model"}
"""What messages call the options of `medr3 data build-references`, see `llm.client.YAML_SETTINGS`."""


class Costs(defaultdict[str, LLMStats]):
    """What each step cost: `replies` were paid for, `cache_hits` came from the journal."""

    def __init__(self) -> None:
        super().__init__(LLMStats)


@dataclass(frozen=True, eq=False)
class Caller:
    """Asks one endpoint, with a journal in between.

    Attributes:
        client: the endpoint; its `structured` mode serves the JSON steps.
        journal: where replies are kept, unreadable ones too: they were paid for.
        costs: shared counters.
        max_attempts: how often a reply that cannot be read is asked for, at most.
        max_tokens: longest reply; steps that ask for less get less.
    """

    client: ChatClient
    journal: ReplyStore
    costs: Costs
    max_attempts: int = 3
    max_tokens: int = 4096

    def of(self, step: str) -> StepChat:
        """The endpoint as a chat client for one step."""
        return StepChat(self, step)

    async def text(self, step: str, messages: Messages, *, attempt: int = 0, **params: Any) -> str:
        """The free text of the reply to `messages`; empty if it was cut off, as it holds no answer then.

        Raises:
            JudgeFailure: the endpoint gave no usable reply.
        """
        reply = await self.of(step).complete(messages, attempt=attempt, may_be_cut=True, **params)
        return "" if reply.truncated else reply.text

    async def json(self, step: str, messages: Messages, model: type[Reply], **params: Any) -> Reply:
        """The reply to `messages` as a `model`; asked again while it cannot be read, `max_attempts` times.

        Raises:
            JudgeFailure: the endpoint failed, or no attempt could be read (kind `bad_response` or `truncated`).
        """
        with collected(self.costs[step]):
            reply, _ = await ask_json(
                self.of(step),
                messages,
                model,
                shown=messages[-1]["content"],
                asks=self.max_attempts,
                **params,
            )
        return reply


class StepChat:
    """A `llm.json_reply.Chat` for one step of a `Caller`: through its journal, within its limits."""

    def __init__(self, caller: Caller, step: str) -> None:
        self._caller = caller
        self._step = step
        self.name = caller.client.name

    async def complete(
        self,
        messages: Messages,
        schema: Mapping[str, Any] | None = None,
        *,
        attempt: int = 0,
        may_be_cut: bool = False,
        **params: Any,
    ) -> Completion:
        """See `ChatClient.complete`."""
        caller = self._caller
        params["max_tokens"] = min(params.get("max_tokens", caller.max_tokens), caller.max_tokens)
        with collected(caller.costs[self._step]):
            model = await caller.client.served_model()
            asked = {**caller.client.params, **params, **({"schema": schema} if schema else {})}
            key = reply_key(self._step, model, list(messages), asked, attempt)
            reply = await caller.journal.once(
                key,
                lambda: caller.client.complete(messages, schema, attempt=attempt, may_be_cut=True, **params),
            )
            if reply.truncated and not may_be_cut:
                raise caller.client.cut_off()
        return reply


def request_parameters(option: str, given: str) -> dict[str, Any]:
    """The value of a command's option as `params` of a `ChatClient`.

    Raises:
        UserError: no JSON object.
    """
    try:
        value = json.loads(given or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(f'{option} {given!r}: expected a JSON object such as {{"max_tokens": null}}')
    return value


def step_messages(step: str, question: str, **parts: str) -> list[dict[str, str]]:
    """System prompt of a step in the question's language, and the parts between markers."""
    rubric = prompt(_PROMPTS / f"{step}.{language_of(question)}.txt")
    shown = {name: neutralise_control_tokens(text) for name, text in {"question": question, **parts}.items()}
    sections = [f"## {name}\n{text}" for name, text in shown.items() if text]
    return [{"role": "system", "content": rubric}, {"role": "user", "content": "\n\n".join(sections)}]
