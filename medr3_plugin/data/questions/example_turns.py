"""Example turns of one's own: questions with whole trajectories that are shown before every question.

A model too small for the instruction, or a base model, learns the tag format from them. One example a line:

    {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": trajectory}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from medr3_plugin.data.questions import reading
from medr3_plugin.errors import UserError
from medr3_plugin.rewards.format import format_score
from medr3_plugin.trajectory import parse

Example = tuple[str, str]
"""Question and trajectory."""

_SHAPE = "<think> … </think><answer> … </answer>"


def read(source: Path, *, searches: bool = True) -> list[Example]:
    """The examples of a jsonl file, checked for the tag format.

    Args:
        searches: whether they may search; not in a prompt without retrieval.

    Raises:
        UserError: naming the line and what is wrong with it.
    """
    return [_example(row, searches) for row in reading.read(str(source))]


def _example(row: reading.RawRow, searches: bool) -> Example:
    if row.error:
        raise UserError(f"{row.where}: {row.error}")
    messages: Any = row.data.get("messages")
    turns = [m for m in messages if isinstance(m, Mapping)] if isinstance(messages, list) else []
    if [turn.get("role") for turn in turns] != ["user", "assistant"]:
        raise UserError(f"{row.where}: key 'messages' must be two messages, of user and assistant")
    question, text = (turn.get("content") for turn in turns)
    if not (isinstance(question, str) and question.strip() and isinstance(text, str)):
        raise UserError(f"{row.where}: key 'content' must be a text in both messages")
    if fault := _fault(text, searches):
        raise UserError(f"{row.where}: the assistant's message {fault}")
    return question, text


def _fault(text: str, searches: bool) -> str:
    found = parse(text)
    if format_score(found) < 1:
        return f"must be one {_SHAPE} with nothing outside, searches and their documents inside the reasoning"
    if found.queries and not searches:
        return "searches, but the prompt is without retrieval"
    if not all(found.queries):
        return "has an empty search"
    pieces = [span.kind for span in found.spans if text[span.start : span.end].strip()]
    if any(kind == "search" and after != "document" for kind, after in pairwise(pieces)):
        return "has a search without a <document> … </document> after it"
    return ""
