"""Stages in verl's own loop, in its three modes, without models (tests/training has real ones)."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

pytest.importorskip("verl")

from loop_without_models import BATCH, MODES, make, run, trained
from verl.workers.engine_workers import TrainingWorker

from medr3_plugin.errors import UserError
from medr3_plugin.runs.requests import request_promotion
from medr3_plugin.stages.state import StageState

ASYNC = [mode for mode in MODES if mode.endswith("async")]

STAGES = [
    {"name": "reasoning", "until": {"max_steps": 3}, "learning_rate": 1e-5, "temperature": 0.9},
    {"name": "retrieval", "until": {"max_steps": 2}, "handover": "weights+optimizer"},
    {"name": "joint", "until": {"max_steps": 4}},
]
STAGE_OF_STEP = ["reasoning"] * 3 + ["retrieval"] * 2 + ["joint"] * 4
EARLY = {"max_steps": 9, "metric": "acc", "threshold": 0.4, "window": 1, "min_steps": 2}


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    def build(mode: str = "medr3_progressive", stages=STAGES, *overrides: str, **options: Any):
        return make(mode, tmp_path, stages, *overrides, monkeypatch=monkeypatch, **options)

    return build


def lines(trainer: Any, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (trainer.run_folder.path / name).read_text().splitlines()]


def history(trainer: Any) -> list[tuple[str, int, int, str]]:
    stages = json.loads((trainer.run_folder.path / "stages.json").read_text())
    return [(stage["name"], stage["start_step"], stage["end_step"], stage["reason"]) for stage in stages]


def told(trainer: Any, *kinds: str) -> list[tuple[Any, ...]]:
    return [entry[:2] for entry in trainer.told if entry[0] in kinds]


@pytest.mark.parametrize("mode", MODES)
def test_each_step_trains_on_prompts_of_its_own_stage(trainer, mode):
    done = run(trainer(mode))
    steps = trained(done)
    assert [{prompt.stage for prompt in steps[step]} for step in sorted(steps)] == [
        {s} for s in STAGE_OF_STEP
    ]
    assert all(len(prompts) == BATCH for prompts in steps.values())
    questions = [prompt.question for prompts in steps.values() for prompt in prompts]
    assert len(set(questions)) == len(questions)
    assert history(done) == [
        ("reasoning", 1, 3, "max_steps 3"),
        ("retrieval", 4, 5, "max_steps 2"),
        ("joint", 6, 9, "max_steps 4"),
    ]
    temperatures = {entry[1]: entry[3] for entry in done.told if entry[0] == "train"}
    assert temperatures[3] == 0.9 and temperatures[4] == 0.8
    assert not any(done.queue.tags.values()) and not done.rollouts.waiting  # nothing was rolled out in vain


@pytest.mark.parametrize("mode", ASYNC)
def test_asynchronous_modes_roll_out_ahead_within_a_stage(trainer, mode):
    steps = trained(run(trainer(mode)))
    lag = {step: max(step - prompt.drawn for prompt in prompts) for step, prompts in steps.items()}
    assert [lag[first] for first in (1, 4, 6)] == [0, 0, 0]  # nothing can be drawn before its stage
    assert max(lag.values()) >= 1 and all(lag[step] >= 1 for step in (3, 5, 9))


def test_the_synchronous_mode_does_not(trainer):
    assert all(prompt.drawn == step for step, drawn in trained(run(trainer())).items() for prompt in drawn)


@pytest.mark.parametrize("mode", MODES)
def test_a_stage_that_ends_early_leaves_nothing_to_the_next_one(trainer, mode, capsys):
    done = run(trainer(mode, [{"name": "reasoning", "until": EARLY}, STAGES[2]]))
    assert history(done)[0][1:3] == (1, 2)
    steps = trained(done)
    assert [{prompt.stage for prompt in steps[step]} for step in sorted(steps)] == [{"reasoning"}] * 2 + [
        {"joint"}
    ] * 4
    assert not any(done.queue.tags.values())
    assert (f"{BATCH} prompts" in capsys.readouterr().out) == (mode in ASYNC)


KILLS = [("rollout", 2), ("save", 3), ("saved", 3), ("rollout", 4), ("update", 8)]


@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: f"{kill[0]}-{kill[1]}")
@pytest.mark.parametrize("mode", MODES)
def test_a_killed_run_ends_as_one_that_was_not(trainer, mode, kill):
    killed = run(trainer(mode, STAGES, "trainer.save_freq=1", kill_at=kill))
    resumed = run(trainer(mode, STAGES, "trainer.save_freq=1", seed=1))
    assert [line["stage"] for line in lines(resumed) if line["kind"] == "train"] == STAGE_OF_STEP
    assert [line["step"] for line in lines(resumed) if line["kind"] == "train"] == list(range(1, 10))
    assert [entry[:3] for entry in history(resumed)] == [
        ("reasoning", 1, 3),
        ("retrieval", 4, 5),
        ("joint", 6, 9),
    ]
    steps = trained(killed, resumed)
    assert [{prompt.stage for prompt in steps[step]} for step in sorted(steps)] == [
        {s} for s in STAGE_OF_STEP
    ]
    assert not any(resumed.queue.tags.values())
    # every question once, the same ones as without a kill
    questions = sorted(prompt.question for prompts in steps.values() for prompt in prompts)
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize("mode", MODES)
def test_a_kill_does_not_change_the_questions_of_a_stage(tmp_path, monkeypatch, mode):
    def questions(folder, kill_at):
        folder.mkdir()
        killed = run(
            make(mode, folder, STAGES, "trainer.save_freq=1", kill_at=kill_at, monkeypatch=monkeypatch)
        )
        again = run(make(mode, folder, STAGES, "trainer.save_freq=1", monkeypatch=monkeypatch, seed=5))
        return {
            (prompt.stage, prompt.question)
            for prompts in trained(killed, again).values()
            for prompt in prompts
        }

    assert questions(tmp_path / "a", None) == questions(tmp_path / "b", ("update", 2))


def test_a_hand_over_in_order(trainer):
    done = run(trainer())
    first = [entry for entry in done.told if entry[0] != "train"]
    assert first[1:4] == [  # after the call that starts the first stage
        ("validate", 3),
        ("begin", {"total_steps": 2, "learning_rate": None, "reset_optimizer": True}),
        ("save", 3),
    ]
    assert first[0][1] == {"total_steps": 3, "learning_rate": 1e-5, "reset_optimizer": False}
    assert first[5][1]["reset_optimizer"] is False  # of joint: retrieval hands over its optimizer
    folder = done.run_folder.path / "checkpoints/global_step_3"
    assert StageState.load(folder, done.schedule).index == 1
    stages = json.loads((done.run_folder.path / "stages.json").read_text())
    assert stages[0]["checkpoint"] == str(folder)


def test_a_learning_rate_schedule_covers_the_local_updates_of_its_stage(trainer, tmp_path):
    sync, separate = (
        run(trainer()),
        run(trainer("medr3_separate_async", STAGES, f"paths.run={tmp_path / 'separate'}")),
    )
    totals = [
        [entry[1]["total_steps"] for entry in done.told if entry[0] == "begin"] for done in (sync, separate)
    ]
    assert totals == [[3, 2, 4], [6, 4, 8]]  # two parameter updates per step in `separate_async`
    # however many mini-batches an update has: verl moves the schedule after the last one alone
    source = inspect.getsource(TrainingWorker.train_mini_batch)
    assert "update_lr_scheduler=batch_idx == total_num_iterations - 1" in source


ALONE = [{"name": "reasoning", "until": EARLY}]
NO_HANDOVER = ("medr3.checkpoint_at_handover=false", "medr3.validate_at_handover=false")


def test_a_run_that_ends_early_is_saved_and_validated_as_one_that_does_not(trainer):
    """verl saves and validates at the step it was told to be the last; a plateau comes before."""
    done = run(
        trainer("medr3_progressive", ALONE, "trainer.save_freq=50", "trainer.test_freq=50", *NO_HANDOVER)
    )
    assert told(done, "validate", "save") == [("validate", 2), ("save", 2)]


def test_without_saving_and_validation_an_early_end_does_neither(trainer):
    done = run(
        trainer("medr3_progressive", ALONE, "trainer.save_freq=-1", "trainer.test_freq=-1", *NO_HANDOVER)
    )
    assert told(done, "validate", "save") == [] and history(done)[0][2] == 2


def test_a_save_inside_a_step_waits_for_its_end_and_happens_once(trainer):
    done = run(trainer("medr3_progressive", STAGES, "trainer.save_freq=1"))
    assert told(done, "save") == [("save", step) for step in range(1, 10)]
    for step in (1, 3, 4):
        state = StageState.load(done.run_folder.path / f"checkpoints/global_step_{step}", done.schedule)
        assert (state.index, state.stage_step) == {1: (0, 1), 3: (1, 0), 4: (1, 1)}[step]


def test_a_stage_ends_by_hand(trainer):
    waiting = trainer()
    waiting.run_folder.write_stages(waiting.state.history)
    assert request_promotion(waiting.run_folder.path) == "reasoning"
    waiting.run_folder.set_aside = lambda: None  # the request is of this run
    assert history(run(waiting))[0][2:] == (1, "manual: medr3 promote")


def test_a_schedule_that_got_a_stage_after_its_end_resumes_with_it(trainer):
    run(trainer())
    added = {"name": "more", "until": {"max_steps": 2}, "learning_rate": 1e-6}
    again = run(trainer("medr3_progressive", [*STAGES, added]))
    begins = [entry[1] for entry in again.told if entry[0] == "begin"]
    # loaded, then begun as after any hand-over: its own data from the start, a new optimizer
    assert begins[-1] == {"total_steps": 2, "learning_rate": 1e-6, "reset_optimizer": True}
    assert history(again)[-1][:3] == ("more", 10, 11)
    assert {prompt.stage for prompts in trained(again).values() for prompt in prompts} == {"more"}


@pytest.mark.parametrize("mode", MODES)
def test_a_finished_run_that_is_started_again_has_nothing_to_do(trainer, mode):
    run(trainer(mode))
    again = run(trainer(mode))
    assert trained(again) == {} and len(lines(again)) == 12  # nine steps, three validations
    assert not again.rollouts.waiting


def test_a_position_in_other_data_is_not_restored(trainer, tmp_path, capsys):
    for name, rows, restarted in (("same", "", False), ("longer", "80", True)):
        folder = tmp_path / name
        folder.mkdir()
        run(
            trainer(
                "medr3_progressive",
                STAGES,
                f"paths.run={folder}",
                "trainer.save_freq=1",
                kill_at=("update", 3),
            )
        )
        (tmp_path / "reasoning.parquet").write_text(rows)
        again = run(trainer("medr3_progressive", STAGES, f"paths.run={folder}", "trainer.save_freq=1"))
        assert ("start over" in capsys.readouterr().out) == restarted
        assert [line["step"] for line in lines(again) if line["kind"] == "train"] == list(range(1, 10))


def test_a_changed_schedule_is_refused_before_anything_is_forgotten(trainer):
    done = run(trainer("medr3_progressive", STAGES, "trainer.save_freq=1", kill_at=("update", 3)))
    done.run_folder.append_trajectories(done._labels("train")._replace(step=99), [], [], [])
    before = (done.run_folder.path / "metrics.jsonl").read_text()
    with pytest.raises(UserError, match=r"medr3\.stages"):
        run(trainer("medr3_progressive", [{**STAGES[0], "name": "other"}, *STAGES[1:]]))
    assert (done.run_folder.path / "metrics.jsonl").read_text() == before


@pytest.mark.parametrize("mode", MODES)
def test_what_a_step_leaves(trainer, mode):
    done = run(trainer(mode))
    train = [line for line in lines(done) if line["kind"] == "train"]
    assert [line["stage/ended"] for line in train] == [0, 0, 1, 0, 1, 0, 0, 0, 1]
    assert [line["stage_step"] for line in train] == [1, 2, 3, 1, 2, 1, 2, 3, 4]
    assert all(line["reward/acc"] == 0.5 and line["actor/lr"] == 1e-5 for line in train)
    assert all(line["zero_variance_groups"] == 0 and line["invalid_share"] == 0 for line in train)
    rows = [row for row in lines(done, "trajectories.jsonl") if row["kind"] == "train"]
    assert {(row["step"], row["stage"]) for row in rows} == set(enumerate(STAGE_OF_STEP, start=1))
    assert all(row["response"] == f"answer to {row['id']}" for row in rows)
    assert all(row["group_scores"] == [1.0, 0.0] for row in rows)


def test_what_a_validation_leaves(trainer, caplog):
    done = run(trainer("medr3_progressive", [STAGES[1]]))
    [line] = [line for line in lines(done) if line["kind"] == "val"]
    assert (line["step"], line["reward/acc"], line["failures/judge_timeout"]) == (2, 0.5, 1)
    assert "zero_variance_groups" not in line  # one sample a prompt
    texts = {row["response"] for row in lines(done, "trajectories.jsonl") if row["kind"] == "val"}
    assert texts == {"one", "two", "three"}
    assert not [entry for entry in caplog.records if entry.levelname == "ERROR"]


def test_validation_metrics_leave_invalid_samples_out_and_many_are_an_error(trainer, caplog):
    waiting = trainer("medr3_progressive", [STAGES[1]])
    waiting.init()
    waiting.logger = type("Tracking", (), {"logger": {}})
    metrics = waiting._validate()
    assert metrics["val-core/a/acc/mean@1"] == metrics["val/reward/acc"] == 0.5
    assert not any("/b/" in key for key in metrics)
    waiting.validation = (0.0, 1.0, 0.0)
    assert waiting._validate()["val-core/a/acc/mean@1"] == 0.0
    assert "67%" in caplog.text and "judge_timeout: 1" in caplog.text


@pytest.mark.parametrize("mode", MODES)
def test_too_many_invalid_samples_stop_the_run_and_name_the_service(trainer, mode):
    with pytest.raises(RuntimeError, match=r"step \d: .*judge_timeout: "):
        run(trainer(mode, STAGES, invalid=0.9))


def test_a_step_in_which_nothing_is_left_stops_the_run(trainer):
    with pytest.raises(RuntimeError, match=r"step 1: .*judge_timeout"):
        run(trainer("medr3_progressive", STAGES, "medr3.max_invalid_share=1.0", invalid=1.0))


def test_trajectories_that_verl_lost_count_as_invalid(trainer):
    with pytest.raises(RuntimeError, match=r"step 1: .*trajectory_lost: 4"):
        run(trainer("medr3_progressive", STAGES, "medr3.max_invalid_share=0.4", lost=1))


def test_a_dead_reward_worker_or_rollout_server_stops_the_run(trainer):
    """verl logs each trajectory's `ActorDiedError` and leaves it out of its group: here there is none left."""
    with pytest.raises(RuntimeError, match="no materializable trajectories"):  # tests/runs/test_log_errors.py
        run(trainer("medr3_progressive", STAGES, lost=2))


def test_tensorboard_shows_our_metrics_the_stages_and_trajectories(trainer, tmp_path, monkeypatch):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path / "board"))
    done = run(trainer("medr3_progressive", STAGES, "trainer.logger=[tensorboard]"))
    done.logger.finish()
    board = accumulator.EventAccumulator(str(tmp_path / "board"))
    board.Reload()
    ended = [(event.step, event.value) for event in board.Scalars("stage/ended")]
    assert [step for step, value in ended if value] == [3, 5, 9] and len(ended) == 9
    assert {"reward/acc", "search/share", "invalid_share", "stage/index", "val/reward/acc"} <= set(
        board.Tags()["scalars"]
    )
    texts = [
        event.tensor_proto.string_val[0].decode()
        for tag in board.Tags()["tensors"]
        if tag.startswith("medr3/trajectories")
        for event in board.Tensors(tag)
    ]
    assert any("answer to reasoning:" in text for text in texts) and any("two" in text for text in texts)
