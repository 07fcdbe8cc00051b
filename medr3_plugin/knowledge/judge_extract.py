"""The judge extractor: triples by a language model that sees the reasoning and nothing else.

Blind on purpose: it gets neither the reference nor the question nor the answer, so what it finds to agree with
a reference stems from the text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from medr3_plugin.errors import JudgeFailure, MissingExtra
from medr3_plugin.judge.stats import current
from medr3_plugin.knowledge.extract import MAX_TRIPLES
from medr3_plugin.records import Triple
from medr3_plugin.text import has_cjk

PROMPTS = Path(__file__).parent / "prompts"
MAX_CHARS = 24_000
"""Longer reasoning is cut: what a judge can read with care, and about 6,000 tokens."""

_ASKS = 2  # a reply that is not in the protocol is asked for once more
_RETRY_TEMPERATURE = 0.3
_MAX_TOKENS = 4096
_THINKING = re.compile(r"^.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```(?:json)?|```$")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "triples": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("head", "relation", "tail")},
                "required": ["head", "relation", "tail"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["triples"],
    "additionalProperties": False,
}
"""The JSON schema sent to servers that can decode under a schema."""


class _Item(BaseModel):
    model_config = ConfigDict(strict=True)

    head: str
    relation: str
    tail: str


class _Reply(BaseModel):
    model_config = ConfigDict(strict=True)

    triples: list[_Item]


class Chat(Protocol):
    """What is needed of a chat client (`judge.chat.ChatClient`)."""

    async def complete(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] = ..., **params: Any
    ) -> str:
        """The text of the server's reply; raises JudgeFailure."""
        ...


class JudgeExtractor:
    """An `Extractor` over a chat server.

    Args:
        chat: the client of the server.
        max_triples: limit for one text.
    """

    remote = True

    def __init__(self, chat: Chat, max_triples: int = MAX_TRIPLES) -> None:
        self._chat = chat
        self._max_triples = max_triples

    async def aextract(self, text: str) -> tuple[Triple, ...]:
        """Triples stated in `text`; none for an empty text, without a call.

        Raises:
            JudgeFailure: no usable reply, also not when asked again.
        """
        if not text.strip():
            return ()
        prompt = messages(text)
        params: dict[str, Any] = {"max_tokens": _MAX_TOKENS}
        for ask in range(1, _ASKS + 1):
            try:
                return self._read(await self._chat.complete(prompt, SCHEMA, **params))
            except JudgeFailure as failure:
                if failure.kind != "bad_response" or ask == _ASKS:
                    raise
                current().asked_again += 1
                params["temperature"] = _RETRY_TEMPERATURE
        raise AssertionError("unreachable")

    def _read(self, reply: str) -> tuple[Triple, ...]:
        bare = _FENCE.sub("", _THINKING.sub("", reply, count=1).strip()).strip()
        try:
            parsed = _Reply.model_validate_json(bare)
        except ValidationError:
            parsed = _repaired(bare)
            current().repaired += 1
        named = (item for item in parsed.triples if item.head.strip() and item.tail.strip())
        return tuple(Triple(item.head, item.relation, item.tail) for item in named)[: self._max_triples]


def messages(text: str) -> list[dict[str, str]]:
    """Chat messages that ask for the triples of `text`, in its language."""
    text = text[:MAX_CHARS]
    # made from the text, so that no text can hold its own marker
    mark = f"=====[ {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]} ]====="
    rubric = _prompt("extract.zh" if has_cjk(text) else "extract.en")
    return [{"role": "system", "content": rubric}, {"role": "user", "content": f"{mark}\n{text}\n{mark}"}]


def _repaired(text: str) -> _Reply:
    """The reply in a text that is not clean JSON: the object, or the bare list of triples."""
    try:
        from json_repair import repair_json
    except ImportError:
        raise MissingExtra("json-repair", "judge", "the judge extractor") from None
    start = min((i for i in (text.find("{"), text.find("[")) if i >= 0), default=-1)
    try:
        value = json.loads(repair_json(text[start:]) or "null") if start >= 0 else None
    except (ValueError, RecursionError):  # a model in a loop opens brackets without end
        value = None
    items = value.get("triples") if isinstance(value, Mapping) else value
    if not isinstance(items, list):
        raise JudgeFailure(f"the reply holds no triples: {text[:200]!r}", kind="bad_response")
    return _Reply(triples=[item for item in map(_item, items) if item is not None])


def _item(value: Any) -> _Item | None:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) >= 3:
        value = dict(zip(("head", "relation", "tail"), value, strict=False))
    try:
        return _Item.model_validate(value)
    except ValidationError:
        return None


@lru_cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.txt").read_text(encoding="utf-8").strip()
