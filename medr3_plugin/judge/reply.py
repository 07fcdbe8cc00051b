"""From a judge model's reply to a level: strict JSON first, repair as a counted fallback, never a guess."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medr3_plugin.errors import JudgeFailure, MissingExtra

_THINKING = re.compile(r"^.*?</think>", re.DOTALL)
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL)
_OBJECT = re.compile(r"\{[^{}]*\}")
_MAX_CHARS = 20_000


class Reply(BaseModel):
    """What a judge model must answer. A score that is not the number 0, 1 or 2 is no score."""

    model_config = ConfigDict(strict=True)

    reason: str = ""
    score: Annotated[int, Field(ge=0, le=2)]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "enum": [0, 1, 2]}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}
"""The JSON schema sent to servers that can decode under a schema."""


def parse_reply(text: str) -> tuple[Reply, bool]:
    """(the reply, whether it had to be repaired).

    The reasoning of a thinking judge and a code fence around the JSON are taken off first; that is not a
    repair. A repaired text must hold exactly one verdict: a judge may quote the student, and the student may
    have written a verdict.

    >>> parse_reply('{"reason": "same disease", "score": 2}')
    (Reply(reason='same disease', score=2), False)
    >>> parse_reply("Sure! {'reason': 'same', 'score': 2,}")[1]
    True

    Raises:
        JudgeFailure: no verdict, or several that differ; kind `bad_response`.
    """
    bare = _THINKING.sub("", text[:_MAX_CHARS], count=1).strip()
    if fenced := _FENCE.match(bare):
        bare = fenced[1]
    try:
        return Reply.model_validate_json(bare), False
    except ValidationError:
        pass
    replies = _repaired(bare)
    if len({reply.score for reply in replies}) != 1:
        raise JudgeFailure(f"the judge's reply holds no clear verdict: {text[:200]!r}", kind="bad_response")
    return replies[0], True


def _repaired(text: str) -> list[Reply]:
    """Every verdict in a text that is not clean JSON."""
    try:
        from json_repair import repair_json
    except ImportError:
        raise MissingExtra("json-repair", "judge", "the LLM judge") from None
    replies = []
    for candidate in _OBJECT.findall(text) or ([text] if "{" in text else []):
        try:
            value = json.loads(repair_json(candidate) or "null")
        except (ValueError, RecursionError):  # a model in a loop opens brackets without end
            continue
        for item in value if isinstance(value, list) else [value]:
            try:
                replies.append(Reply.model_validate(item))
            except ValidationError:
                continue
    return replies
