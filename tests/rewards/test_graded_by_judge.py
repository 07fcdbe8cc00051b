"""The bonus with a judge that compares the texts, against trajectories graded by hand.

`graded/replies.jsonl` are the replies of a large general model that saw the messages of `knowledge.judge_agreement` and
nothing else: no grade, no kind of trajectory, no code. They belong to these messages: who changes what is shown (the
rubric aside) must record them again. Two things were changed in the file since: the key `per_document` was called
`documents`, and one message (`fourth_held_out/alport/J`) now repeats a sentence of two words of which the reply says
nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from medr3_plugin.rewards.score_rows import read_rows
from medr3_plugin.rewards.scorer import build_scorer

FOLDER = Path(__file__).parent / "graded"
REPLIES = {
    row["mark"]: row["reply"]
    for row in map(json.loads, (FOLDER / "replies.jsonl").read_text(encoding="utf-8").splitlines())
}
STAGES = ("reasoning", "retrieval", "joint")
GOALS = {
    "fifth": (0.8, 0.85, 0.85),
    "sixth": (0.8, 0.85, 0.85),
    "seventh": (0.8, 0.85, 0.85),
    "eighth": (0.8, 0.9, 0.85),
    "held_out": (0.7, 0.9, 0.9),
    "further_held_out": (0.8, 0.85, 0.9),
    "third_held_out": (0.75, 0.9, 0.9),
    "fourth_held_out": (0.8, 0.8, 0.85),
}


def recorded(request):
    mark = request["messages"][1]["content"].split("\n", 1)[0].strip("=[] ")
    return json.dumps(REPLIES[mark])


@pytest.mark.parametrize("name", GOALS)
async def test_score_and_grade_agree_and_contradiction_never_beats_good_reasoning(name, chat_server):
    chat_server.script = [recorded]
    judge = {"kind": "openai", "base_url": chat_server.url, "model": "m"}
    scorer = build_scorer({"judge": judge, "agreement": {"kind": "judge"}})
    path = FOLDER / f"{name}.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    grades = {row["id"]: row["grades"] for row in rows}
    for stage, goal in zip(STAGES, GOALS[name], strict=True):
        records = {one.id: one.record for one in await scorer.score(list(read_rows(path, stage)))}
        assert all(record["valid"] for record in records.values())
        agreement = spearmanr([records[i]["score"] for i in grades], [grades[i][stage] for i in grades])[0]
        assert agreement >= goal, stage
    good, against = {}, {}
    for identity, record in records.items():
        question, _, kind = identity.partition("/")
        if kind[0] in "ABE":
            (against if kind[0] == "E" else good).setdefault(question, []).append(record["score"])
    for question, scores in good.items():
        assert max(against[question]) < min(scores), question
