from __future__ import annotations

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.runs.summary import summary


def test_a_row_per_stage_and_per_validation_of_a_resumed_and_killed_run(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 0, "stage": "reasoning", "kind": "val", "reward/score": 0.1}\n'
        '{"step": 1, "stage": "reasoning", "kind": "train", "reward/score": 0.2, "time/step": 10}\n'
        '{"step": 2, "stage": "reasoning", "kind": "train", "reward/score": 0.4, "time/step": 20}\n'
        '{"step": 2, "stage": "reasoning", "kind": "train", "reward/score": 0.6, "time/step": 20}\n'
        'not JSON\n{"step": 3, "sta'
    )
    table = summary(tmp_path).splitlines()
    assert table[0].split() == [
        "steps",
        "reward",
        "acc",
        "searches",
        "gold",
        "found",
        "well-formed",
        "step",
        "time",
    ]
    assert table[1].split() == ["reasoning", "2", "0.40", "15.0", "s"]
    assert table[2].split() == ["validation,", "step", "0", "0.10"]


def test_a_folder_without_metrics(tmp_path):
    with pytest.raises(UserError, match=r"metrics\.jsonl"):
        summary(tmp_path)
