"""The bonus against trajectories graded by hand: every answer is right, so that only the bonus speaks.

`graded/development.jsonl` is what the terms were made on, `graded/held_out.jsonl` was kept aside. Five kinds a
question: A good with evidence, B good without a search, C bad reasoning, D shallow, E contradicts the evidence; one
grader, 0 to 10. Ten questions of our own, two of them Chinese; the answer's form differs between them.

`graded/further_*.jsonl` were written later, without a look at the code: eight other questions, two of them Chinese,
with more kinds (I an irrelevant search, F every document dismissed, P padded). Agreement is lower there.

`graded/third_*.jsonl`, too, were written without a look at the code, ten questions, two of them Chinese. Grades by the
purpose of each stage: reasoning, whether what is said is true, complete and leads to the answer; retrieval, whether
what is needed was searched, found (good evidence before weak) and used: no search 0, off topic 1 to 2, found but not
used or denied 2 to 4, used in part 5 to 7, used 8 to 9; joint, both. F differs: weak evidence that is used, evidence
that is dismissed, something irrelevant that is cited, two searches.

`graded/fourth_*.jsonl`, again written and graded without a look at the code: fourteen questions, two in Chinese, with
the environment's own text around documents. A to E as above, F two searches of which one finds nothing, G documents
set aside, H documents copied, I padded with other facts, J every option searched and dismissed.

`graded/fifth.jsonl`, `sixth` and `seventh` are by three further authors who saw no code: 28 questions, five in Chinese,
with documents like abstracts and reasoning in a model's own words, abbreviations and figures. Their kinds are A to E,
F an irrelevant search, then good reasoning, G good documents ignored, H a part used, J weak evidence used, K a second
search that refines the first. The rules were improved with the fifth and the sixth; agreement is lower on all three.
`graded/eighth.jsonl` is by a fourth such author, ten questions, two in Chinese, kinds A to E; the reference's facts,
too, are in other words than the documents'. `test_graded_by_judge` has most sets with a judge that compares the texts.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from medr3_plugin.rewards.score_rows import read_rows
from medr3_plugin.rewards.scorer import build_scorer

FOLDER = Path(__file__).parent / "graded"
# lower than in docs/FIDELITY.md, where a sentence encoder is in use; here there is none
GOALS = {"reasoning": 0.5, "retrieval": 0.8, "joint": 0.6}
FURTHER_GOALS = {"reasoning": 0.6, "retrieval": 0.75, "joint": 0.65}
SETS = {
    # what is reached where the trajectories paraphrase; it must not get worse
    "fifth": {"reasoning": 0.6, "retrieval": 0.8, "joint": 0.7},
    "sixth": {"reasoning": 0.25, "retrieval": 0.6, "joint": 0.35},
    "seventh": {"reasoning": 0.5, "retrieval": 0.65, "joint": 0.45},
    "eighth": {"reasoning": 0.2, "retrieval": 0.65, "joint": 0.2},
    "development": GOALS,
    "held_out": GOALS,
    "further_development": FURTHER_GOALS,
    "further_held_out": FURTHER_GOALS,
    "third_development": GOALS | {"retrieval": 0.85},
    "third_held_out": GOALS | {"retrieval": 0.85},
    "fourth_development": FURTHER_GOALS,
    "fourth_held_out": FURTHER_GOALS,
}
KNOWN = {"egfr", "vitamind"}
"""Questions where, without an encoder, contradiction beats good reasoning without a search: it misreads numbers."""


def scored(name, stage):
    path = FOLDER / f"{name}.jsonl"
    grades = {
        row["id"]: row["grades"] for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    }
    samples = list(read_rows(path, stage))
    records = {one.id: one.record for one in asyncio.run(build_scorer({}).score(samples))}
    assert len(records) == len(grades) and all(record["acc"] == 1.0 for record in records.values())
    return records, grades


@pytest.mark.parametrize("stage", GOALS)
@pytest.mark.parametrize("name", SETS)
def test_score_and_grade_agree(name, stage):
    records, grades = scored(name, stage)
    agreement = spearmanr([records[i]["score"] for i in grades], [grades[i][stage] for i in grades])[0]
    assert agreement >= SETS[name][stage]


@pytest.mark.parametrize(
    "name", [name for name in SETS if name not in {"fifth", "sixth", "seventh", "eighth"}]
)
def test_contradicting_the_evidence_never_beats_good_reasoning(name):
    records, _ = scored(name, "joint")
    by_kind = {"good": {}, "against": {}}
    for identity, record in records.items():
        question, _, kind = identity.partition("/")
        if kind[0] in "ABE":
            found = by_kind["against" if kind[0] == "E" else "good"]
            found.setdefault(question, []).append(record["score"])
    for question in by_kind["good"].keys() - KNOWN:
        assert max(by_kind["against"][question]) < min(by_kind["good"][question]), question


MODEL_WROTE = re.compile(r"(<search>.*?</search>|<document>.*?</document>|</?think>|<answer>.*)", re.DOTALL)
DRESSED = {
    "bold": lambda text: re.sub(r"\b([a-z]{8,})\b", r"**\1**", text),
    "quoted": lambda text: re.sub(r"\b([a-z]{8,})\b", r'"\1"', text),
    "cited": lambda text: re.sub(r"\.(?=\s|$)", " (Document 1).", text),
}


@pytest.mark.parametrize("dress", DRESSED.values(), ids=DRESSED)
def test_how_words_are_dressed_changes_nothing(dress):
    samples = list(read_rows(FOLDER / "further_development.jsonl", "joint"))
    dressed = [
        dataclasses.replace(
            sample,
            response="".join(
                part if MODEL_WROTE.fullmatch(part) else dress(part)
                for part in MODEL_WROTE.split(sample.response)
            ),
        )
        for sample in samples
    ]
    scorer = build_scorer({})
    scores = [[one.record["score"] for one in asyncio.run(scorer.score(form))] for form in (samples, dressed)]
    assert scores[1] == pytest.approx(scores[0], abs=0.005)
