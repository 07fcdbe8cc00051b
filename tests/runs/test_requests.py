from __future__ import annotations

import json

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.runs.requests import request_promotion, take_promotion


def stages(tmp_path, *ends):
    rows = [{"name": f"s{i}", "index": i, "start_step": 1, "end_step": end} for i, end in enumerate(ends)]
    (tmp_path / "stages.json").write_text(json.dumps(rows))


def test_a_request_is_taken_once(tmp_path):
    stages(tmp_path, 4, None)
    assert request_promotion(tmp_path) == "s1"
    assert take_promotion(tmp_path, "s1")
    assert not take_promotion(tmp_path, "s1")


def test_a_request_for_a_stage_that_has_ended_is_dropped(tmp_path):
    stages(tmp_path, None)
    request_promotion(tmp_path)
    assert not take_promotion(tmp_path, "s1")
    assert not take_promotion(tmp_path, "s0")


def test_wrong_folders(tmp_path):
    with pytest.raises(UserError, match="folder of a training run"):
        request_promotion(tmp_path)
    stages(tmp_path, 4)
    with pytest.raises(UserError, match="every stage has ended"):
        request_promotion(tmp_path)
