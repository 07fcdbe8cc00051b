"""Counting by sample: who is asked for what, over a real socket."""

from __future__ import annotations

import asyncio
import json

from chat_server import verdict_text

from medr3_plugin.llm.stats import LLMStats, collected, current
from medr3_plugin.records import Sample
from medr3_plugin.rewards.scorer import Scorer, build_scorer


def sample(answer: str) -> Sample:
    response = f"<think>thought</think><answer>{answer}</answer>"
    return Sample(id=answer, question="What is it?", response=response, answers=("Gout",))


async def judged(scorer: Scorer, answer: str) -> LLMStats:
    """One sample, as the reward manager scores it."""
    with collected() as stats:
        await scorer.score([sample(answer)])
    return stats


async def test_samples_scored_at_the_same_time_count_apart(chat_server):
    def answer(request):
        return "no verdict" if "arthritis" in request["messages"][1]["content"] else verdict_text(2)

    chat_server.script, chat_server.delay_s = [answer], 0.05
    scorer = build_scorer({"judge": {"kind": "openai", "base_url": chat_server.url, "model": "m"}})
    answers = ("podagra", "podagra", "arthritis", "Gout")
    first, same, broken, by_rule = await asyncio.gather(*(judged(scorer, answer) for answer in answers))
    assert (first.verdicts, first.requests, first.shared, len(first.latencies_s)) == (1, 1, 0, 1)
    assert same.row() == {"verdicts": 1, "shared": 1}
    assert (broken.verdicts, broken.requests, broken.asked_again) == (1, 2, 1)
    assert min(first.latencies_s + broken.latencies_s) >= 0.05
    assert by_rule.row() == {}


async def test_a_server_that_gives_up_is_counted_by_kind(chat_server):
    chat_server.script = [503]
    options = {"kind": "openai", "base_url": chat_server.url, "model": "m", "attempts": 2}
    stats = await judged(build_scorer({"judge": options}), "podagra")
    assert (stats.requests, stats.retries, len(stats.latencies_s)) == (2, 1, 1)
    assert json.loads(json.dumps(stats.row()))["failures"] == {"status_503": 1}


def test_outside_of_a_block_nothing_is_kept():
    current().requests += 1
    with collected() as outer:
        with collected() as inner:
            current().requests += 1
        current().retries += 1
    assert (outer.requests, outer.retries, inner.requests, current().requests) == (0, 1, 1, 0)
