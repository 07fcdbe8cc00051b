from __future__ import annotations

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.stages.schedule import Schedule

REASONING = {"name": "reasoning", "until": {"max_steps": 3}}
JOINT = {"name": "joint", "until": {"max_steps": 5, "metric": "acc", "patience": 2}}


def test_stages_in_order_with_their_steps():
    schedule = Schedule.from_config([REASONING, JOINT])
    assert [stage.name for stage in schedule.stages] == ["reasoning", "joint"]
    assert schedule.max_steps == 8


@pytest.mark.parametrize(
    ("stages", "path"),
    [
        ([], r"medr3\.stages"),
        (None, r"medr3\.stages"),
        ([{"name": "x"}], r"medr3\.stages\[0\]\.until"),
        ([{**REASONING, "untill": 1}], r"medr3\.stages\[0\]\.untill"),
        ([REASONING, {"name": "joint", "until": {"max_steps": 0}}], r"medr3\.stages\[1\]\.until\.max_steps"),
        ([REASONING, REASONING], r"stages\[1\]\.name repeats 'reasoning'"),
        ([{"name": "a b", "until": {"max_steps": 1}}], r"medr3\.stages\[0\]\.name"),
        ([{"name": "x", "until": {"max_steps": 2, "min_steps": 3}}], "min_steps"),
        ([{"name": "x", "until": {"max_steps": 2, "patience": 3}}], "need a metric"),
        ([{"name": "x", "until": {"max_steps": 2, "metric": "acc"}}], "needs patience"),
    ],
)
def test_a_mistake_names_its_yaml_path(stages, path):
    with pytest.raises(UserError, match=path):
        Schedule.from_config(stages)


def test_missing_file_names_stage_and_file(tmp_path):
    there = tmp_path / "a.parquet"
    there.touch()
    schedule = Schedule.from_config([REASONING, {**JOINT, "train_files": str(tmp_path / "b.parquet")}])
    with pytest.raises(UserError, match=r"medr3\.stages\[1\]\.train_files: no such file: .*b\.parquet"):
        schedule.check_files([str(there)])
    with pytest.raises(UserError, match=r"data\.train_files: stage 'reasoning' has no data"):
        schedule.check_files([])
    Schedule.from_config([REASONING]).check_files([str(there)])


def test_sampling_overrides():
    [stage] = Schedule.from_config([{**REASONING, "temperature": 0.7}]).stages
    assert stage.sampling == {"temperature": 0.7}
