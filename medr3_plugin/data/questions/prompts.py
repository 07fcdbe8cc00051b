"""Chat prompts: the question after an instruction, or after example turns for models too small for one.

The instructions are text files beside this module, one for each style and language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.registered_names import AGENT_LOOP, TOOL_LOOP
from medr3_plugin.trajectory import THINK_CLOSE, THINK_OPEN, parse

Message = dict[str, str]
Style = Literal["search", "plain", "tools", "bare"]
"""`search`: the tag protocol; `plain`: reasoning without search; `tools`: a tool-calling model; `bare`: the
question alone."""

Form = Literal["choice", "open"]
"""Whether a choice question shows its options."""

ExamplesAs = Literal["user", "turns"]

_CJK = re.compile(r"[\u3400-\u9fff]")
_FOLDER = Path(__file__).parent / "prompt_texts"


def language_of(text: str) -> Literal["en", "zh"]:
    """`zh` if the text has a Chinese character, else `en`."""
    return "zh" if _CJK.search(text) else "en"


def agent_of(style: Style) -> str:
    """The agent loop that a prompt of this style is meant for (`plain` with `max_searches: 0`)."""
    return TOOL_LOOP if style == "tools" else AGENT_LOOP


def instruction(
    question: str,
    style: Style = "search",
    language: str = "",
    examples: Sequence[tuple[str, str]] = (),
    examples_as: ExamplesAs = "user",
) -> list[Message]:
    """One user message: the instruction in the question's language, then the question.

    Args:
        examples: (question, trajectory) pairs shown before it.
        examples_as: `user` shows them at the start of the user message; `turns` as earlier turns of the chat, with
            the same instruction. Chat templates that drop earlier reasoning (Qwen3, R1 distillations) leave nothing
            of a trajectory in an earlier turn but its answer.
    """

    def put(asked: str) -> str:
        if style == "bare":
            return asked
        return _text(style, language or language_of(asked)).replace("{question}", asked)

    if examples_as == "user":
        frames = [_text("example", language or language_of(asked)) for asked, _ in examples]
        shown = [
            answered.join(frame.replace("{question}", asked).split("{response}"))
            for frame, (asked, answered) in zip(frames, examples, strict=True)
        ]
        return [{"role": "user", "content": "\n\n".join([*shown, put(question)])}]
    return with_examples(put(question), [(put(asked), answered) for asked, answered in examples])


def _text(name: str, language: str) -> str:
    # filled by replace, not str.format: questions are data and may hold braces
    return prompt(_FOLDER / f"{name}_{language}.txt")


def in_tool_calls(trajectory: str) -> list[Message]:
    """A trajectory of the tag protocol as the messages of a model that calls a tool.

    The calls are text of the assistant (`<tool_call>{...}</tool_call>`, the form of Qwen and Hermes), so that any chat
    template shows them. Scored, both are the same (`environment.tag_text`).

    >>> text = "<think> A <search> q </search><document> d </document> B </think><answer> x </answer>"
    >>> [message["role"] for message in in_tool_calls(text)]
    ['assistant', 'tool', 'assistant']
    >>> in_tool_calls(text)[2]["content"]
    '<think> B </think><answer> x </answer>'
    """
    parsed = parse(trajectory)
    messages: list[Message] = []
    said = ""
    for span in parsed.spans:
        whole, inner = trajectory[span.start : span.end], parsed.inner(span).strip()
        if span.kind == "think" and inner:
            said += f"{THINK_OPEN} {inner} {THINK_CLOSE}"
        elif span.kind == "search":
            call = json.dumps({"name": "medical_search", "arguments": {"query": inner}}, ensure_ascii=False)
            said += f"<tool_call>{call}</tool_call>"
        elif span.kind == "document" and messages and not said:
            messages[-1]["content"] += whole
        elif span.kind == "document":
            messages += [{"role": "assistant", "content": said}, {"role": "tool", "content": whole}]
            said = ""
        elif span.kind != "think":
            said += whole
    return [*messages, {"role": "assistant", "content": said}]


def with_options(question: str, options: Mapping[str, str]) -> str:
    """The question followed by its options, one per line."""
    listed = "\n".join(f"{letter}. {text}" for letter, text in options.items())
    return f"{question}\n{listed}"


def with_examples(
    question: str, examples: Sequence[tuple[str, str]], system: str = "", *, tools: bool = False
) -> list[Message]:
    """Messages with earlier turns as examples.

    Args:
        examples: (user question, assistant trajectory) pairs, shown before the question.
        tools: show the trajectories' searches as tool calls.
        system: system message; empty leaves it to the chat template's default.
    """
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for asked, answered in examples:
        shown = in_tool_calls(answered) if tools else [{"role": "assistant", "content": answered}]
        messages += [{"role": "user", "content": asked}, *shown]
    return [*messages, {"role": "user", "content": question}]
