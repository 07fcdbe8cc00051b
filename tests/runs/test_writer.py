from __future__ import annotations

import errno
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from medr3_plugin.errors import RunFailed, UserError
from medr3_plugin.runs.files import TRAIN, Labels, StageRecord
from medr3_plugin.runs.requests import promotion_requested, request_promotion
from medr3_plugin.runs.step_metrics import StepSample
from medr3_plugin.runs.writer import RunWriter, spread


def at(step: int) -> Labels:
    return Labels(step, "reasoning", step, TRAIN)


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_metrics_are_plain_finite_json(tmp_path):
    folder = RunWriter(tmp_path / "run")
    folder.append_metrics(at(1), {"a": 0.5, "nan": math.nan, "object": object()})
    folder.append_metrics(at(2), {})
    assert lines(folder.path / "metrics.jsonl") == [
        {"step": 1, "stage": "reasoning", "stage_step": 1, "kind": "train", "a": 0.5},
        {"step": 2, "stage": "reasoning", "stage_step": 2, "kind": "train"},
    ]


def test_a_resumed_run_forgets_later_steps_and_half_lines(tmp_path):
    folder = RunWriter(tmp_path)
    for step in (1, 2, 3):
        folder.append_metrics(at(step), {})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 4, "rew')
    folder.forget_after(2)
    assert [line["step"] for line in lines(tmp_path / "metrics.jsonl")] == [1, 2]


def test_forgetting_keeps_text_with_line_separators_and_survives_half_a_character(tmp_path):
    folder = RunWriter(tmp_path)
    samples = [StepSample("g", {"score": 1.0})]
    [kept] = folder.append_trajectories(at(1), samples, [0], ["a\u2028b\u0085c"])
    folder.append_trajectories(at(2), samples, [0], ["x"])
    with (tmp_path / "trajectories.jsonl").open("ab") as stream:
        stream.write('{"step": 3, "response": "é'.encode()[:-1])
    folder.forget_after(1)
    assert [json.loads(line) for line in (tmp_path / "trajectories.jsonl").open(encoding="utf-8")] == [kept]


def test_a_run_from_the_beginning_keeps_the_earlier_one(tmp_path):
    folder = RunWriter(tmp_path)
    assert folder.set_aside() is None
    for number in (1, 2):
        folder.append_metrics(at(number), {})
        folder.write_stages([StageRecord("reasoning", 0, 1)])
        request_promotion(tmp_path)  # meant for the earlier run
        aside = folder.set_aside()
        assert aside == tmp_path / f"previous-{number}"
        assert [line["step"] for line in lines(aside / "metrics.jsonl")] == [number] and (
            aside / "stages.json"
        ).is_file()
        assert not (tmp_path / "metrics.jsonl").exists()
        assert not promotion_requested(tmp_path, "reasoning")


def test_moving_an_earlier_run_away_goes_on_after_a_kill(tmp_path, monkeypatch):
    """Otherwise the new run would append to what was left."""
    folder = RunWriter(tmp_path)
    folder.append_metrics(at(1), {})
    folder.write_stages([StageRecord("reasoning", 0, 1)])
    (tmp_path / "trajectories.jsonl").write_text("{}\n")
    moves = []

    def killed_at_the_third(self, target, replace=Path.replace):
        moves.append(target)
        if len(moves) == 3:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed_at_the_third)
        folder.set_aside()
    assert RunWriter(tmp_path).set_aside() == tmp_path / "previous-1"
    assert sorted(file.name for file in (tmp_path / "previous-1").iterdir()) == [
        "metrics.jsonl",
        "stages.json",
        "trajectories.jsonl",
    ]
    assert not (tmp_path / "trajectories.jsonl").exists()


def test_stage_history_and_environment(tmp_path):
    folder = RunWriter(tmp_path)
    folder.write_stages([StageRecord("reasoning", 0, 1, 4, "max_steps 4", None)])
    assert json.loads((tmp_path / "stages.json").read_text())[0]["end_step"] == 4
    folder.write_environment()
    assert "medr3-plugin" in json.loads((tmp_path / "environment.json").read_text())["versions"]


def test_the_chosen_trajectories_span_the_scores():
    samples = [StepSample("g", {"score": float(i)}) for i in (3, 0, 1, 2, 4, 5, 6, 9, 8, 7)]
    assert [samples[i].record["score"] for i in spread(samples, 3)] == [0.0, 4.0, 9.0]
    assert sorted(spread(samples, 99)) == list(range(10)) and spread(samples, 0) == spread([], 3) == []


def test_a_trajectory_stands_beside_the_valid_ones_of_its_prompt(tmp_path):
    scores = [("a", 1.0, 1.0), ("a", 3.0, 1.0), ("a", 9.0, 0.0), ("b", 2.0, 1.0)]
    samples = [StepSample(group, {"score": score, "valid": valid}) for group, score, valid in scores]
    RunWriter(tmp_path).append_trajectories(at(7), samples, [1, 3], ["x", "y"])
    rows = lines(tmp_path / "trajectories.jsonl")
    assert [(row["step"], row["stage"], row["kind"], row["response"]) for row in rows] == [
        (7, "reasoning", "train", "x"),
        (7, "reasoning", "train", "y"),
    ]
    assert [row["group_scores"] for row in rows] == [[3.0, 1.0], [2.0]]


def test_a_folder_belongs_to_one_run(tmp_path):
    """A second process is refused by the folder's path; a killed one leaves the folder free."""
    hold = (
        "import sys, time\n"
        "from medr3_plugin.runs.writer import RunWriter\n"
        "writer = RunWriter(sys.argv[1])\n"
        "writer.claim()\n"
        "print('claimed', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"claimed\n"
            with pytest.raises(UserError) as refused:
                RunWriter(tmp_path).claim()
            assert str(tmp_path) in str(refused.value)
        finally:
            other.kill()
    RunWriter(tmp_path).claim()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named_with_the_file(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunFailed) as failed:
        RunWriter(tmp_path).append_metrics(at(1), {"a": 1.0})
    assert str(tmp_path / "metrics.jsonl") in str(failed.value) and "space" in str(failed.value)


def test_a_file_system_without_locks_is_used_with_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(*_, **__):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("medr3_plugin.runs.writer.FileLock.acquire", refuse)
    RunWriter(tmp_path).claim()
    assert str(tmp_path) in caplog.text
    monkeypatch.setattr(
        "medr3_plugin.runs.writer.FileLock.acquire", lambda *_, **__: (tmp_path / "no" / "x").read_text()
    )
    with pytest.raises(FileNotFoundError):
        RunWriter(tmp_path).claim()
