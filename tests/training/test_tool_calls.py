"""`environment=tools`: the real small model calls `medical_search` in the real trainer."""

from __future__ import annotations

import json

import pytest
from training_runs import lines, needs_trainer, train

pytestmark = pytest.mark.long

needs_trainer()


def test_the_model_calls_the_tool_from_the_start(prepared, tmp_path):
    run = tmp_path / "run"
    train(
        run,
        *("medr3_cpu", "environment=tools", "ablation=joint_only", *prepared),
        "medr3.stages.0.until.max_steps=2",
        "medr3.validate_at_handover=false",
        "medr3.reward.encoder.path=null",
        "trainer.val_before_train=false",
    )
    steps = [line for line in lines(run / "metrics.jsonl") if line["kind"] == "train"]
    assert [step["search/share"] >= 0.5 for step in steps] == [True, True]
    assert all(step["invalid_share"] == 0 for step in steps)
    trajectories = lines(run / "trajectories.jsonl")
    found = [row for row in trajectories if any(search["documents"] for search in row["searches"])]
    assert found and all("<tool_call>" in row["response"] for row in found)
    assert any(row["reward"]["format"] == 1 for row in found), json.dumps(found[0])[:2000]
