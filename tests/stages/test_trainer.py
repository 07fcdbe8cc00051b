"""What the trainer mode tells the advantage estimator, and when it stops a run (tests/training has the real one)."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("verl")

import torch

from medr3_plugin.stages import trainer as trainer_module
from medr3_plugin.stages.metrics import DETAIL_KEY
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
