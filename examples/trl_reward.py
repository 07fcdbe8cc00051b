"""The rewards as a reward function of TRL's GRPOTrainer: `GRPOTrainer(reward_funcs=[medr3_reward], ...)`.

    python examples/trl_reward.py

Checked with TRL 1.16. TRL passes the columns of the data set by name, one list each: `question`, `answers` (accepted
answers, a list) and, where there are, `options` (letter -> text) and `dataset`. The function is asynchronous, so TRL
runs it on its one event loop and the requests to a judge overlap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medr3_plugin.records import Sample
from medr3_plugin.rewards.scorer import build_scorer

SCORER = build_scorer({"judge": {"kind": "rule"}})
LOGGED = ("acc", "reasoning", "format", "valid")

Text = str | Sequence[Mapping[str, Any]]
"""Plain text, or (with a conversational data set) messages."""


def response_of(prompt: Text, completion: Text) -> str:
    """What the model wrote; a `<think>` that ends the prompt is the model's opening tag."""
    if isinstance(completion, str):
        opened = isinstance(prompt, str) and prompt.rstrip().endswith("<think>")
        return f"<think>{completion}" if opened else completion
    # messages of tools are not the model's; the content of a message that only calls a tool is None
    return "".join(message["content"] or "" for message in completion if message["role"] == "assistant")


def options_of(row: Mapping[str, str | None] | None) -> dict[str, str] | None:
    """The options there are: rows of a Hugging Face data set all have the same letters, unused ones are None."""
    return {letter: text for letter, text in (row or {}).items() if text is not None} or None


async def medr3_reward(
    *,
    prompts: Sequence[Text],
    completions: Sequence[Text],
    question: Sequence[str],
    answers: Sequence[Sequence[str]],
    options: Sequence[Mapping[str, str | None] | None] | None = None,
    dataset: Sequence[str] | None = None,
    log_metric: Callable[[str, float], None] | None = None,
    **_: Any,
) -> list[float | None]:
    """One reward a completion.

    None where a judge failed: that is no verdict on the model. With this function alone, TRL leaves such a completion
    out of its group's mean and deviation and gives it advantage 0.
    """
    samples = [
        Sample(
            id=str(i),
            question=question[i],
            response=response_of(prompts[i], completion),
            answers=tuple(answers[i]),
            options=options_of(options[i]) if options else None,
            dataset=dataset[i] if dataset else "",
            stage="reasoning",
        )
        for i, completion in enumerate(completions)
    ]
    scored = await SCORER.score(samples)
    if log_metric:
        for part in LOGGED:
            log_metric(f"medr3/{part}", sum(one.record[part] for one in scored) / len(scored))
    return [one.record["score"] if one.record["valid"] else None for one in scored]


def main() -> None:
    options = {"A": "vitamin C", "B": "vitamin D"}
    thought = "<think>Scurvy is a lack of collagen.</think>"
    completions = [
        [{"role": "assistant", "content": f"{thought}<answer>{a}</answer>"}] for a in ("A", "B", "A or B")
    ]
    question = "Which vitamin prevents scurvy?"
    rewards = asyncio.run(
        medr3_reward(
            prompts=[[{"role": "user", "content": question}]] * 3,
            completions=completions,
            question=[question] * 3,
            answers=[["vitamin C"]] * 3,
            options=[options] * 3,
        )
    )
    print("rewards", [None if reward is None else round(reward, 3) for reward in rewards])


if __name__ == "__main__":
    main()
