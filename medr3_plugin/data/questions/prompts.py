"""Chat prompts: the question after an instruction, or after example turns for models too small for one.

The instructions are text files beside this module, one for each style and language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

Message = dict[str, str]
Style = Literal["search", "plain", "tools", "bare"]
"""`search`: the tag protocol; `plain`: reasoning without search; `tools`: a tool-calling model; `bare`: the
question alone."""

AGENTS: Mapping[str, str] = {
    "search": "medr3_search",
    "plain": "medr3_search",
    "tools": "medr3_tool",
    "bare": "medr3_search",
}
"""The agent loop a prompt of each style is meant for (`plain` with `max_searches: 0`)."""

_CJK = re.compile(r"[\u3400-\u9fff]")
_FOLDER = Path(__file__).parent / "prompt_texts"


def language_of(text: str) -> Literal["en", "zh"]:
    """`zh` if the text has a Chinese character, else `en`."""
    return "zh" if _CJK.search(text) else "en"


def instruction(
    question: str,
    style: Style = "search",
    language: str = "",
    examples: Sequence[tuple[str, str]] = (),
) -> list[Message]:
    """One user message: the instruction in the question's language, then the question.

    Args:
        examples: (question, assistant trajectory) pairs shown before it, their questions put likewise.
    """

    def put(asked: str) -> str:
        if style == "bare":
            return asked
        file = _FOLDER / f"{style}_{language or language_of(asked)}.txt"
        # not str.format: the question is data and may hold braces
        return file.read_text(encoding="utf-8").strip().replace("{question}", asked)

    return with_examples(put(question), [(put(asked), answered) for asked, answered in examples])


def with_options(question: str, options: Mapping[str, str]) -> str:
    """The question followed by its options, one a line."""
    listed = "\n".join(f"{letter}. {text}" for letter, text in options.items())
    return f"{question}\n{listed}"


def with_examples(question: str, examples: Sequence[tuple[str, str]], system: str = "") -> list[Message]:
    """Messages with earlier turns as examples.

    Args:
        examples: (user question, assistant trajectory) pairs, shown before the question.
        system: system message; empty leaves it to the chat template's default.
    """
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for asked, answered in examples:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return [*messages, {"role": "user", "content": question}]
