"""The rewards as a reward function of TRL's GRPOTrainer: `GRPOTrainer(reward_funcs=[medr3_reward], ...)`.

Checked with TRL 1.16. TRL passes the columns of the dataset by name, one list each. They are read like any row of data
(`medr3_plugin.rows`): `answers` (accepted answers) and, where there are, `question`, `options`, `dataset`,
`references` and so on. Without a column `question`, the last user message is the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medr3_plugin.integrations.common import SampleScorer, with_opening_tag
from medr3_plugin.records import Sample
from medr3_plugin.rewards.scorer import build_scorer
from medr3_plugin.rows import sample_of

LOGGED = ("acc", "reasoning", "format", "valid")

Text = str | Sequence[Mapping[str, Any]]
"""Plain text, or (with a conversational dataset) messages."""

RewardFunction = Callable[..., Coroutine[Any, Any, list[float | None]]]


def make_reward_func(
    scorer: SampleScorer | None = None, *, stage: str = "reasoning", opens_think: bool | None = None
) -> RewardFunction:
    """A reward function for TRL.

    It is asynchronous, so TRL runs it on its one event loop and the requests to a judge overlap.

    Args:
        scorer: the scorer; by default `build_scorer({})`, which uses rules and no judge.
        stage: whose formula is used. The retrieval parts need records of searches, which TRL does not have.
        opens_think: whether the prompt ends with `<think>`. By default this is read from a plain prompt or, for a
            conversational one (whose template TRL applies), from the completion. Set it if your template does so:
            a completion that never closes its reasoning does not show it.

    Returns:
        The function. It gives one reward per completion, or None if a judge failed: with this function alone, TRL
        leaves such a completion out of its group's mean and deviation and gives it advantage 0. It raises `UserError`
        for a row without an accepted answer.
    """

    async def medr3_reward(
        *,
        prompts: Sequence[Text],
        completions: Sequence[Text],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        nonlocal scorer
        if scorer is None:
            scorer = await asyncio.to_thread(build_scorer, {})
        rows = _rows(columns, len(completions))
        samples = [
            _sample(row, prompt, response_of(prompt, completion, opens_think), number, stage)
            for number, (row, prompt, completion) in enumerate(zip(rows, prompts, completions, strict=True))
        ]
        scored = await scorer.score(samples)
        if log_metric and scored:
            for part in LOGGED:
                log_metric(f"medr3/{part}", sum(one.record[part] for one in scored) / len(scored))
        return [one.record["score"] if one.record["valid"] else None for one in scored]

    return medr3_reward


medr3_reward = make_reward_func()
"""`make_reward_func` with its defaults."""


def response_of(prompt: Text, completion: Text, opens_think: bool | None = None) -> str:
    """What the model wrote, with the `<think>` that the prompt or its template opened."""
    if isinstance(completion, str):
        if opens_think is None and isinstance(prompt, str):
            opens_think = prompt.rstrip().endswith("<think>")
        return with_opening_tag(completion, opens_think)
    # messages of tools are not the model's; the content of a message that only calls a tool is None
    written = "".join(message["content"] or "" for message in completion if message["role"] == "assistant")
    return with_opening_tag(written, opens_think)


def _rows(columns: Mapping[str, Any], size: int) -> list[dict[str, Any]]:
    """Row by row; what is not a column (the trainer's state, callbacks) is left out."""
    lists = {
        name: values for name, values in columns.items() if isinstance(values, list) and len(values) == size
    }
    return [{name: values[i] for name, values in lists.items()} for i in range(size)]


def _sample(row: Mapping[str, Any], prompt: Text, response: str, number: int, stage: str) -> Sample:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    where = f"row {number + 1} of the batch"
    sample = sample_of({**row, "prompt": list(messages)}, where, response=response)
    return replace(sample, stage=stage)
