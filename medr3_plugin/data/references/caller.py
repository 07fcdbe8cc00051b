"""Asking a model for one step: journal first, then the endpoint; JSON replies validated, asked again if bad."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from medr3_plugin.data.questions.prompts import language_of
from medr3_plugin.data.references.journal import Call, Journal, call_key
from medr3_plugin.errors import JudgeFailure, MissingExtra
from medr3_plugin.judge.chat import ChatClient

_PROMPTS = Path(__file__).parent / "prompts"
_THINKING = re.compile(r"^.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
_usage: ContextVar[tuple[int, int]] = ContextVar("usage", default=(0, 0))

Reply = TypeVar("Reply", bound=BaseModel)

OPTIONS = {
    "teacher": ("--model", "--structured"),
    "policy": ("--policy-model", "--structured"),
    "evidence judge": ("--evidence-model", "--evidence-structured"),
}
"""Role -> the options of a command that name its model and its way of decoding."""


class MeteredClient(ChatClient):
    """A chat client that tells what the last reply of the running task cost.

    Args:
        role: a key of `OPTIONS`, for messages.
    """

    def __init__(self, base_url: str, *, role: str, **settings: Any) -> None:
        super().__init__(base_url, **settings)
        self._role = role

    def _failure(self, kind: str, what: str) -> JudgeFailure:
        super()._failure(kind, what)  # counts it; its words are those of a config, not of a command
        model, structured = OPTIONS[self._role]
        what = what.replace("judge.model", model)
        what = what.replace("set `structured` to none", f"give {structured} none")
        return JudgeFailure(f"the {self._role} at {self.base_url} {what}", kind=kind)

    async def _with_retries(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | None
    ) -> Any:
        reply = await super()._with_retries(session, method, path, body)
        usage = reply.get("usage") if isinstance(reply, Mapping) else None
        counts = usage if isinstance(usage, Mapping) else {}
        _usage.set((_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))))
        return reply


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


@dataclass
class Costs:
    """Calls and tokens by step; replayed calls cost nothing and are counted apart."""

    calls: Counter[str] = field(default_factory=Counter)
    replayed: Counter[str] = field(default_factory=Counter)
    prompt_tokens: Counter[str] = field(default_factory=Counter)
    completion_tokens: Counter[str] = field(default_factory=Counter)
    bad_replies: Counter[str] = field(default_factory=Counter)


class Caller:
    """Asks one endpoint, with a journal in between.

    Args:
        client: the endpoint; its `structured` mode serves the JSON steps.
        journal: where replies are kept.
        costs: shared counters.
        max_attempts: how often a reply that cannot be read is asked for, at most.
        max_tokens: longest reply; steps that ask for less get less.
    """

    def __init__(
        self,
        client: MeteredClient,
        journal: Journal,
        costs: Costs,
        *,
        max_attempts: int = 3,
        max_tokens: int = 4096,
    ) -> None:
        self.client = client
        self.journal = journal
        self.costs = costs
        self.max_attempts = max_attempts
        self.max_tokens = max_tokens

    async def text(
        self,
        step: str,
        item: str,
        messages: Sequence[Mapping[str, str]],
        *,
        attempt: int = 0,
        schema: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> str:
        """The reply to `messages`, from the journal if this very call was answered before.

        Args:
            schema: JSON schema that the reply is decoded under, where the client's `structured` mode has it;
                None for free text.

        Raises:
            JudgeFailure: the endpoint gave no usable reply.
        """
        params["max_tokens"] = min(params.get("max_tokens", self.max_tokens), self.max_tokens)
        asked = {**params, "schema": schema} if schema else params
        key = call_key(step, await self.client.served_model(), messages, asked, attempt)
        known = self.journal.get(key)
        if known is None and not self.client.model:
            # journals once knew an unnamed model by its address
            known = self.journal.rename(call_key(step, self.client.base_url, messages, asked, attempt), key)
        if known is not None:
            self.costs.replayed[step] += 1
            return known.reply
        reply = await self.client.complete(messages, schema, **params)
        prompt_tokens, completion_tokens = _usage.get()
        self.journal.put(key, step, item, Call(reply, prompt_tokens, completion_tokens))
        self.costs.calls[step] += 1
        self.costs.prompt_tokens[step] += prompt_tokens
        self.costs.completion_tokens[step] += completion_tokens
        return reply

    async def json(
        self, step: str, item: str, messages: Sequence[Mapping[str, str]], model: type[Reply], **params: Any
    ) -> Reply:
        """The reply to `messages` as a `model`; asked again while it cannot be read, `max_attempts` times.

        Raises:
            JudgeFailure: the endpoint failed, or no attempt could be read (kind `bad_response`).
        """
        text = ""
        for attempt in range(self.max_attempts):
            text = await self.text(
                step, item, messages, attempt=attempt, schema=model.model_json_schema(), **params
            )
            try:
                return parse_json(text, model)
            except ValueError:  # pydantic's ValidationError is one
                self.costs.bad_replies[step] += 1
        raise JudgeFailure(
            f"step {step}: no readable reply in {self.max_attempts} attempts, the last was {text[:120]!r}",
            kind="bad_response",
        )


def parse_json(text: str, model: type[Reply]) -> Reply:
    """A reply as `model`: reasoning and code fences taken off, the JSON repaired if it must be.

    Raises:
        ValueError: nothing in the text fits.
    """
    bare = _FENCE.sub("", _THINKING.sub("", text, count=1).strip())
    try:
        return model.model_validate_json(bare)
    except ValidationError:
        pass
    try:
        from json_repair import repair_json
    except ImportError:
        raise MissingExtra("json-repair", "judge", "reading replies that are not clean JSON") from None
    start = bare.find("{")
    if start < 0:
        raise ValueError("no JSON object in the reply")
    return model.model_validate(json.loads(repair_json(bare[start:]) or "null"))


def step_messages(step: str, question: str, **parts: str) -> list[dict[str, str]]:
    """System prompt of a step in the question's language, and the parts between markers."""
    rubric = _prompt(f"{step}.{language_of(question)}")
    sections = [f"## {name}\n{text}" for name, text in {"question": question, **parts}.items() if text]
    return [{"role": "system", "content": rubric}, {"role": "user", "content": "\n\n".join(sections)}]


@lru_cache
def _prompt(name: str) -> str:
    return (_PROMPTS / f"{name}.txt").read_text(encoding="utf-8").strip()
