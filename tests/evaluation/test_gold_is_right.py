"""Gold is right: a row of every data set, in its own layout, answered in every form, on every path.

From the data set's file through `data prepare` to the reward manager, the evaluation and `medr3 score`: the right
answer is right on all of them, another option in the same form on none, and the three agree.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_policy import ScriptedPolicy

from medr3_plugin.data import prepare
from medr3_plugin.data.questions import parquet
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.evaluation.benchmarks import load_benchmark
from medr3_plugin.evaluation.rollout import Plan, tag_rollout
from medr3_plugin.evaluation.runner import Rows, run_benchmark
from medr3_plugin.rewards.score_rows import trajectory_of
from medr3_plugin.rewards.scorer import build_scorer

pytest.importorskip("pyarrow")

DRUGS = {"A": "Spironolactone", "B": "Amiloride", "C": "Furosemide", "D": "Mannitol"}
LONG = {
    "A": "Increased calcium, decreased phosphate and an increased concentration of parathyroid hormone in the serum",
    "B": "Decreased calcium, increased phosphate and an increased concentration of parathyroid hormone in the serum",
    "C": "Normal calcium, normal phosphate and a decreased concentration of parathyroid hormone in the serum",
    "D": "None of the above",
}
CHINESE = {"A": "缺铁性贫血", "B": "再生障碍性贫血", "C": "巨幼细胞贫血", "D": "溶血性贫血"}
BARE = {"A": "None", "B": "One", "C": "Two", "D": "Three"}


def choices(texts: dict[str, str], right: str, **row: Any) -> dict[str, Any]:
    return {"options": texts, "answer": texts[right], "answer_idx": right, "meta_info": "step1", **row}


FILES: dict[str, list[dict[str, Any]] | dict[str, Any]] = {
    "medqa_us": [
        choices(DRUGS, "C", question="Which of these is a loop diuretic?"),
        choices(LONG, "B", question="What does the serum show in chronic kidney disease?"),
    ],
    "medqa_mainland": [choices(CHINESE, "A", question="血清铁蛋白降低最常见于哪种疾病？")],
    "medmcqa": [
        {
            "id": str(n),
            "question": question,
            **dict(zip(("opa", "opb", "opc", "opd"), texts.values(), strict=True)),
            "cop": n,
        }
        for n, (question, texts) in enumerate(
            [
                ("How many vessels are found in a healthy cornea?", BARE),
                ("Which saves potassium by its channel?", DRUGS),
            ]
        )
    ],
    "mmlu_med": [
        {"question": "How many lobes?", "subject": "anatomy", "choices": list(BARE.values()), "answer": 3}
    ],
    "medxpertqa": [
        {
            "id": "Text-1",
            "question": "Loop? Answer Choices: (A) Spironolactone (B) Amiloride (C) Furosemide (D) Mannitol",
            "options": DRUGS,
            "label": "C",
            "medical_task": "Treatment",
            "body_system": "Urinary",
        }
    ],
    "pubmedqa": {
        str(n): {
            "QUESTION": f"Does it help, case {n}?",
            "CONTEXTS": [],
            "final_decision": word,
            "LONG_ANSWER": "",
        }
        for n, word in enumerate(("yes", "no", "maybe"), start=1)
    },
    "bioasq": {
        "questions": [
            {"id": "f1", "type": "yesno", "body": "Is it a kinase?", "exact_answer": "no", "documents": []},
            {
                "id": "f2",
                "type": "factoid",
                "body": "Which gene?",
                "exact_answer": [["FBN1"], ["fibrillin-1"]],
            },
        ]
    },
    "rarearena_rds": [
        {"_id": "1", "case_report": "A tall man.", "diagnosis": "Marfan syndrome", "Orpha_id": "558"}
    ],
    "generic": [
        {"id": "1", "question": "Which vitamin?", "answer": ["vitamin C", "ascorbic acid"]},
        {"id": "2", "question": "Which?", "options": list(DRUGS.values()), "answer": 2},
        {
            "id": "3",
            "question": "Which has its letters in the texts?",
            "options": [f"{letter}. {text}" for letter, text in DRUGS.items()],
            "answer": "C. Furosemide",
        },
    ],
    "search_r1": [
        {
            "prompt": [{"role": "user", "content": "Which antidote?"}],
            "reward_model": {"style": "rule", "ground_truth": {"target": ["naloxone", "Narcan"]}},
            "data_source": "nq",
            "extra_info": {"index": 1},
        }
    ],
}
LETTER_FORMS = (
    "{letter}", "({letter})", "{letter}.", "**{letter}**", "The answer is {letter}.", "Answer: {letter}",
    "Option {letter}",
    r"\boxed{{{letter}}}", '{{"answer": "{letter}"}}', "答案是{letter}", "选{letter}",
    "{letter}. {text}", "{letter}: {text}", "The answer is {letter}. {text}", "({letter}) {text}",
)  # fmt: skip
TEXT_FORMS = ("{text}", "**{text}**", "The answer is {text}.", "Answer: {text}", "答案是{text}")


def forms(letter: str, text: str) -> list[str]:
    """The answer in every form; of a question without options, as its text alone."""
    shapes = (*LETTER_FORMS, *TEXT_FORMS) if letter else TEXT_FORMS
    return [shape.format(letter=letter, text=text) for shape in shapes]


def others(options: dict[str, str] | None, answers: list[str]) -> Iterator[tuple[str, str]]:
    """Other options, for an open question another name."""
    if not options:
        yield "", "Loeys-Dietz syndrome"
    for letter, text in (options or {}).items():
        if text not in answers:
            yield letter, text


def said(answer: str) -> str:
    return f"<think>I know this one well enough.</think><answer>{answer}</answer>"


def prepared(folder: Path, name: str, form: str) -> tuple[Path, list[dict[str, Any]]]:
    content = FILES[name]
    source = folder / f"{name}_test.jsonl"
    if isinstance(content, list):
        source.write_text("".join(json.dumps(row) + "\n" for row in content))
    else:
        source = source.with_suffix(".json")
        source.write_text(json.dumps(content))
    loaded = prepare.load(name, str(source))
    assert not loaded.rejected and not loaded.skipped
    rows = list(prepare.training_rows(loaded.items, form=form))  # type: ignore[arg-type]
    out = folder / f"{name}.parquet"
    parquet.write_parquet(rows, out)
    import pyarrow.parquet as pq

    return out, pq.read_table(out).to_pylist()


@pytest.mark.parametrize("form", ["choice", "open"])
@pytest.mark.parametrize("name", FILES)
def test_gold_is_right_on_every_path(tmp_path: Path, name: str, form: str) -> None:
    file, rows = prepared(tmp_path, name, form)
    answers: dict[str, list[tuple[str, bool]]] = {}
    for row in rows:
        info = row["extra_info"]
        options = json.loads(info["options"] or "null")
        right = [
            (next((k for k, v in (options or {}).items() if v == text), ""), text) for text in info["answers"]
        ]
        given = [(text, True) for pair in right for text in forms(*pair)]
        given += [(text, False) for pair in others(options, info["answers"]) for text in forms(*pair)]
        answers[info["id"]] = given
    paths = {"evaluation": evaluated(tmp_path, name, file, answers), "score": scored(rows, answers)}
    if form == "choice":
        paths["rewards"] = rewarded(rows, answers)
    for path, verdicts in paths.items():
        wrong = [
            (answer, verdicts[key][number])
            for key, given in answers.items()
            for number, (answer, right) in enumerate(given)
            if (verdicts[key][number] == 1) != right
        ]
        assert not wrong, (path, wrong)


def scored(rows: list[dict[str, Any]], answers: dict[str, list[tuple[str, bool]]]) -> dict[str, list[float]]:
    samples = [
        trajectory_of({**json.loads(json.dumps(row)), "response": said(answer)}, "rows.jsonl:1", "joint")
        for row in rows
        for answer, _ in answers[row["extra_info"]["id"]]
    ]
    return _verdicts(samples)


def rewarded(
    rows: list[dict[str, Any]], answers: dict[str, list[tuple[str, bool]]]
) -> dict[str, list[float]]:
    pytest.importorskip("verl")
    from medr3_plugin.integrations.common import recorded

    samples = [
        recorded(row, said(answer), {}) for row in rows for answer, _ in answers[row["extra_info"]["id"]]
    ]
    return _verdicts(samples)


def _verdicts(samples: list[Any]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for result in asyncio.run(build_scorer({}).score(samples)):
        found.setdefault(result.id, []).append(result.record["acc"])
    return found


def evaluated(
    folder: Path, name: str, file: Path, answers: dict[str, list[tuple[str, bool]]]
) -> dict[str, list[float]]:
    _, questions = load_benchmark(f"{name}={file}")
    by_prompt = {question.prompt[-1]["content"]: question.sample.id for question in questions}

    def script(so_far: str, number: int) -> str:
        asked = next(key for prompt, key in by_prompt.items() if f"{prompt}\n" in so_far)
        given = answers[asked]
        return said(given[number % len(given)][0])

    samples = max(map(len, answers.values()))
    rows = Rows(folder / "out", {"model": "m"})

    async def search(_: str) -> list[Any]:
        return []

    plan = Plan(EnvironmentSettings(), 2000, samples)
    asyncio.run(
        run_benchmark(
            name,
            questions,
            roll_out=tag_rollout(ScriptedPolicy(script), search, plan),
            judge=None,
            plan=plan,
            rows=rows,
        )
    )
    return {
        key: [rows.rows[name, key, number]["reward"]["acc"] for number in range(len(given))]
        for key, given in answers.items()
    }


SHARED = (
    Path(os.environ.get("MEDR3_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    / "data"
    / "questions"
)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the developers' data (MEDR3_SHARED)")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("medqa_us", "medqa_us_dev.jsonl"),
        ("pubmedqa", "pubmedqa_dev.jsonl"),
        ("mmlu_med", "mmlu_anatomy_genetics.jsonl"),
    ],
)
def test_gold_is_right_on_real_questions(name: str, file: str) -> None:
    items = prepare.load(name, str(SHARED / file)).items[:150]
    samples, right = [], []
    for row in prepare.training_rows(items):
        info = row["extra_info"]
        options = json.loads(info["options"])
        letter = next(k for k, v in options.items() if v == info["answers"][0])
        for pair in ((letter, options[letter]), next(others(options, info["answers"]))):
            for answer in forms(*pair):
                samples.append(trajectory_of({**row, "response": said(answer)}, "rows.jsonl:1", "joint"))
                right.append(pair[0] == letter)
    results = asyncio.run(build_scorer({}).score(samples))
    accepted = [result.record["acc"] == 1 for result in results]
    assert not [s.response for s, a, r in zip(samples, accepted, right, strict=True) if a and not r]
    rejected = [s.response for s, a, r in zip(samples, accepted, right, strict=True) if r and not a]
    assert len(rejected) <= 0.002 * sum(right), rejected[:5]
