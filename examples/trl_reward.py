"""The rewards as a reward function of TRL's GRPOTrainer: `GRPOTrainer(reward_funcs=[medr3_reward], ...)`.

TRL passes the columns of the data set by name, one list each. This function reads `question`, `answers` (a list of
accepted answers) and, where there are, `options` (letter -> text) and `dataset`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from medr3_plugin.records import Sample
from medr3_plugin.rewards.scorer import build_scorer

SCORER = build_scorer({"judge": {"kind": "rule"}})

Completion = str | Sequence[dict[str, Any]]
"""Plain text, or (with a conversational data set) the messages that the model wrote."""


def text_of(completion: Completion) -> str:
    """The model's text."""
    return completion if isinstance(completion, str) else "".join(str(m["content"]) for m in completion)


def medr3_reward(
    completions: Sequence[Completion],
    question: Sequence[str],
    answers: Sequence[Sequence[str]],
    options: Sequence[dict[str, str] | None] | None = None,
    **_: Any,
) -> list[float | None]:
    """One reward a completion; None (left out by TRL) where a judge failed: that is no verdict on the model."""
    samples = [
        Sample(
            id=str(i),
            question=question[i],
            response=text_of(completion),
            answers=tuple(answers[i]),
            options=options[i] if options else None,
            stage="reasoning",
        )
        for i, completion in enumerate(completions)
    ]
    scored = asyncio.run(SCORER.score(samples))
    return [one.record["score"] if one.record["valid"] else None for one in scored]


if __name__ == "__main__":
    options = {"A": "vitamin C", "B": "vitamin D"}
    completions = [
        [
            {
                "role": "assistant",
                "content": f"<think>Scurvy is a lack of collagen.</think><answer>{a}</answer>",
            }
        ]
        for a in ("A", "B", "A or B")
    ]
    rewards = medr3_reward(
        completions, ["Which vitamin prevents scurvy?"] * 3, [["vitamin C"]] * 3, [options] * 3
    )
    print("rewards", [None if reward is None else round(reward, 3) for reward in rewards])
