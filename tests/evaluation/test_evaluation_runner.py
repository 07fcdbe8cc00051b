"""Running benchmarks: rows, verdicts, resuming, services that fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from characters import Characters
from scripted_policy import Script, ScriptedPolicy, search_then

from medr3_plugin.environment.episode import Generation
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import InfrastructureFailure, JudgeFailure, RetrievalFailure, UserError
from medr3_plugin.evaluation.benchmarks import Question
from medr3_plugin.evaluation.results import results
from medr3_plugin.evaluation.rollout import Plan, tag_rollout
from medr3_plugin.evaluation.runner import Rows, read_rows, read_settings, run_benchmark
from medr3_plugin.judge.base import RIGHT, Verdict
from medr3_plugin.records import Document, Hit, Sample

PLAN = Plan(
    EnvironmentSettings(document_tokens=200, search_tokens=400, answer_reserve=50), 2000, concurrency=4
)


def questions(count: int, answer: str = "Marfan syndrome") -> list[Question]:
    return [
        Question(
            Sample(
                id=f"q{i}",
                question=f"Which disease is it, case {i}?",
                response="",
                answers=(answer,),
                gold_docs=("d1", "d9"),
            ),
            ({"role": "user", "content": f"Which disease is it, case {i}?"},),
        )
        for i in range(count)
    ]


async def find(query: str) -> list[Hit]:
    return [
        Hit(
            Document("d1", "Lens luxation, tall stature.", title="Marfan syndrome", evidence_type="profile"),
            3.0,
        )
    ]


async def run(
    out: Path, script: Script, *, count: int = 3, search: Any = find, judge: Any = None, plan: Plan = PLAN
) -> ScriptedPolicy:
    policy = ScriptedPolicy(script)
    await run_benchmark(
        "rare",
        questions(count),
        roll_out=tag_rollout(policy, search, plan),
        judge=judge,
        plan=plan,
        rows=Rows(out, {"model": "m"}),
    )
    return policy


async def test_rows_hold_the_trajectory_and_its_verdict(tmp_path: Path) -> None:
    await run(tmp_path, search_then("Marfan's syndrome"))
    rows = read_rows(tmp_path / "trajectories.jsonl")
    assert [row["id"] for row in rows] == ["q0", "q1", "q2"]
    row = rows[0]
    assert row["reward"]["acc"] == 1 and row["reasons"]["answer"]["given"] == "Marfan's syndrome"
    assert row["searches"][0]["documents"][0]["id"] == "d1" and row["gold_recall"] == 0.5
    assert "<document>" in row["response"] and row["inserted_tokens"] > 0
    (result,) = results(rows)
    assert (result.questions, result.accuracy.mean, result.searches, result.gold_recall) == (3, 1.0, 1.0, 0.5)


@pytest.mark.parametrize("prefill", [True, False])
@pytest.mark.parametrize("template_opens", [True, False])
async def test_think_is_opened_once_by_whoever_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefill: bool, template_opens: bool
) -> None:
    template = Characters.apply_chat_template
    if template_opens:
        monkeypatch.setattr(
            Characters,
            "apply_chat_template",
            lambda self, *a, **k: [*template(self, *a, **k), *map(ord, "<think>\n")],
        )
    plan = Plan(EnvironmentSettings(prefill_think=prefill), 2000)
    thought = "" if prefill or template_opens else "<think>"
    asked: list[str] = []

    def script(so_far: str, sample: int) -> str:
        asked.append(so_far)
        return f"{thought}so it is</think><answer>Marfan syndrome</answer>"

    await run(tmp_path, script, count=1, plan=plan)
    assert asked[0].count("<think>") == (prefill or template_opens)
    [row] = read_rows(tmp_path / "trajectories.jsonl")
    assert row["response"].count("<think>") == 1 and row["reward"]["acc"] == 1


async def test_a_passage_of_a_gold_document_is_recalled(tmp_path: Path) -> None:
    async def find_passage(query: str) -> list[Hit]:
        return [Hit(Document("d1#c4", "Lens luxation."), 3.0)]

    await run(tmp_path, search_then("Marfan syndrome"), search=find_passage)
    assert read_rows(tmp_path / "trajectories.jsonl")[0]["gold_recall"] == 0.5


async def test_documents_count_as_inserted_not_generated(tmp_path: Path) -> None:
    await run(tmp_path, search_then("x"), count=1)
    (row,) = read_rows(tmp_path / "trajectories.jsonl")
    written = "<think>let me look<search>ectopia lentis</search>so it is</think><answer>x</answer>"
    assert row["generated_tokens"] == len(written)
    assert row["inserted_tokens"] == len(row["response"]) - len(written)


async def test_done_samples_are_not_generated_again(tmp_path: Path) -> None:
    first = await run(tmp_path, search_then("a"), count=2)
    second = await run(tmp_path, search_then("a"), count=3)
    assert (first.calls, second.calls) == (4, 2)
    assert len(read_rows(tmp_path / "trajectories.jsonl")) == 3


async def test_a_half_written_row_is_done_again(tmp_path: Path) -> None:
    await run(tmp_path, search_then("a"), count=2)
    file = tmp_path / "trajectories.jsonl"
    file.write_bytes(file.read_bytes()[:-40])
    await run(tmp_path, search_then("a"), count=2)
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["q0", "q1"]


async def test_a_server_that_dies_loses_nothing(tmp_path: Path) -> None:
    def dies(so_far: str, sample: int) -> str | None:
        return search_then("Marfan syndrome")(so_far, sample) if "case 0?" in so_far else None

    with pytest.raises(InfrastructureFailure, match=r"^20 "):
        await run(tmp_path, dies, count=60)
    assert [row["id"] for row in read_rows(tmp_path / "trajectories.jsonl")] == ["q0"]
    await run(tmp_path, search_then("Marfan syndrome"), count=60)
    (result,) = results(read_rows(tmp_path / "trajectories.jsonl"))
    assert (result.questions, result.invalid, result.accuracy.mean) == (60, 0, 1.0)


class Judge:
    """Says right, unless it is out of order."""

    def __init__(self, works: bool) -> None:
        self.works, self.calls = works, 0

    async def verdict(self, **asked: Any) -> Verdict:
        self.calls += 1
        if not self.works:
            raise JudgeFailure("no", "timeout")
        return Verdict(RIGHT, "means the same", "test")


async def test_a_failed_judge_makes_the_sample_invalid_and_only_judges_again(tmp_path: Path) -> None:
    script = search_then("a hereditary disorder of connective tissue")
    await run(tmp_path, script, judge=Judge(works=False))
    rows = read_rows(tmp_path / "trajectories.jsonl")
    assert {row["reward"]["valid"] for row in rows} == {0.0} and results(rows) == []
    policy = await run(tmp_path, script, judge=Judge(works=True))
    assert policy.calls == 0
    (result,) = results(read_rows(tmp_path / "trajectories.jsonl"))
    assert (result.accuracy.mean, result.invalid) == (1.0, 0)


async def test_without_a_judge_an_undecided_answer_is_wrong(tmp_path: Path) -> None:
    await run(tmp_path, search_then("a hereditary disorder of connective tissue"), count=1)
    (row,) = read_rows(tmp_path / "trajectories.jsonl")
    assert row["reward"]["acc"] == 0 and "no judge" in row["reasons"]["answer"]["reason"]


async def test_a_failed_search_makes_the_sample_invalid(tmp_path: Path) -> None:
    async def broken(query: str) -> list[Hit]:
        raise RetrievalFailure("no", "timeout")

    await run(tmp_path, search_then("Marfan syndrome"), count=2, search=broken)
    rows = read_rows(tmp_path / "trajectories.jsonl")
    assert all(row["reward"]["valid"] == 0 and row["searches"][0]["failure"] == "timeout" for row in rows)
    again = await run(tmp_path, search_then("Marfan syndrome"), count=2)
    assert again.calls == 4 and results(read_rows(tmp_path / "trajectories.jsonl"))[0].invalid == 0


async def test_a_generation_that_the_engine_aborted_is_tried_again(tmp_path: Path) -> None:
    class Aborts(ScriptedPolicy):
        def sampler(self, *_: Any) -> Any:
            async def generate(token_ids: list[int], **_: Any) -> Generation:
                return Generation([], aborted=True)

            return generate

    asked, rows = questions(1), Rows(tmp_path, {"model": "m"})
    for policy in (Aborts(search_then("")), ScriptedPolicy(search_then("Marfan syndrome"))):
        roll_out = tag_rollout(policy, find, PLAN)
        failure = await run_benchmark("rare", asked, roll_out=roll_out, judge=None, plan=PLAN, rows=rows)
        assert ("aborted" in failure) == isinstance(policy, Aborts)
        assert [row["reward"]["acc"] for row in rows.rows.values()] == [1.0] * (not failure)


async def test_forged_documents_are_wrong_whatever_is_answered(tmp_path: Path) -> None:
    await run(tmp_path, lambda so_far, sample: "<think><document>it is Marfan syndrome</document>", count=1)
    (row,) = read_rows(tmp_path / "trajectories.jsonl")
    assert row["forged"] and row["reward"]["acc"] == 0


async def test_pass_at_n_counts_any_right_sample(tmp_path: Path) -> None:
    def lucky(so_far: str, sample: int) -> str:
        return f"<think>x</think><answer>{'Marfan syndrome' if sample == 2 else 'Graves disease'}</answer>"

    await run(tmp_path, lucky, count=2, plan=Plan(PLAN.settings, 2000, samples=4))
    (result,) = results(read_rows(tmp_path / "trajectories.jsonl"))
    assert (result.n, result.accuracy.mean, result.pass_at_n, result.samples) == (4, 0.25, 1.0, 8)


async def test_other_settings_need_another_folder(tmp_path: Path) -> None:
    Rows(tmp_path, {"model": "typo", "seed": 0})  # it holds no results, so another model may start over
    rows = Rows(tmp_path, {"model": "a", "seed": 0})
    rows.add({"benchmark": "b", "id": "1", "sample": 0})
    Rows(tmp_path, {"model": "a", "seed": 0})
    with pytest.raises(UserError, match=r"seed=0.*1.*--out"):
        Rows(tmp_path, {"model": "a", "seed": 1})


@pytest.mark.parametrize("text", ["{", "[]"])
def test_broken_settings_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(UserError, match=r"evaluation\.json.*--out"):
        Rows(tmp_path, {"model": "a"})
    with pytest.raises(UserError, match=r"evaluation\.json"):
        read_settings(tmp_path)
