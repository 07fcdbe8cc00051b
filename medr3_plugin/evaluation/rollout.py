"""Trajectories of an evaluation: the tag protocol of training, each token from a `Policy`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from medr3_plugin.environment.asking import Search
from medr3_plugin.environment.episode import run_episode
from medr3_plugin.environment.rendering import opens_think
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.evaluation.benchmarks import Question
from medr3_plugin.evaluation.policy import Policy, PolicyFailure, Sampling
from medr3_plugin.records import Sample, SearchTurn, canonical_id, gold_found
from medr3_plugin.rewards.retrieval import coverage
from medr3_plugin.trajectory import THINK_OPEN

Rollout = Callable[[Question, int], Awaitable[dict[str, Any]]]
"""Makes the n-th trajectory of a question: its row, without a verdict."""

TAG_TEXT = "tag_text"
"""Key of a row whose model calls tools: the trajectory in the words of the tag protocol, by which it is judged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for every sample of an evaluation."""

    settings: EnvironmentSettings
    response_length: int
    samples: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    concurrency: int = 64


def tag_rollout(policy: Policy, search: Search, plan: Plan) -> Rollout:
    """Rollouts in the tag protocol (`<search>`), as by the agent loop `medr3_search`."""

    async def roll_out(question: Question, number: int) -> dict[str, Any]:
        tokenizer = policy.tokenizer
        messages = list(question.prompt)
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        opened = opens_think(prompt, tokenizer)  # by the chat template
        if plan.settings.prefill_think and not opened:
            messages.append({"role": "assistant", "content": THINK_OPEN})
            prompt = [*prompt, *tokenizer.encode(THINK_OPEN, add_special_tokens=False)]
            opened = True
        episode = await run_episode(
            prompt,
            generate=policy.sampler(plan.sampling, number, messages),
            search=search,
            tokenizer=tokenizer,
            settings=plan.settings,
            response_length=plan.response_length,
        )
        if episode.aborted:
            raise PolicyFailure("the engine aborted a generation", "aborted")
        text = tokenizer.decode(episode.response_ids, skip_special_tokens=True)
        return rollout_row(
            question.sample,
            response=THINK_OPEN + text if opened else text,
            turns=episode.turns,
            prompt_tokens=len(prompt),
            mask=episode.response_mask,
            truncated=episode.truncated,
            forged=episode.forged,
        )

    return roll_out


def rollout_row(
    sample: Sample,
    *,
    response: str,
    turns: Sequence[SearchTurn],
    prompt_tokens: int,
    mask: Sequence[int],
    truncated: bool,
    forged: bool,
) -> dict[str, Any]:
    """The row of a trajectory, without a verdict.

    Args:
        mask: 1 for each token of the response that the model generated, 0 for each that it was shown.
    """
    return {
        **sample.row(),
        "response": response,
        "searches": [turn.row() for turn in turns],
        "prompt_tokens": prompt_tokens,
        "generated_tokens": sum(mask),
        "inserted_tokens": len(mask) - sum(mask),
        "truncated": truncated,
        "forged": forged,
        "gold_recall": _gold_recall(turns, sample.gold_docs),
    }


def _gold_recall(turns: Sequence[SearchTurn], gold: Sequence[str]) -> float | None:
    """Share of the gold documents of which a passage was retrieved; None without known gold documents."""
    found = gold_found(gold, {name for turn in turns for hit in turn.hits for name in hit.document.ids})
    return coverage(set(map(canonical_id, gold)), found) if gold else None
