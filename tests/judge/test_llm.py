"""The LLM judge: replies, repair, cache, shared calls, failures; on real sockets."""

from __future__ import annotations

import asyncio

import pytest
from chat_server import judge_of, verdict_text

from medr3_plugin.errors import JudgeFailure
from medr3_plugin.judge.factory import make_judge
from medr3_plugin.judge.llm import MAX_ANSWER_CHARS
from medr3_plugin.llm.stats import collected

CASE = {"question": "What is it?", "answers": ("Gout",), "options": None, "dataset": "medquad"}


async def test_verdict(chat_server):
    judge = judge_of(chat_server)
    verdict = await judge.verdict(answer="podagra", **CASE)
    assert (verdict.level, verdict.reason, verdict.source) == (2, "because", "openai:m")


async def test_half_an_emoji_in_the_reason_can_be_written_to_a_file(chat_server):
    chat_server.script = ['{"reason": "same \\ud83d", "score": 2}']
    verdict = await judge_of(chat_server).verdict(answer="podagra", **CASE)
    assert (verdict.level, verdict.reason) == (2, "same ?")


async def test_repair_is_counted(chat_server):
    chat_server.script = ["Verdict: {'reason': 'same', 'score': 1,}"]
    judge = judge_of(chat_server)
    with collected() as stats:
        assert (await judge.verdict(answer="podagra", **CASE)).level == 1
    assert (stats.verdicts, stats.requests, stats.repaired, len(stats.latencies_s)) == (1, 1, 1, 1)


@pytest.mark.parametrize("bad", ["I like it", verdict_text(5), "not-json", "empty"])
async def test_a_reply_without_verdict_is_asked_once_more(chat_server, bad):
    chat_server.script = [bad, verdict_text(0)]
    judge = judge_of(chat_server)
    with collected() as stats:
        assert (await judge.verdict(answer="podagra", **CASE)).level == 0
    assert (stats.asked_again, stats.requests) == (1, 2)
    assert chat_server.requests[1]["temperature"] > 0


@pytest.mark.parametrize(
    ("bad", "kind"), [("nonsense", "bad_response"), (500, "status_500"), ("close", "connection")]
)
async def test_a_failure_is_raised_and_not_cached(chat_server, tmp_path, bad, kind):
    chat_server.script = [bad]
    judge = judge_of(chat_server, cache=str(tmp_path / "v.sqlite"))
    with pytest.raises(JudgeFailure) as failure:
        await judge.verdict(answer="podagra", **CASE)
    assert failure.value.kind == kind
    chat_server.script = [verdict_text(2)]
    assert (await judge.verdict(answer="podagra", **CASE)).level == 2
    judge.close()


async def test_the_cache_answers_the_second_run(chat_server, tmp_path):
    path = str(tmp_path / "v.sqlite")
    for _ in range(2):
        judge = judge_of(chat_server, cache=path)
        with collected() as stats:
            assert (await judge.verdict(answer="podagra", **CASE)).level == 2
        judge.close()
    assert chat_server.asked() == 1
    assert stats.row() == {"verdicts": 1, "cache_hits": 1}
    other = judge_of(chat_server, cache=path, temperature=0.5)
    await other.verdict(answer="podagra", **CASE)
    assert chat_server.asked() == 2
    other.close()


async def test_the_cache_belongs_to_the_model_that_is_served(chat_server, tmp_path):
    for model, level in (("first", 2), ("second", 0)):
        chat_server.model, chat_server.script = model, [verdict_text(level)]
        judge = judge_of(chat_server, model=None, cache=str(tmp_path / "v.sqlite"))
        verdict = await judge.verdict(answer="podagra", **CASE)
        assert (verdict.level, verdict.source) == (level, f"openai:{model}")
        judge.close()


async def test_equal_cases_in_flight_share_a_call(chat_server):
    chat_server.delay_s = 0.05
    judge = judge_of(chat_server)
    with collected() as stats:
        verdicts = await asyncio.gather(*(judge.verdict(answer=a, **CASE) for a in ["x", "x", "y", "x"]))
    assert [verdict.level for verdict in verdicts] == [2] * 4
    assert chat_server.asked() == 2
    assert (stats.verdicts, stats.shared, stats.requests) == (4, 2, 2)


async def test_a_cancelled_waiter_leaves_the_others_their_verdict(chat_server):
    chat_server.delay_s = 0.2
    judge = judge_of(chat_server)
    first = asyncio.ensure_future(judge.verdict(answer="x", **CASE))
    second = asyncio.ensure_future(judge.verdict(answer="x", **CASE))
    while not chat_server.requests:
        await asyncio.sleep(0.01)
    first.cancel()
    assert (await second).level == 2
    assert chat_server.asked() == 1


async def test_a_failure_reaches_every_waiter(chat_server):
    chat_server.script = [400]
    chat_server.delay_s = 0.05
    judge = judge_of(chat_server)
    got = await asyncio.gather(*(judge.verdict(answer="x", **CASE) for _ in range(3)), return_exceptions=True)
    assert [type(item) for item in got] == [JudgeFailure] * 3
    assert chat_server.asked() == 1


async def test_empty_and_endless_answers_need_no_call(chat_server):
    judge = judge_of(chat_server)
    assert (await judge.verdict(answer="  ", **CASE)).level == 0
    assert (await judge.verdict(answer="x" * (MAX_ANSWER_CHARS + 1), **CASE)).level == 0
    assert chat_server.asked() == 0


async def test_the_rubric_follows_the_dataset(chat_server):
    judge = judge_of(chat_server)
    await judge.verdict(**{**CASE, "dataset": "RareArena", "answer": "x"})
    await judge.verdict(**{**CASE, "dataset": "medquad", "answer": "x"})
    rubrics = [request["messages"][0]["content"] for request in chat_server.requests]
    assert "rare diseases" in rubrics[0]
    assert "rare diseases" not in rubrics[1]


def test_one_judge_in_several_event_loops(tmp_path):
    """Every `asyncio.run` has a loop of its own; connections and locks must not be carried over."""
    judge = make_judge({"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m", "attempts": 1})

    async def once() -> str:
        try:
            await judge.verdict(answer="x", **CASE)
        except JudgeFailure as failure:
            return failure.kind
        return "verdict"

    assert [asyncio.run(once()), asyncio.run(once())] == ["connection", "connection"]
