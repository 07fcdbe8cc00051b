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
from verl.workers.engine_workers import TrainingWorker

from medr3_plugin.stages import trainer as trainer_module
from medr3_plugin.stages.metrics import DETAIL_KEY
from medr3_plugin.stages.schedule import StageSpec
from medr3_plugin.stages.trainer import PPOTrainerSync, ProgressiveTrainer
from medr3_plugin.verl_adapters import advantage

PADDING = None


def batch(*valid: float | None) -> Any:
    """Rows of one prompt with these `valid` values; `PADDING` for a row that verl added to fill up."""
    tags = [{"is_padding": value is PADDING} for value in valid]
    return SimpleNamespace(keys=list(range(len(valid))), tags=tags, partition_id="train", valid=valid)


@pytest.fixture
def trainer(monkeypatch):
    """A trainer as far as one step's advantages need it; what it told the estimator is in `told`."""
    made = ProgressiveTrainer.__new__(ProgressiveTrainer)
    made.timing_raw, made.global_steps, made.told = {}, 7, None
    made.settings = SimpleNamespace(max_invalid_share=0.5)

    def read(keys, partition_id, select_fields):
        rows = [made.batch.valid[key] for key in keys]
        infos = [
            {
                "score": 1.0,
                "valid": value,
                DETAIL_KEY: json.dumps({"failures": [] if value else ["judge_timeout"]}),
            }
            for value in rows
        ]
        return {
            "uid": ["a"] * len(rows),
            "extra_fields": [{"reward_extra_info": info} for info in infos],
            "rm_scores": torch.ones(len(rows), 3),
        }

    monkeypatch.setattr(trainer_module.tq, "kv_batch_get", read)
    monkeypatch.setattr(
        PPOTrainerSync, "_compute_advantage", lambda self, *_: setattr(self, "told", advantage._valid.get())
    )
    return made


def test_invalid_and_padding_rows_are_told_apart_from_the_valid_ones(trainer):
    trainer.batch = batch(1.0, 0.0, PADDING, 1.0, PADDING)
    trainer._compute_advantage(trainer.batch, {})
    assert trainer.told.tolist() == [True, False, False, True, False]


def test_too_many_invalid_samples_stop_the_run_and_name_the_service(trainer):
    trainer.batch = batch(1.0, 0.0, 0.0, PADDING)
    message = r"step 7: 67% of the samples are invalid, .*max_invalid_share=50%; failures: judge_timeout: 2"
    with pytest.raises(RuntimeError, match=message):
        trainer._compute_advantage(trainer.batch, {})
    assert trainer.told is None


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
