"""Chat prompts: the question after an instruction, or after example turns for models too small for one."""

from __future__ import annotations

from collections.abc import Sequence

Message = dict[str, str]


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
