"""The judge as reader: which sentences agree with a document or a fact, and which contradict it, in whatever words.

The rules of `agreement` compare words, so they cannot hear a contradiction in other words. The judge sees the
reasoning, the documents and the facts of the references, and neither the question nor the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from medr3_plugin.llm.control_tokens import as_data, fence
from medr3_plugin.llm.json_reply import Chat, ask_json
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.text import has_cjk

PROMPTS = Path(__file__).parent / "prompts"
MAX_SENTENCES, MAX_DOCUMENTS, MAX_FACTS = 300, 20, 60
"""Longer lists are cut, that of the sentences in the middle; what a judge is not shown agrees with nothing."""
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
        special_tokens: control tokens of the model's tokenizer, if known; the usual kinds are neutralised anyway.
    """

    def __init__(self, chat: Chat, special_tokens: Collection[str] = ()) -> None:
        self._chat = chat
        self._special_tokens = special_tokens

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
            asked = messages(sentences, documents, facts, self._special_tokens)
            shown = asked[1]["content"]
            reply, _ = await ask_json(
                self._chat, asked, _Reply, schema=SCHEMA, shown=shown, max_tokens=_MAX_TOKENS
            )
        of_document = {item.document: item for item in reply.documents}
        of_fact = {item.fact: item for item in reply.facts}
        none = _Document(document=0)
        in_turn = [of_document.get(place, none) for place in range(1, len(documents) + 1)]
        shown_ones = frozenset(_shown(len(sentences)))
        of_facts = [of_fact.get(place, none) for place in range(1, len(facts) + 1)]
        numbered = frozenset(range(min(len(facts), MAX_FACTS)))
        return Comparison(
            tuple(_sides(item, shown_ones) for item in in_turn),
            tuple(_places(item.states) & numbered for item in in_turn),
            tuple(_sides(item, shown_ones) for item in of_facts),
        )


def messages(
    sentences: Sequence[str],
    documents: Sequence[str],
    facts: Sequence[str],
    special_tokens: Collection[str] = (),
) -> list[dict[str, str]]:
    """Chat messages that ask for the comparison, in the language of the reasoning."""
    lists = (
        ("S", [(place, sentences[place]) for place in _shown(len(sentences))]),
        ("D", list(enumerate(documents[:MAX_DOCUMENTS]))),
        ("F", list(enumerate(facts[:MAX_FACTS]))),
    )
    listed = "\n\n".join(
        "\n".join(f"{letter}{place + 1}: {_line(text, special_tokens)}" for place, text in texts)
        for letter, texts in lists
        if texts
    )
    mark = fence(listed)
    rubric = prompt(PROMPTS / f"compare.{'zh' if has_cjk(' '.join(sentences)) else 'en'}.txt")
    return [{"role": "system", "content": rubric}, {"role": "user", "content": f"{mark}\n{listed}\n{mark}"}]


def _line(text: str, special_tokens: Collection[str]) -> str:
    """One line, so that no text can pretend to be the next item of a list."""
    return " ".join(as_data(text[:MAX_CHARS], special_tokens).split())


def _shown(count: int) -> list[int]:
    """The places of the sentences that are shown."""
    half = MAX_SENTENCES // 2
    return list(range(count)) if count <= MAX_SENTENCES else [*range(half), *range(count - half, count)]


def _sides(item: _Document | _Fact, shown: frozenset[int]) -> Sides:
    against = _places(item.contradicts) & shown
    return Sides((_places(item.agrees) & shown) - against, against)


def _places(numbers: Sequence[int]) -> frozenset[int]:
    return frozenset(number - 1 for number in numbers)
