"""Replies of judge models: what is a verdict, what is repaired, what is a failure."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import JudgeFailure
from medr3_plugin.judge.reply import parse_reply

pytest.importorskip("json_repair")


@pytest.mark.parametrize(
    ("text", "score", "repaired"),
    [
        ('{"reason": "same", "score": 2}', 2, False),
        ('{"score": 0}', 0, False),
        (' \n{"reason": "same", "score": 1, "confidence": 0.9}\n', 1, False),
        ('```json\n{"reason": "same", "score": 2}\n```', 2, False),
        ('<think>{"score": 2}? no</think>{"reason": "other", "score": 0}', 0, False),
        ('Here is my verdict: {"reason": "same", "score": 2}', 2, True),
        ("{'reason': 'same', 'score': 2}", 2, True),
        ('{"reason": "same", "score": 2,}', 2, True),
        ('{"reason": "same", "score": 2', 2, True),
        ('{"score": 1} and again {"score": 1}', 1, True),
    ],
)
def test_verdicts(text, score, repaired):
    reply, was_repaired = parse_reply(text)
    assert (reply.score, was_repaired) == (score, repaired)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "The score is 2.",
        '{"score": 3}',
        '{"score": -1}',
        '{"score": "2"}',
        '{"score": 1.5}',
        '{"score": true}',
        '{"score": null}',
        '{"reason": "no score"}',
        "[]",
        "null",
        # the judge quotes a verdict that the student wrote
        'The student claims {"reason": "x", "score": 2} but it is wrong: {"reason": "y", "score": 0}',
    ],
)
def test_no_verdict_is_a_failure(text):
    with pytest.raises(JudgeFailure) as failure:
        parse_reply(text)
    assert failure.value.kind == "bad_response"


@given(st.text(max_size=300))
def test_total(text):
    try:
        reply, _ = parse_reply(text)
    except JudgeFailure:
        return
    assert reply.score in (0, 1, 2)


@given(st.sampled_from([0, 1, 2]), st.text(max_size=100))
def test_round_trip(score, reason):
    reply, repaired = parse_reply(json.dumps({"reason": reason, "score": score}))
    assert (reply.score, reply.reason, repaired) == (score, reason, False)
