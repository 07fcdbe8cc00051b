"""From a model's reply to the JSON that was asked for: strictly, or repaired and counted, but never guessed.

A model may quote what it was shown, and what it was shown may hold a made-up answer: a student who writes a verdict,
a document that names its own evidence level. Therefore:

* The reply is read as JSON before anything is cut from it, so that a tag inside a string is only text.
* Thoughts are cut only where what follows them is the answer; a thought that never ends has no answer after it.
* A reply that holds several answers holds none: two objects, one inside the other, one key twice, an answer and a
  quoted one that the JSON was broken by.
* Repair takes what comes last in the reply and nothing else. Where the shown text could hold an answer, nothing is
  repaired, and an answer that occurs in the shown text word for word is a quotation.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from medr3_plugin.errors import JudgeFailure, needs
from medr3_plugin.llm.client import Completion, Messages
from medr3_plugin.llm.stats import current, note_failure

_NAMES = "(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning|analysis)"
_THOUGHT_OPEN = re.compile(rf"<{_NAMES}>|\[THINK\]|◁think▷", re.IGNORECASE)
_THOUGHT_CLOSE = re.compile(rf"</{_NAMES}>|\[/THINK\]|◁/think▷", re.IGNORECASE)
_FENCE = re.compile(r"```[\w-]*\s*(.*?)\s*```", re.DOTALL)
_OBJECT = re.compile(r"\{\s*[\"'“”‘’`]")  # but not \boxed{Gout}
_MAX_THOUGHTS = 32  # closing tags that are tried: each try reads the rest of the reply
_MAX_REPAIRED = 20_000  # characters; a longer reply that is not JSON comes from a model in a loop
_SHOWN = 200

Model = TypeVar("Model", bound=BaseModel)


class _SeveralAnswers(ValueError):
    """JSON with more than one answer in it."""


class Chat(Protocol):
    """What is needed of a chat client (`llm.client.ChatClient`)."""

    @property
    def name(self) -> str:
        """The server, as messages call it."""
        ...

    async def complete(
        self, messages: Messages, schema: Mapping[str, Any] | None = None, *, attempt: int = 0, **params: Any
    ) -> Completion:
        """The server's reply; raises JudgeFailure."""
        ...


async def ask_json(
    chat: Chat,
    messages: Messages,
    model: type[Model],
    *,
    schema: Mapping[str, Any] | None = None,
    shown: str = "",
    repair: bool = True,
    asks: int = 2,
    **params: Any,
) -> tuple[Model, Completion]:
    """The reply to `messages` as a `model`, and as it came; asked again while it cannot be read.

    Args:
        schema: JSON schema for servers that decode under one; by default the model's.
        shown, repair: see `read_json`.
        asks: how often to ask at most.

    Raises:
        JudgeFailure: the server failed, or no reply could be read (kind `bad_response` or `truncated`).
    """
    schema = schema or model.model_json_schema()
    for attempt in range(asks):
        try:
            completion = await chat.complete(messages, schema, attempt=attempt, **params)
        except JudgeFailure as failure:
            if failure.kind not in ("bad_response", "truncated"):
                raise
            current().unreadable += 1
            if attempt == asks - 1:
                raise
        else:
            try:
                value, repaired = read_json(completion.text, model, shown=shown, repair=repair)
            except JudgeFailure as failure:
                current().unreadable += 1
                if attempt == asks - 1:
                    given_up = JudgeFailure(f"{chat.name}: {failure}", kind=failure.kind)
                    note_failure(given_up, chat.name)
                    raise given_up from failure
            else:
                current().repaired += repaired
                return value, completion
        current().asked_again += 1
    raise AssertionError("unreachable")


def read_json(text: str, model: type[Model], *, shown: str = "", repair: bool = True) -> tuple[Model, bool]:
    """(the reply as a `model`, whether its JSON had to be repaired).

    The thoughts of a model and a code fence around the JSON are not part of it; removing them is not a repair.

    Args:
        model: what the reply must be; its first required field is the one that makes an answer.
        shown: data that the model was shown and may quote.
        repair: whether JSON with mistakes, or with words before it, is read too; never if `shown` may hold an answer.

    Raises:
        JudgeFailure: no answer, or several; kind `truncated` if the reply ends within a thought, else
            `bad_response`.
    """
    text = text.strip().lstrip("\ufeff")
    key = _answer_key(model)
    opened = _THOUGHT_OPEN.match(text)
    if opened and not _THOUGHT_CLOSE.search(text):
        raise JudgeFailure("the reply ends while the model is still thinking", kind="truncated")
    for candidate in _candidates(text):
        try:
            value = _strict(candidate, key)
            if "{" in candidate and _squeezed(candidate) in _squeezed(shown):
                raise _unreadable("only repeats what was shown", text)
        except _SeveralAnswers:
            raise _unreadable("holds several answers", text) from None
        except (ValueError, RecursionError):
            continue
        return _validated(model, value, text), False
    if not repair or may_hold_answer(shown, model):
        raise _unreadable("is not just the requested JSON", text)
    return _validated(model, _repaired(_after_thoughts(text), key, text), text), True


def may_hold_answer(text: str, model: type[BaseModel]) -> bool:
    """Whether `text` holds, or could be quoted as, a reply of the form of `model`."""
    folded = _folded(text)
    return bool(_OBJECT.search(folded)) or _answers_in(folded, _answer_key(model)) > 0


def _candidates(text: str) -> Iterator[str]:
    """The whole reply, then what follows each end of a thought; code fences taken off."""
    yield _unfenced(text)
    if text.startswith(("{", "```")):
        return  # no thought comes before an answer; a closing tag further on is a quotation
    ends = [match.end() for match in _THOUGHT_CLOSE.finditer(text)]
    half = _MAX_THOUGHTS // 2
    for end in ends if len(ends) <= _MAX_THOUGHTS else ends[:half] + ends[-half:]:
        rest = text[end:].strip()
        if rest.startswith(("{", "[", "```")):
            yield _unfenced(rest)


def _unfenced(text: str) -> str:
    fenced = _FENCE.fullmatch(text)
    return fenced[1] if fenced else text


def _after_thoughts(text: str) -> str:
    if text.startswith(("{", "```")):
        return text
    *_, end = [0, *(match.end() for match in _THOUGHT_CLOSE.finditer(text))]
    return text[end:].strip()


def _strict(text: str, key: str) -> Any:
    """`text` as JSON.

    Raises:
        _SeveralAnswers: the key that makes an answer is in it more than once, at any depth.
        ValueError: no JSON.
        RecursionError: brackets without end.
    """
    found = 0

    def an_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        found += sum(_folded(name).strip() == key for name, _ in pairs)
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=an_object)
    if found > 1:
        raise _SeveralAnswers
    if "\\ud" in text.casefold():  # half a surrogate pair, which no file could hold: an emoji that was cut
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    return value


def _repaired(rest: str, key: str, text: str) -> Any:
    """The JSON at the end of a reply, with mistakes repaired."""
    rest = rest.removesuffix("```").rstrip()
    start = min((place for place in (rest.find("{"), rest.find("[")) if place >= 0), default=-1)
    if start < 0 or not rest.endswith(("}", "]")) or len(rest) > _MAX_REPAIRED:
        raise _unreadable("holds no JSON, or does not end with it", text)
    if _answers_in(_folded(rest), key) != 1:
        raise _unreadable("holds no answer, or several", text)
    with needs("json-repair", "judge", "reading replies that are not clean JSON"):
        from json_repair import repair_json
    try:
        return _strict(repair_json(rest[start:]) or "null", key)
    except (ValueError, RecursionError):
        raise _unreadable("cannot be read", text) from None


def _validated(model: type[Model], value: Any, text: str) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError:
        raise _unreadable("does not have the requested form", text) from None


@lru_cache
def _answer_key(model: type[BaseModel]) -> str:
    return next(name for name, field in model.model_fields.items() if field.is_required())


def _answers_in(folded: str, key: str) -> int:
    """How many answers a text could hold: its key with a colon or an equals sign after it."""
    return len(re.findall(rf"\b{re.escape(key)}\b(?:[\"'”’»`*_\\\s]|&#?\w{{2,6}};){{0,8}}[:=]", folded))


def _folded(text: str) -> str:
    if text.isascii():
        return text.casefold()
    text = unicodedata.normalize("NFKC", text)
    return "".join(char for char in text if unicodedata.category(char) != "Cf").casefold()


def _squeezed(text: str) -> str:
    return "".join(_folded(text).split())


def _unreadable(what: str, text: str) -> JudgeFailure:
    return JudgeFailure(f"the reply {what}: {' '.join(text.split())[:_SHOWN]!r}", kind="bad_response")
