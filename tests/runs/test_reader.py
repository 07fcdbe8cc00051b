"""Run folders as one meets them: half-written, damaged, resumed, huge."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from report_fixture import make_run

from medr3_plugin.errors import UserError
from medr3_plugin.runs.files import StageRecord, read_stages
from medr3_plugin.runs.reader import read_run
from medr3_plugin.runs.report.tiles import by_stage, summarise


def write_metrics(folder: Path, *rows: dict[str, object]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_finished_run(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run"))
    assert run.finished and run.notes == ()
    assert [(s.name, s.start_step, s.end_step) for s in run.stages] == [
        ("reasoning", 1, 24),
        ("retrieval", 25, 48),
        ("joint", 49, 72),
    ]
    summary = summarise(run)
    assert summary["steps"] == 72 and summary["acc"]["last"] > summary["acc"]["first"]
    assert summary["val_acc"]["best_step"] == 72


def test_stages_of_before_have_no_index(tmp_path: Path) -> None:
    (tmp_path / "stages.json").write_text(
        '[{"name": "a", "start_step": 1, "end_step": 2}, {"name": "b", "start_step": 3}]'
    )
    assert [stage.index for stage in read_stages(tmp_path / "stages.json")] == [0, 1]


def test_run_in_progress_shows_the_stage_that_is_not_in_stages_json(tmp_path: Path) -> None:
    run = read_run(make_run(tmp_path / "run", running=True))
    assert not run.finished and run.notes == ()  # half a last line is no news
    assert run.stages[-1] == StageRecord("joint", 2, 49)
    assert run.rows("train")[-1].step == 60


def test_stages_are_compared_by_their_own_steps(tmp_path: Path) -> None:
    write_metrics(
        tmp_path,
        {"step": 0, "stage": "a", "kind": "val", "reward/acc": 0.9},
        {"step": 1, "stage": "a", "kind": "train", "reward/acc": 0.1},
        {"step": 2, "stage": "a", "kind": "train", "reward/acc": 0.2},
        {"step": 3, "stage": "b", "kind": "train", "reward/acc": 0.4, "search/hit_at_k": float("nan")},
        {"step": 3, "stage": "b", "kind": "val", "reward/acc": 0.5},
    )
    first, second = by_stage(read_run(tmp_path))
    assert first == {
        "name": "a", "steps": 2, "validation": None, "values": {"accuracy": {"first": 0.1, "last": 0.2}},
    }  # fmt: skip
    assert second["validation"] == 0.5 and set(second["values"]) == {"accuracy"}


def test_shares_say_what_they_stand_on(tmp_path: Path) -> None:
    step = {"stage": "a", "kind": "train", "samples": 8}
    write_metrics(
        tmp_path,
        *({"step": i, "reward/acc": acc, **step} for i, acc in enumerate([0.0, 0.5, 0.5, 1.0], start=1)),
        {"step": 4, "stage": "a", "kind": "val", "reward/acc": 1.0, "samples": 12},
    )
    found = summarise(read_run(tmp_path))
    assert (found["acc"]["first"], found["acc"]["last"], found["acc"]["samples"]) == (0.25, 0.75, 16)
    assert 0.5 < found["acc"]["low"] < 0.75 < found["acc"]["high"] < 0.92
    assert found["val_acc"]["last"] == found["val_acc"]["high"] == 1 and 0.7 < found["val_acc"]["low"] < 0.8


def test_between_two_stages_the_config_says_that_more_is_to_come(tmp_path: Path) -> None:
    write_metrics(tmp_path, {"step": 1, "stage": "a", "kind": "train"})
    (tmp_path / "stages.json").write_text('[{"name": "a", "index": 0, "start_step": 1, "end_step": 1}]')
    assert read_run(tmp_path).finished
    (tmp_path / "config.yaml").write_text("medr3: {stages: [{name: a}, {name: b}]}")
    assert not read_run(tmp_path).finished


def test_empty_folder(tmp_path: Path) -> None:
    run = read_run(tmp_path)
    assert (run.metrics, run.stages, run.trajectories, run.finished) == ((), (), (), False)
    assert any("metrics.jsonl" in note for note in run.notes)
    assert summarise(run)["steps"] == 0 and by_stage(run) == []


def test_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        read_run(tmp_path / "nowhere")


def test_damaged_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(
        b'{"step": 1, "kind": "train", "x": 1}\n\xff\xfe\n[1]\n\n{"kind": "train"}\n'
        b'{"step": 2, "kind": "train", "x": NaN}\n{"st'
    )
    run = read_run(tmp_path)
    assert [(row.step, row.values["x"]) for row in run.metrics] == [(1, 1.0), (2, None)]
    assert [n.split(" is ")[0].split(" has ")[0] for n in run.notes[:3]] == [
        "metrics.jsonl line 2",
        "metrics.jsonl line 3",
        "metrics.jsonl line 5",
    ]


def test_resumed_run_counts_the_later_line(tmp_path: Path) -> None:
    write_metrics(
        tmp_path,
        {"step": 1, "kind": "train", "x": 1},
        {"step": 2, "kind": "train", "x": 2},
        {"step": 2, "kind": "val", "x": 9},
        {"step": 2, "kind": "train", "x": 3},
    )
    run = read_run(tmp_path)
    assert [(r.step, r.kind, r.values["x"]) for r in run.metrics] == [
        (1, "train", 1),
        (2, "train", 3),
        (2, "val", 9),
    ]
    assert any("more than once" in note for note in run.notes)


def test_half_written_stages_fall_back_to_the_metrics(tmp_path: Path) -> None:
    write_metrics(tmp_path, *({"step": s, "kind": "train", "stage": "ab"[s > 3]} for s in range(1, 6)))
    (tmp_path / "stages.json").write_text('[{"name": "a", ')
    run = read_run(tmp_path)
    assert run.stages == (StageRecord("a", 0, 1, 3), StageRecord("b", 1, 4))
    assert any("stages.json could not be read" in note for note in run.notes)


@pytest.mark.parametrize(("most", "limit"), [(10, 10**9), (10**6, 4000), (1, 10**9)])
def test_trajectories_are_sampled_evenly_within_the_budget(tmp_path: Path, most: int, limit: int) -> None:
    lines = [json.dumps({"step": s, "response": "x" * 50}) + "\n" for s in range(1000)]
    (tmp_path / "trajectories.jsonl").write_text("".join(lines))
    run = read_run(tmp_path, max_trajectories=most, max_bytes=limit)
    steps = [row["step"] for row in run.trajectories]
    assert steps[-1] == 999 and steps == sorted(set(steps)) and run.trajectory_total == 1000
    assert len(steps) <= most and sum(len(lines[s]) for s in steps) <= max(limit, len(lines[0]))
    assert any(" MB" in note for note in run.notes) == (limit == 4000)
    gaps = {b - a for a, b in itertools.pairwise(steps)}
    assert not gaps or max(gaps) - min(gaps) <= 1
