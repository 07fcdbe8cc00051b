"""The judge extractor: triples by a language model that sees the reasoning and nothing else.

Blind on purpose: it gets neither the reference nor the question nor the answer, so what it finds to agree with
a reference stems from the text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from medr3_plugin.knowledge.extract import MAX_TRIPLES
from medr3_plugin.llm.control_tokens import as_data, fence
from medr3_plugin.llm.json_reply import Chat, ask_json
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.records import Triple
from medr3_plugin.text import has_cjk

PROMPTS = Path(__file__).parent / "prompts"
MAX_CHARS = 24_000
"""Longer reasoning is cut: what a judge can read with care, and about 6,000 tokens."""
MAX_TOKENS = 4096
"""Longest reply."""

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
    """The triples; also as a bare list, or each as a list. An incomplete one is left out, the others stay."""

    triples: list[_Item]

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"triples": value} if isinstance(value, list) else value

    @field_validator("triples", mode="before")
    @classmethod
    def _whole_ones(cls, items: Any) -> Any:
        if not isinstance(items, list):
            return items
        return [item for item in map(_item, items) if item is not None]


class JudgeExtractor:
    """An `Extractor` over a chat server.

    Args:
        chat: the client of the server.
        max_triples: limit for one text.
        special_tokens: control tokens of the model's tokenizer, if known; the usual kinds are neutralised anyway.
        max_tokens: longest reply, including thinking.
    """

    remote = True

    def __init__(
        self,
        chat: Chat,
        max_triples: int = MAX_TRIPLES,
        special_tokens: Collection[str] = (),
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self._max_tokens = max_tokens
        self._chat = chat
        self._special_tokens = special_tokens
        self._max_triples = max_triples

    async def aextract(self, text: str) -> tuple[Triple, ...]:
        """Triples stated in `text`; none for an empty text, without a call.

        Raises:
            JudgeFailure: no usable reply, also not when asked again.
        """
        if not text.strip():
            return ()
        reply, _ = await ask_json(
            self._chat,
            messages(text, self._special_tokens),
            _Reply,
            schema=SCHEMA,
            shown=text,
            max_tokens=self._max_tokens,
        )
        named = (item for item in reply.triples if item.head.strip() and item.tail.strip())
        return tuple(Triple(item.head, item.relation, item.tail) for item in named)[: self._max_triples]


def messages(text: str, special_tokens: Collection[str] = ()) -> list[dict[str, str]]:
    """Chat messages that ask for the triples of `text`, in its language."""
    text = as_data(text[:MAX_CHARS], special_tokens)
    mark = fence(text)
    rubric = prompt(PROMPTS / f"extract.{'zh' if has_cjk(text) else 'en'}.txt")
    return [{"role": "system", "content": rubric}, {"role": "user", "content": f"{mark}\n{text}\n{mark}"}]


def _item(value: Any) -> _Item | None:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) >= 3:
        value = dict(zip(("head", "relation", "tail"), value, strict=False))
    try:
        return _Item.model_validate(value)
    except ValidationError:
        return None
