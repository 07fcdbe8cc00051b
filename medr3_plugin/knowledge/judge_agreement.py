"""The judge as reader: which sentences agree with a document or a fact, and which contradict it, in whatever words.

The rules of `agreement` compare words, so they cannot hear a contradiction in other words. The judge sees the
reasoning, the documents and the facts of the references, and neither the question nor the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, model_validator

from medr3_plugin.knowledge.judge_extract import MAX_TOKENS
from medr3_plugin.llm.control_tokens import as_data, fence
from medr3_plugin.llm.json_reply import Chat, ask_json
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.text import has_cjk

PROMPTS = Path(__file__).parent / "prompts"
MAX_SENTENCES, MAX_DOCUMENTS, MAX_FACTS = 300, 20, 60
"""Longer lists are cut, that of the sentences in the middle; what a judge is not shown agrees with nothing."""
MAX_CHARS = 2_500
"""Characters of a text that are shown."""


class Sides(NamedTuple):
    """The places of the sentences that agree with a document or a fact, and of those that contradict it."""

    agreeing: frozenset[int] = frozenset()
    contradicting: frozenset[int] = frozenset()

    def plus(self, other: Sides) -> Sides:
        """Both together; what is on both sides contradicts."""
        against = self.contradicting | other.contradicting
        return Sides((self.agreeing | other.agreeing) - against, against)

    def at(self, places: Sequence[int]) -> Sides:
        """The same by other places, of which several may be one; what is then on both sides contradicts."""
        agreeing, against = (frozenset(places[i] for i in side) for side in self)
        return Sides(agreeing - against, against)


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


def _readable(letter: str) -> Callable[[Any], list[int]]:
    """Reads the numbers of sentences (S), documents (D) or facts (F): a list, one alone, or a text of several.

    "S3" is 3 among sentences and nothing among facts; whatever else is there is left out. Anything but these, as an
    object, is no reply.
    """
    label = re.compile(rf"{letter}?(\d{{1,6}})(?:\.0+)?", re.IGNORECASE)

    def numbers(value: Any) -> list[int]:
        if isinstance(value, str):
            value = re.split(r"[\s,;，；、]+", value.strip(" []"))
        elif value is None or isinstance(value, int | float):
            value = [value]
        elif not isinstance(value, list):
            raise ValueError("expected a list of numbers")
        found = (label.fullmatch(str(item).strip()) for item in value)
        return [int(number[1]) for number in found if number]

    return numbers


def _numbered(key: str, letter: str) -> Callable[[Any], list[Any]]:
    """Reads the items of a list that have their number, one each, under a key."""
    numbers = _readable(letter)

    def number(item: Any) -> int | None:
        value = item.get(key) if isinstance(item, dict) else None
        found = [] if isinstance(value, dict) else numbers(value)
        return found[0] if len(found) == 1 else None

    def items(value: Any) -> list[Any]:
        if not isinstance(value, list | None):
            raise ValueError("expected a list")
        return [{**item, key: found} for item in value or [] if (found := number(item)) is not None]

    return items


_Sentences = Annotated[list[int], BeforeValidator(_readable("S"))]
_Facts = Annotated[list[int], BeforeValidator(_readable("F"))]


class _Document(BaseModel):
    document: int
    states: _Facts = []
    agrees: _Sentences = []
    contradicts: _Sentences = []


class _Fact(BaseModel):
    fact: int
    agrees: _Sentences = []
    contradicts: _Sentences = []


class _Reply(BaseModel):
    per_document: Annotated[list[_Document], BeforeValidator(_numbered("document", "D"))]
    facts: Annotated[list[_Fact], BeforeValidator(_numbered("fact", "F"))] = []


@lru_cache(maxsize=MAX_DOCUMENTS + 1)
def _reply_on(documents: int) -> type[_Reply]:
    """A reply that speaks of each of so many documents: one that leaves some out compares nothing with them."""

    class Reply(_Reply):
        @model_validator(mode="after")
        def _all(self) -> Reply:
            if not set(range(1, documents + 1)) <= {item.document for item in self.per_document}:
                raise ValueError("a document is left out")
            return self

    return Reply


def _schema() -> dict[str, Any]:
    numbers = {"type": "array", "items": {"type": "integer"}}

    def items(name: str, *lists: str) -> dict[str, Any]:
        properties = {name: {"type": "integer"}} | dict.fromkeys(lists, numbers)
        one = {"type": "object", "properties": properties, "required": [*properties]}
        return {"type": "array", "items": one | {"additionalProperties": False}}

    properties = {
        "per_document": items("document", "states", "agrees", "contradicts"),
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
        max_tokens: longest reply, including thinking.
    """

    def __init__(
        self, chat: Chat, special_tokens: Collection[str] = (), max_tokens: int = MAX_TOKENS
    ) -> None:
        self._chat = chat
        self._special_tokens = special_tokens
        self._max_tokens = max_tokens

    async def acompare(
        self, sentences: Sequence[str], documents: Sequence[str], facts: Sequence[str]
    ) -> Comparison:
        """The comparison of the three with each other; without a call where nothing is to compare.

        A number that stands for nothing is left out; a sentence on both sides of one thing contradicts it.

        Raises:
            JudgeFailure: no usable reply, also not when asked again.
        """
        reply = _Reply(per_document=[])
        if bool(sentences) + bool(documents) + bool(facts) > 1:
            asked = messages(sentences, documents, facts, self._special_tokens)
            reply, _ = await ask_json(
                self._chat,
                asked,
                _reply_on(min(len(documents), MAX_DOCUMENTS)),
                schema=SCHEMA,
                shown=asked[1]["content"],
                max_tokens=self._max_tokens,
            )
        shown = frozenset(_shown(len(sentences)))
        numbered = frozenset(range(min(len(facts), MAX_FACTS)))
        of_documents = [Sides()] * len(documents)
        states = [frozenset[int]()] * len(documents)
        of_facts = [Sides()] * len(facts)
        for document in reply.per_document:
            if 0 < document.document <= min(len(documents), MAX_DOCUMENTS):
                place = document.document - 1
                of_documents[place] = of_documents[place].plus(_sides(document, shown))
                states[place] |= _places(document.states) & numbered
        for fact in reply.facts:
            if fact.fact - 1 in numbered:
                of_facts[fact.fact - 1] = of_facts[fact.fact - 1].plus(_sides(fact, shown))
        return Comparison(tuple(of_documents), tuple(states), tuple(of_facts))


def messages(
    sentences: Sequence[str],
    documents: Sequence[str],
    facts: Sequence[str],
    special_tokens: Collection[str] = (),
) -> list[dict[str, str]]:
    """Chat messages that ask for the comparison, in the language of most sentences."""
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
    language = "zh" if 2 * sum(map(has_cjk, sentences)) > len(sentences) else "en"
    rubric = prompt(PROMPTS / f"compare.{language}.txt")
    return [{"role": "system", "content": rubric}, {"role": "user", "content": f"{mark}\n{listed}\n{mark}"}]


def _line(text: str, special_tokens: Collection[str]) -> str:
    """One line, so that no text can pretend to be the next item of a list."""
    return as_data(" ".join(text[:MAX_CHARS].split()), special_tokens)


def _shown(count: int) -> list[int]:
    """The places of the sentences that are shown."""
    half = MAX_SENTENCES // 2
    return list(range(count)) if count <= MAX_SENTENCES else [*range(half), *range(count - half, count)]


def _sides(item: _Document | _Fact, shown: frozenset[int]) -> Sides:
    return Sides(_places(item.agrees) & shown).plus(Sides(frozenset(), _places(item.contradicts) & shown))


def _places(numbers: Sequence[int]) -> frozenset[int]:
    return frozenset(number - 1 for number in numbers)
