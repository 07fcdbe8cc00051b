from __future__ import annotations

import json

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.runs.requests import drop_promotion, promotion_requested, request_promotion


def stages(tmp_path, *ends):
    rows = [{"name": f"s{i}", "index": i, "start_step": 1, "end_step": end} for i, end in enumerate(ends)]
    (tmp_path / "stages.json").write_text(json.dumps(rows))


def test_a_request_is_heard_until_its_stage_has_ended(tmp_path):
    stages(tmp_path, 4, None)
    assert request_promotion(tmp_path) == "s1"
    drop_promotion(tmp_path, "s1")  # a checkpoint within the stage
    assert promotion_requested(tmp_path, "s1")
    drop_promotion(tmp_path, "s2")  # a checkpoint that holds the hand-over
    assert not promotion_requested(tmp_path, "s1")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["stages.json"]


def test_a_request_is_not_for_another_stage(tmp_path):
    stages(tmp_path, None)
    request_promotion(tmp_path)
    assert not promotion_requested(tmp_path, "s1") and promotion_requested(tmp_path, "s0")


def test_wrong_folders(tmp_path):
    with pytest.raises(UserError, match=r"stages\.json"):
        request_promotion(tmp_path)
    stages(tmp_path, 4)
    with pytest.raises(UserError, match=str(tmp_path)):
        request_promotion(tmp_path)
