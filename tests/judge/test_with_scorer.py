"""Judge and scorer together, over a real socket: what reaches the judge, and what its failures do."""

from __future__ import annotations

import re

import pytest
from chat_server import Cut, Refused, verdict_text

from medr3_plugin.llm import stats
from medr3_plugin.records import Sample
from medr3_plugin.rewards.explain import explain
from medr3_plugin.rewards.scorer import build_scorer


def sample(answer: str, think: str = "a secret thought") -> Sample:
    response = f"<think>{think}</think><answer>{answer}</answer>"
    return Sample(id=answer, question="What is it?", response=response, answers=("Gout",))


async def test_only_undecided_answers_reach_the_judge_and_never_the_thinking(chat_server):
    scorer = build_scorer({"judge": {"kind": "openai", "base_url": chat_server.url, "model": "m"}})
    answers = ["Gout", "podagra", "the diagnosis is gout."]
    scored = await scorer.score([sample(answer) for answer in answers])
    assert [item.record["acc"] for item in scored] == [1.0, 1.0, 1.0]
    assert chat_server.asked() == 1
    assert "podagra" in chat_server.requests[0]["messages"][1]["content"]
    assert "secret" not in str(chat_server.requests)


async def test_a_failing_judge_makes_its_samples_invalid_and_no_other(chat_server):
    def broken_for_some(request):
        asked = request["messages"][1]["content"]
        return "no verdict" if re.search(r"podagra", asked) else verdict_text(1)

    chat_server.script = [broken_for_some]
    scorer = build_scorer({"judge": {"kind": "openai", "base_url": chat_server.url, "model": "m"}})
    broken, partly, right = await scorer.score([sample("podagra"), sample("arthritis"), sample("Gout")])
    assert broken.record["valid"] == 0.0
    assert broken.failures == ("judge_bad_response",)
    assert (partly.record["valid"], partly.record["answer"]) == (1.0, 0.4)
    assert (right.record["valid"], right.record["acc"]) == (1.0, 1.0)
    assert broken.record.keys() == right.record.keys()


@pytest.fixture
def nothing_told(monkeypatch):
    """What failed before is forgotten: an earlier test's server may have had this one's port."""
    monkeypatch.setattr(stats, "_told", set())


@pytest.mark.usefixtures("nothing_told")
@pytest.mark.parametrize(
    ("step", "kind", "says"),
    [
        (Refused("this model takes no temperature"), "judge_status_400", "this model takes no temperature"),
        (
            Cut('<think>I would write {"reason": "same", "score": 2}. But'),
            "judge_truncated",
            "judge.max_tokens",
        ),
        (Cut(verdict_text(2)), "judge_truncated", "judge.max_tokens"),
        ('<think>I would write {"reason": "same", "score": 2}. But', "judge_truncated", "thinking"),
        ("nonsense", "judge_bad_response", "nonsense"),
    ],
)
async def test_what_a_failure_said_is_told(chat_server, caplog, step, kind, says):
    chat_server.script = [step]
    options = {"kind": "openai", "base_url": chat_server.url, "model": "m"}
    scored = await build_scorer({"judge": options}).score([sample("podagra"), sample("arthritis")])
    for item in scored:
        assert (item.record["valid"], item.failures) == (0.0, (kind,))
        assert says in item.reasons["said"][kind] and says in explain(item)
    assert caplog.text.count("the next ones of this kind") == 1


async def test_an_absent_judge_server_never_becomes_a_score(chat_server):
    chat_server.script = [503]
    options = {"kind": "openai", "base_url": chat_server.url, "model": "m", "attempts": 2}
    [item] = await build_scorer({"judge": options}).score([sample("podagra")])
    assert item.record["valid"] == 0.0
    assert item.record["judge_failures"] == 1.0
    assert item.failures == ("judge_status_503",)
