"""What the trainer mode tells the advantage estimator, and when it stops a run (tests/training has the real one)."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("verl")

import torch
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta
from verl.workers.engine_workers import TrainingWorker

from medr3_plugin.errors import UserError
from medr3_plugin.runs.requests import request_promotion
from medr3_plugin.runs.step_metrics import DETAIL_KEY
from medr3_plugin.runs.writer import RunWriter
from medr3_plugin.stages import samples
from medr3_plugin.stages.schedule import Schedule, StageSpec
from medr3_plugin.stages.settings import ProgressSettings
from medr3_plugin.stages.state import StageState
from medr3_plugin.stages.trainer import PPOTrainerSync, ProgressiveTrainer

PADDING = None


def batch(*valid: float) -> KVBatchMeta:
    """Rows of one prompt with these `valid` values."""
    keys = [f"a_{i}_0" for i in range(len(valid))]
    return KVBatchMeta(keys=keys, tags=[{"valid": value} for value in valid], partition_id="train")


@pytest.fixture
def trainer(monkeypatch):
    """A trainer as far as it decides what trains."""
    made = ProgressiveTrainer.__new__(ProgressiveTrainer)
    made.timing_raw, made.global_steps = {}, 7
    made.settings = SimpleNamespace(max_invalid_share=0.5)
    made.config = OmegaConf.create(
        {
            "data": {"train_batch_size": 1},
            "actor_rollout_ref": {"rollout": {"n": 3}},
            "algorithm": {"adv_estimator": "medr3_grpo"},
        }
    )

    def read(keys, partition_id, select_fields):
        tags = dict(zip(made.batch.keys, made.batch.tags, strict=True))
        failures = {key: [] if tags[key]["valid"] else ["judge_timeout"] for key in keys}
        infos = [
            {"score": 1.0, "valid": tags[key]["valid"], DETAIL_KEY: json.dumps({"failures": failures[key]})}
            for key in keys
        ]
        return {
            "uid": ["a"] * len(keys),
            "extra_fields": [{"reward_extra_info": info} for info in infos],
            "rm_scores": torch.ones(len(keys), 3),
        }

    monkeypatch.setattr(samples.tq, "kv_batch_get", read)
    return made


def test_too_many_invalid_samples_stop_the_run_and_name_the_service(trainer):
    trainer.batch = batch(1.0, 0.0, 0.0)
    message = r"step 7: 67% of the samples are invalid, .*max_invalid_share=50%; failures: judge_timeout: 2"
    with pytest.raises(RuntimeError, match=message):
        trainer._without_invalid(trainer.batch)


def test_a_step_in_which_nothing_is_left_stops_the_run(trainer):
    trainer.settings.max_invalid_share = 1.0
    trainer.batch = batch(1.0, 0.0, 0.0)  # one sample is valid, and has nothing to be compared with
    with pytest.raises(RuntimeError, match="judge_timeout: 2"):
        trainer._without_invalid(trainer.batch)


def test_trajectories_that_verl_lost_count_as_invalid(trainer):
    trainer.batch = batch(1.0, 1.0)
    assert trainer._without_invalid(trainer.batch).keys == ["a_0_0", "a_1_0"]
    trainer.config.actor_rollout_ref.rollout.n = 5
    message = r"60% of the samples are invalid.*failures: trajectory_lost: 3 \(exceptions are in the log\)"
    with pytest.raises(RuntimeError, match=message):
        trainer._without_invalid(trainer.batch)


def test_the_schedule_of_a_stage_counts_the_trainers_steps_as_verl_moves_it(trainer):
    told = {}
    trainer.actor_rollout_wg = SimpleNamespace(begin_stage=lambda **values: told.update(values))
    trainer.config = OmegaConf.create(
        {"data": {"train_batch_size": 256}, "actor_rollout_ref": {"actor": {"ppo_mini_batch_size": 64}}}
    )
    stage = StageSpec(name="reasoning", until={"max_steps": 120})
    trainer._begin_stage_on_workers(stage, reset_optimizer=True)
    assert told["total_steps"] == 120
    # four mini-batches a step, and verl moves the schedule after the last one alone
    source = inspect.getsource(TrainingWorker.train_mini_batch)
    assert "update_lr_scheduler=batch_idx == total_num_iterations - 1" in source


STAGES = [
    {"name": "reasoning", "until": {"max_steps": 4}, "learning_rate": 1e-5},
    {"name": "joint", "until": {"max_steps": 6}, "handover": "weights+optimizer"},
]


class Workers:
    """Stands for the actor's workers: what was asked of them, in order."""

    def __init__(self, told: list[Any]) -> None:
        self.told = told

    def begin_stage(self, **arguments: Any) -> None:
        self.told.append(("begin", arguments))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A trainer as far as stages, checkpoints and validation go; verl's own part only notes what it was asked."""

    def make(
        *, at_handover: bool = False, save_freq: int = -1, test_freq: int = -1, stages=STAGES, mode="auto"
    ):
        trainer = ProgressiveTrainer.__new__(ProgressiveTrainer)
        section = {"validate_at_handover": at_handover, "checkpoint_at_handover": at_handover}
        trainer.settings = ProgressSettings(run_dir=str(tmp_path / "run"), **section)
        trainer.schedule = Schedule.from_config(stages)
        trainer.state = StageState.begin(trainer.schedule)
        trainer.run_folder = RunWriter(trainer.settings.run_dir)
        trainer.told = []
        trainer.actor_rollout_wg = Workers(trainer.told)
        trainer.config = OmegaConf.create(
            {
                "trainer": {
                    "save_freq": save_freq,
                    "test_freq": test_freq,
                    "default_local_dir": str(tmp_path / "checkpoints"),
                    "resume_mode": mode,
                    "resume_from_path": None,
                },
                "data": {"train_batch_size": 8},
                "actor_rollout_ref": {
                    "actor": {"ppo_mini_batch_size": 2},
                    "rollout": {"temperature": 1.0, "n": 1},
                },
            }
        )
        trainer.global_steps, trainer.total_training_steps = 0, trainer.schedule.max_steps
        trainer._validated_at, trainer._step_open, trainer._save_due = -1, False, False
        trainer.train_dataset = range(64)
        return trainer

    def saved(self):
        folder = self._checkpoint_folder()
        (folder / "actor").mkdir(parents=True, exist_ok=True)
        for file in ("actor/model.pt", "data.pt"):
            (folder / file).write_text("x")
        self.told.append(("save", self.global_steps))

    def loaded(self):
        path = self.config.trainer.resume_from_path
        self.global_steps = int(path.rpartition("_")[2]) if path else 0
        self.told.append(("load", self.global_steps))

    def opened(self):
        self.train_dataset = range(64)
        self.total_training_steps = self.schedule.max_steps
        self.told.append(("data", self.stage.name))

    def validated(self):
        self._validated_at = self.global_steps
        self.told.append(("validate", self.global_steps))

    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", saved)
    monkeypatch.setattr(PPOTrainerSync, "_load_checkpoint", loaded)
    monkeypatch.setattr(ProgressiveTrainer, "_validate_and_log", validated)
    monkeypatch.setattr(ProgressiveTrainer, "_init_dataloader", opened)
    return make


def end_step(trainer: Any, step: int, *, saves: bool = False) -> None:
    """The end of one step, as `_compute_metrics` has it; `saves` if verl saved inside of the step."""
    trainer.global_steps = step
    trainer._step_open = True
    if saves:
        trainer._save_checkpoint()
    trainer._step_open = False
    trainer.state.stage_step += 1
    trainer._end_stage_if_due()
    if trainer._save_due:
        trainer._save_checkpoint()


def begin(**expected: Any) -> tuple[str, dict[str, Any]]:
    return ("begin", {"learning_rate": None, "reset_optimizer": False, **expected})


def test_a_hand_over_in_order(run):
    trainer = run(at_handover=True)
    for step in range(1, 5):
        end_step(trainer, step)
    assert trainer.told == [
        ("validate", 4),
        ("data", "joint"),
        begin(total_steps=6, reset_optimizer=True),  # 6 steps, whatever the mini-batches of a step
        ("save", 4),
    ]
    assert trainer.total_training_steps == 10
    assert StageState.load(trainer._checkpoint_folder(), trainer.schedule) == trainer.state
    assert trainer.state.history[0].checkpoint == str(trainer._checkpoint_folder())


def test_a_run_that_ends_early_is_saved_and_validated_as_one_that_does_not(run):
    """verl saves and validates at the step it was told to be the last; a plateau comes before."""
    trainer = run(save_freq=50, test_freq=50)
    trainer.state.end_stage(trainer.schedule, 4, "max_steps 4", None)
    request_promotion_of(trainer, "joint")
    end_step(trainer, 5)
    assert trainer.told == [("validate", 5), ("save", 5)]
    assert trainer.total_training_steps == 5
    assert trainer.state.history[-1].checkpoint == str(trainer._checkpoint_folder())


def test_without_saving_and_validation_an_early_end_does_neither(run):
    trainer = run()
    trainer.state.end_stage(trainer.schedule, 4, "max_steps 4", None)
    request_promotion_of(trainer, "joint")
    end_step(trainer, 5)
    assert trainer.told == [] and trainer.state.history[-1].checkpoint is None


def test_a_save_inside_a_step_waits_for_its_end_and_happens_once(run):
    trainer = run(at_handover=False, save_freq=2)
    trainer.state.stage_step = 1
    end_step(trainer, 2, saves=True)
    assert trainer.told == [("save", 2)] and trainer.state.stage_step == 2
    end_step(trainer, 3)
    end_step(trainer, 4, saves=True)
    assert [entry for entry in trainer.told if entry[0] == "save"] == [("save", 2), ("save", 4)]
    assert StageState.load(trainer._checkpoint_folder(), trainer.schedule).index == 1
    assert trainer.state.history[0].checkpoint == str(trainer._checkpoint_folder())


def request_promotion_of(trainer: Any, stage: str) -> None:
    trainer.run_folder.write_stages(trainer.state.history)
    assert request_promotion(trainer.run_folder.path) == stage


def test_a_resumed_run_goes_on_in_its_stage(run):
    first = run(at_handover=True)
    for step in range(1, 5):
        end_step(first, step)
    first.run_folder.append_metrics({"step": 5})
    again = run(at_handover=True)
    again._load_checkpoint()
    assert again.told == [("data", "joint"), begin(total_steps=6), ("load", 4)]
    assert again.total_training_steps == 10 and again.state == first.state
    assert (again.run_folder.path / "metrics.jsonl").read_text() == ""


def test_a_position_in_other_data_is_not_restored(run, capsys):
    first = run(save_freq=1)
    end_step(first, 1, saves=True)
    same = run()
    same._load_checkpoint()
    assert [entry[0] for entry in same.told] == ["data", "begin", "load"]
    assert same.state.data == [64, 8] and not capsys.readouterr().out.count("begin from the start")
    other = run()
    other.config.data.train_batch_size = 4
    other._load_checkpoint()
    assert [entry[0] for entry in other.told] == ["data", "begin", "load", "data"]
    assert "were [64, 8] and are [64, 4]" in capsys.readouterr().out
    assert other.total_training_steps == 1 + 3 + 6


def test_a_schedule_that_got_a_stage_after_its_end_goes_on_with_it(run):
    first = run(at_handover=True)
    for step in range(1, 11):
        end_step(first, step)
    assert first.state.finished(first.schedule)
    added = {"name": "more", "until": {"max_steps": 3}, "learning_rate": 1e-6}
    again = run(at_handover=True, stages=[STAGES[0], {**STAGES[1], "handover": "weights"}, added])
    again._load_checkpoint()
    # loaded, then begun as after any hand-over: its own data from the start, a new optimizer
    assert again.told[-3:] == [
        ("load", 10),
        ("data", "more"),
        begin(total_steps=3, learning_rate=1e-6, reset_optimizer=True),
    ]
    assert again.total_training_steps == 13
    assert json.loads((again.run_folder.path / "stages.json").read_text())[-1]["start_step"] == 11


def test_a_finished_run_that_is_started_again_has_nothing_to_do(run):
    first = run(at_handover=True)
    for step in range(1, 11):
        end_step(first, step)
    again = run(at_handover=True)
    again._load_checkpoint()
    assert again.total_training_steps == 10 and again.told[-1] == ("load", 10)


def test_a_changed_schedule_is_refused_before_anything_is_forgotten(run):
    first = run(at_handover=True)
    for step in range(1, 5):
        end_step(first, step)
    first.run_folder.append_metrics({"step": 9})
    again = run(stages=[{**STAGES[0], "name": "other"}, STAGES[1]])
    with pytest.raises(UserError, match=r"medr3\.stages has changed"):
        again._load_checkpoint()
    assert json.loads((again.run_folder.path / "metrics.jsonl").read_text()) == {"step": 9}


class Ids(list):
    """Stands for a nested tensor of responses."""

    def unbind(self):
        return list(self)


@pytest.fixture
def rows(monkeypatch):
    """What TransferQueue holds: (group, reward, valid) of each row, or `PADDING`."""

    def hold(*held):
        def read(keys, partition_id, select_fields):
            assert all(held[key] is not PADDING for key in keys)
            infos = [
                {
                    "acc": float(held[key][1] > 0.5),
                    "valid": held[key][2],
                    DETAIL_KEY: json.dumps({"id": str(key)}),
                }
                for key in keys
            ]
            return {
                "uid": [held[key][0] for key in keys],
                "extra_fields": [{"reward_extra_info": info} for info in infos],
                "rm_scores": torch.tensor([[0.0, held[key][1]] for key in keys]),
                "responses": Ids([f"text {key}"] for key in keys),
            }

        monkeypatch.setattr(samples.tq, "kv_batch_get", read)
        tags = [{"is_padding": row is PADDING} for row in held]
        return SimpleNamespace(keys=list(range(len(held))), tags=tags, partition_id="train")

    return hold


def lines(trainer: Any, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (trainer.run_folder.path / name).read_text().splitlines()]


def record(trainer: Any, batch: Any, step: int, metrics: dict[str, Any] | None = None) -> dict[str, Any]:
    trainer.global_steps = step
    trainer.tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: ids[0])
    metrics = {} if metrics is None else metrics
    trainer._scored = samples.ScoredBatch(batch)
    trainer._record_step(metrics, {"step": 2.0, "bookkeeping": 0.0})
    return metrics


PLATEAU = [{"name": "x", "until": {"max_steps": 9, "metric": "acc", "patience": 2}}]


def test_a_step_is_written_without_padding_and_its_metric_remembered(run, rows):
    trainer = run(stages=PLATEAU)
    trainer.config.data.train_batch_size = 5  # with one sample a prompt; one is lost, one invalid
    batch = rows(("a", 1.0, 1.0), PADDING, ("a", 0.0, 1.0), ("b", 9.0, 0.0), ("b", 1.0, 1.0), PADDING)
    metrics = record(trainer, batch, 1, {"actor/lr": 1e-5})
    [line] = lines(trainer, "metrics.jsonl")
    assert (line["step"], line["stage"], line["stage_step"], line["kind"]) == (1, "x", 1, "train")
    assert line["reward/acc"] == metrics["reward/acc"] == pytest.approx(2 / 3)
    assert (line["invalid_share"], line["zero_variance_groups"], line["actor/lr"]) == (0.4, 0.5, 1e-5)
    assert line["failures/trajectory_lost"] == 1
    assert trainer.state.window == [line["reward/acc"]]
    written = {row["id"]: row["response"] for row in lines(trainer, "trajectories.jsonl")}
    assert written == {key: f"text {key}" for key in "0234"}


def test_a_step_without_a_value_adds_none_to_the_window(run, rows):
    trainer = run(stages=PLATEAU)
    record(trainer, rows(("a", 1.0, 0.0)), 1)
    assert trainer.state.window == [] and trainer.state.stage_step == 1
    until = {"max_steps": 9, "metric": "val/reward/acc", "patience": 2}
    trainer = run(stages=[{"name": "x", "until": until}], test_freq=2)
    record(trainer, rows(("a", 1.0, 1.0)), 1)
    record(trainer, rows(("a", 1.0, 1.0)), 2, {"val/reward/acc": 0.25})
    record(trainer, rows(("a", 1.0, 1.0)), 3, {"val/reward/acc": float("nan")})
    assert trainer.state.window == [0.25] and trainer.state.stage_step == 3


def test_validation_is_written_and_joins_verls_metrics(run, monkeypatch, caplog):
    trainer = run()
    trainer.global_steps, trainer._val_outputs = 4, ["one", "two", "three"]
    infos = {
        "reward": [1.0, 0.0, 0.0],
        "acc": [1.0, 0.0, 0.0],
        "valid": [1.0, 1.0, 0.0],
        DETAIL_KEY: [
            json.dumps({"dataset": "a"}),
            None,
            json.dumps({"dataset": "b", "failures": ["judge_timeout"]}),
        ],
    }
    expected = {("a", "1"): 1, ("a", "2"): 1, ("b", "3"): 1}
    metrics = trainer._val_metrics_update(["a", "a", "b"], ["1", "2", "3"], infos, [2, 2, 2], expected)
    # verl's own means: what is invalid is no 0
    assert metrics["val-core/a/acc/mean@1"] == 0.5
    assert not any("/b/" in key for key in metrics)
    [line] = lines(trainer, "metrics.jsonl")
    assert (line["kind"], line["step"], line["reward/acc"], line["failures/judge_timeout"]) == (
        "val",
        4,
        0.5,
        1,
    )
    assert metrics["val/reward/acc"] == 0.5 and "zero_variance_groups" not in line  # one sample a prompt
    assert trainer._validated_at == 4
    assert {row["response"] for row in lines(trainer, "trajectories.jsonl")} == {"one", "two", "three"}
    assert not caplog.records
    infos["valid"] = [0.0, 1.0, 0.0]
    metrics = trainer._val_metrics_update(["a", "a", "b"], ["1", "2", "3"], infos, [2, 2, 2], expected)
    assert metrics["val-core/a/acc/mean@1"] == 0.0
    assert "67% of the validation's samples are invalid; failures: judge_timeout: 1" in caplog.text
