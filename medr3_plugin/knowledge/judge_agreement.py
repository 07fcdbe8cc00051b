"""The judge as reader: which sentences agree with a document or a fact, and which contradict it, in whatever words.

The rules of `agreement` compare words, so they cannot hear a contradiction in other words. The judge sees the
reasoning, the documents and the facts of the references, and neither the question nor the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from medr3_plugin.llm.control_tokens import fence, neutralise_control_tokens
from medr3_plugin.llm.json_reply import Chat, ask_json
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.text import has_cjk

PROMPTS = Path(__file__).parent / "prompts"
MAX_SENTENCES, MAX_DOCUMENTS, MAX_FACTS = 100, 20, 60
"""Longer lists are cut: what a judge can keep apart. Sentences that it is not shown agree with nothing."""
MAX_CHARS = 4_000
"""Characters of a document or a sentence that are shown."""
_MAX_TOKENS = 4096


class Sides(NamedTuple):
    """The places of the sentences that agree with a document or a fact, and of those that contradict it."""

    agreeing: frozenset[int] = frozenset()
    contradicting: frozenset[int] = frozenset()


class Comparison(NamedTuple):
    """What a judge says, by place from 0.

    Attributes:
        documents: for each document the sentences on either side.
        states: for each document the facts that it states.
        facts: for each fact the sentences on either side.
    """

    documents: tuple[Sides, ...]
    states: tuple[frozenset[int], ...]
    facts: tuple[Sides, ...]


class _Document(BaseModel):
    document: int
    states: list[int] = Field(default_factory=list)
    agrees: list[int] = Field(default_factory=list)
    contradicts: list[int] = Field(default_factory=list)


class _Fact(BaseModel):
    fact: int
    agrees: list[int] = Field(default_factory=list)
    contradicts: list[int] = Field(default_factory=list)


class _Reply(BaseModel):
    documents: list[_Document]
    facts: list[_Fact] = Field(default_factory=list)


def _schema() -> dict[str, Any]:
    numbers = {"type": "array", "items": {"type": "integer"}}

    def items(name: str, *lists: str) -> dict[str, Any]:
        properties = {name: {"type": "integer"}} | dict.fromkeys(lists, numbers)
        one = {"type": "object", "properties": properties, "required": [*properties]}
        return {"type": "array", "items": one | {"additionalProperties": False}}

    properties = {
        "documents": items("document", "states", "agrees", "contradicts"),
        "facts": items("fact", "agrees", "contradicts"),
    }
    whole = {"type": "object", "properties": properties, "required": [*properties]}
    return whole | {"additionalProperties": False}


SCHEMA = _schema()
"""The JSON schema sent to servers that can decode under a schema."""


class JudgeAgreement:
    """Compares texts by a chat server.

    Args:
        chat: the client of the server.
    """

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    async def acompare(
        self, sentences: Sequence[str], documents: Sequence[str], facts: Sequence[str]
    ) -> Comparison:
        """The comparison of `sentences` with each document and fact; without a call where nothing is to compare.

        A number that stands for nothing is left out; a sentence on both sides of one thing contradicts it.

        Raises:
            JudgeFailure: no usable reply, also not when asked again.
        """
        reply = _Reply(documents=[])
        if sentences and (documents or facts):
            asked = messages(sentences, documents, facts)
            shown = asked[1]["content"]
            reply, _ = await ask_json(
                self._chat, asked, _Reply, schema=SCHEMA, shown=shown, max_tokens=_MAX_TOKENS
            )
        of_document = {item.document: item for item in reply.documents}
        of_fact = {item.fact: item for item in reply.facts}
        none = _Document(document=0)
        in_turn = [of_document.get(place, none) for place in range(1, len(documents) + 1)]
        count = min(len(sentences), MAX_SENTENCES)
        return Comparison(
            tuple(_sides(item, count) for item in in_turn),
            tuple(_places(item.states, min(len(facts), MAX_FACTS)) for item in in_turn),
            tuple(_sides(of_fact.get(place, none), count) for place in range(1, len(facts) + 1)),
        )


def messages(
    sentences: Sequence[str], documents: Sequence[str], facts: Sequence[str]
) -> list[dict[str, str]]:
    """Chat messages that ask for the comparison, in the language of the reasoning."""
    lists = (("S", sentences[:MAX_SENTENCES]), ("D", documents[:MAX_DOCUMENTS]), ("F", facts[:MAX_FACTS]))
    listed = "\n\n".join(
        "\n".join(f"{letter}{place}: {_line(text)}" for place, text in enumerate(texts, start=1))
        for letter, texts in lists
        if texts
    )
    mark = fence(listed)
    rubric = prompt(PROMPTS / f"compare.{'zh' if has_cjk(' '.join(sentences)) else 'en'}.txt")
    return [{"role": "system", "content": rubric}, {"role": "user", "content": f"{mark}\n{listed}\n{mark}"}]


def _line(text: str) -> str:
    """One line, so that no text can pretend to be the next item of a list."""
    return " ".join(neutralise_control_tokens(text[:MAX_CHARS]).split())


def _sides(item: _Document | _Fact, count: int) -> Sides:
    against = _places(item.contradicts, count)
    return Sides(_places(item.agrees, count) - against, against)


def _places(numbers: Sequence[int], count: int) -> frozenset[int]:
    return frozenset(number - 1 for number in numbers if 1 <= number <= count)
