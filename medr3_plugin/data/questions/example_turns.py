"""Custom example turns: questions with complete trajectories, shown before every question.

A model too small for the instruction, or a base model, learns the tag format from them. One example per line:

    {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": trajectory}]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from medr3_plugin.data.questions import reading
from medr3_plugin.errors import UserError, needs
from medr3_plugin.hub_name import hub_or_cache
from medr3_plugin.rewards.format import format_score
from medr3_plugin.trajectory import parse

Example = tuple[str, str]
"""Question and trajectory."""

_SHAPE = "<think> … </think><answer> … </answer>"


def read(source: Path, *, searches: bool = True) -> list[Example]:
    """The examples of a jsonl file, checked for the tag format.

    Args:
        searches: whether they may search, which makes no sense in a prompt without retrieval.

    Raises:
        UserError: naming the line and what is wrong with it.
    """
    return [_example(row, searches) for row in reading.read(str(source))]


def lost_turns(
    messages: Sequence[Mapping[str, Any]], render: Callable[[list[dict[str, Any]]], str]
) -> list[str]:
    """The earlier assistant turns of a prompt that a chat template truncates.

    Args:
        messages: a row's prompt.
        render: the chat template with the prompt for the next turn, as text.
    """
    earlier = [str(m.get("content")) for m in messages if m.get("role") == "assistant"]
    rendered = "".join(render([dict(message) for message in messages]).split()) if earlier else ""
    return [text for text in earlier if "".join(text.split()) not in rendered]


def check_template(rows: Iterable[Mapping[str, Any]], tokenizer: str) -> None:
    """Refuse prompts whose example turns a model's chat template would truncate.

    Args:
        rows: training rows; only the first is checked, as all have the same turns.
        tokenizer: folder or Hub name of the model.

    Raises:
        UserError: names the model and what is lost.
    """
    render = renderer(load_tokenizer(tokenizer))
    for row in rows:
        if lost := lost_turns(row["prompt"], render):
            raise UserError(
                f"the chat template of {tokenizer} does not show earlier turns whole: in {lost[0][:60]!r} the "
                "reasoning and the searches are dropped; use --examples-as user"
            )
        return


def load_tokenizer(path: str, template: str = "") -> Any:
    """A tokenizer with a chat template, from a folder or Hub name.

    Args:
        template: a chat template in place of its own.

    Raises:
        UserError: there is none, or it has no chat template.
    """
    with needs("transformers", "eval", "reading a chat template"):
        from transformers import AutoTokenizer
    try:
        with hub_or_cache(path):
            tokenizer = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path}: no tokenizer can be loaded ({reason}); give the folder of a model"
        ) from error
    tokenizer.chat_template = template or tokenizer.chat_template
    if not tokenizer.chat_template:
        raise UserError(f"{path}: the tokenizer has no chat template, so it cannot build prompts")
    return tokenizer


def renderer(tokenizer: Any) -> Callable[[list[dict[str, Any]]], str]:
    """The chat template of a tokenizer, as a function of messages."""
    return lambda messages: str(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    )


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
