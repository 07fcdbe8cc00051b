from __future__ import annotations

import json

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.stages.schedule import Schedule
from medr3_plugin.stages.state import STATE_FILE, StageState

SCHEDULE = Schedule.from_config(
    [{"name": "reasoning", "until": {"max_steps": 2}}, {"name": "joint", "until": {"max_steps": 3}}]
)


def test_walk_through_the_schedule():
    state = StageState.begin(SCHEDULE)
    assert state.remaining_steps(SCHEDULE) == 5
    state.stage_step = 1
    state.window = [0.5]
    following = state.end_stage(SCHEDULE, step=1, reason="threshold", checkpoint="x/global_step_1")
    assert following.name == "joint" and state.stage_step == 0 and state.window == []
    assert state.remaining_steps(SCHEDULE) == 3
    assert state.end_stage(SCHEDULE, step=4, reason="max_steps 3", checkpoint=None) is None
    assert state.finished(SCHEDULE) and state.remaining_steps(SCHEDULE) == 0
    assert [(r.name, r.start_step, r.end_step, r.reason) for r in state.history] == [
        ("reasoning", 1, 1, "threshold"),
        ("joint", 2, 4, "max_steps 3"),
    ]


def test_a_lowered_limit_still_ends_its_stage_by_a_step():
    state = StageState.begin(SCHEDULE)
    state.stage_step = 9
    assert state.remaining_steps(SCHEDULE) == 1 + 3


def test_a_stage_added_after_the_end_is_begun():
    state = StageState.begin(SCHEDULE)
    assert not state.open_added_stage(SCHEDULE)
    state.end_stage(SCHEDULE, step=2, reason="max_steps 2", checkpoint=None)
    state.end_stage(SCHEDULE, step=5, reason="max_steps 3", checkpoint=None)
    assert not state.open_added_stage(SCHEDULE)
    more = {"name": "again", "until": {"max_steps": 4}}
    longer = Schedule.from_config([*(stage.model_dump() for stage in SCHEDULE.stages), more])
    assert state.open_added_stage(longer) and state.remaining_steps(longer) == 4
    assert (state.history[-1].name, state.history[-1].index, state.history[-1].start_step) == ("again", 2, 6)
    assert [record.end_step for record in state.history] == [2, 5, None]


def test_saved_state_comes_back(tmp_path):
    state = StageState.begin(SCHEDULE)
    state.stage_step, state.data = 1, [64, 2]
    state.save(tmp_path)
    assert StageState.load(tmp_path, SCHEDULE) == state
    assert [file.name for file in tmp_path.iterdir()] == [STATE_FILE]  # nothing temporary is left


def test_values_of_another_metric_are_forgotten_when_the_schedule_was_edited(tmp_path):
    def by(metric):
        return Schedule.from_config(
            [{"name": "x", "until": {"max_steps": 9, "metric": metric, "patience": 2}}]
        )

    state = StageState.begin(by("acc"))
    state.remember("acc", 0.25)
    state.save(tmp_path)
    assert StageState.load(tmp_path, by("acc")).window == [0.25]
    assert StageState.load(tmp_path, by("score")).window == []


def test_missing_broken_or_foreign_state_is_refused(tmp_path):
    with pytest.raises(UserError, match=STATE_FILE):
        StageState.load(tmp_path, SCHEDULE)
    (tmp_path / STATE_FILE).write_text("{")
    with pytest.raises(UserError, match=STATE_FILE):
        StageState.load(tmp_path, SCHEDULE)
    StageState.begin(SCHEDULE).save(tmp_path)
    other = Schedule.from_config([{"name": "retrieval", "until": {"max_steps": 2}}])
    with pytest.raises(UserError, match=r"'reasoning'.*medr3\.stages"):
        StageState.load(tmp_path, other)
    assert json.loads((tmp_path / STATE_FILE).read_text())["index"] == 0


def checkpoint_after_the_first_stage(folder, formulas):
    state = StageState.begin(SCHEDULE, formulas)
    state.end_stage(SCHEDULE, step=2, reason="max_steps 2", checkpoint=None)
    state.stage_step = 1
    state.save(folder)


def test_a_checkpoint_of_another_arm_is_refused_with_the_key(tmp_path):
    own = {"preset": "paper", "gate.wrong": 0.2}
    checkpoint_after_the_first_stage(tmp_path, {"reasoning": own, "joint": own})
    assert StageState.load(tmp_path, SCHEDULE, {"reasoning": own, "joint": own}).stage_step == 1
    other, gated = {**own, "preset": "medr3"}, {**own, "gate.wrong": 0.1}
    for refused, stage, key in (
        ({"reasoning": other, "joint": other}, "reasoning", "preset"),
        ({"reasoning": own, "joint": other}, "joint", "preset"),
        ({"reasoning": gated, "joint": own}, "reasoning", "gate.wrong"),
    ):
        with pytest.raises(UserError, match=rf"medr3\.reward\.{key} of stage '{stage}'") as refusal:
            StageState.load(tmp_path, SCHEDULE, refused)
        assert str(tmp_path / STATE_FILE) in str(refusal.value)


def test_the_running_stage_may_be_tuned_and_older_checkpoints_say_nothing(tmp_path, capsys):
    own = {"preset": "paper", "gate.wrong": 0.2}
    tuned = {
        "reasoning": {**own, "new": 1},
        "joint": {**own, "gate.wrong": 0.1},
    }  # another version knows `new`
    checkpoint_after_the_first_stage(tmp_path, {"reasoning": own, "joint": own})
    state = StageState.load(tmp_path, SCHEDULE, tuned)
    said = capsys.readouterr()
    assert "gate.wrong" in said.err and not said.out
    assert state.formulas == {"reasoning": own, "joint": tuned["joint"]}
    checkpoint_after_the_first_stage(tmp_path, {})
    assert StageState.load(tmp_path, SCHEDULE, tuned).formulas == tuned
    assert not capsys.readouterr().err
