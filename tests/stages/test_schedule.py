from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from medr3_plugin.errors import UserError
from medr3_plugin.stages.schedule import Schedule, Until

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
        ("joint", r"medr3\.stages"),
        (3, r"medr3\.stages"),
        ({"name": "joint"}, r"medr3\.stages"),
        (["joint"], r"medr3\.stages\[0\]"),
        ([None], r"medr3\.stages\[0\]"),
        ([{"name": "x", "until": None}], r"medr3\.stages\[0\]\.until"),
        ([{"name": "x", "until": {}}], r"medr3\.stages\[0\]\.until\.max_steps"),
        ([{"name": "x", "until": {"max_steps": None}}], r"medr3\.stages\[0\]\.until\.max_steps"),
        ([{"name": "x"}], r"medr3\.stages\[0\]\.until"),
        ([{**REASONING, "untill": 1}], r"medr3\.stages\[0\]\.untill"),
        ([REASONING, {"name": "joint", "until": {"max_steps": 0}}], r"medr3\.stages\[1\]\.until\.max_steps"),
        ([REASONING, REASONING], r"medr3\.stages: stages 0 and 1 .*'reasoning'"),
        ([{"name": "a b", "until": {"max_steps": 1}}], r"medr3\.stages\[0\]\.name"),
        ([{"name": "x", "until": {"max_steps": 2, "min_steps": 3}}], "min_steps"),
        ([{"name": "x", "until": {"max_steps": 2, "patience": 3}}], "need a metric"),
        ([{"name": "x", "until": {"max_steps": 2, "metric": "acc"}}], "needs patience"),
        (
            [{"name": "x", "until": {"max_steps": 2, "metric": "acc", "patience": 1, "window": 3}}],
            r"window \(3\) is larger than max_steps",
        ),
        ([{"name": "x", "until": {"max_steps": True}}], r"until\.max_steps: a number is needed"),
        ([{**REASONING, "max_searches": True}], r"max_searches: a number is needed"),
        ([{**REASONING, "mixture": {"a": True}}], r"mixture: a number is needed"),
        ([{**REASONING, "temperature": 2.5}], r"temperature"),
        ([{**REASONING, "learning_rate": float("inf")}], r"learning_rate"),
    ],
)
def test_a_mistake_names_its_yaml_path(stages, path):
    with pytest.raises(UserError, match=path):
        Schedule.from_config(stages)


def config(steps=None, test_freq=-1, strategy="fsdp2", loop="medr3_search"):
    """The keys of a run's configuration that stages depend on."""
    return OmegaConf.create(
        {
            "trainer": {"total_training_steps": steps, "test_freq": test_freq},
            "actor_rollout_ref": {
                "actor": {"strategy": strategy},
                "rollout": {"agent": {"default_agent_loop": loop}},
            },
        }
    )


def test_the_run_is_as_long_as_its_stages():
    schedule = Schedule.from_config([REASONING, JOINT])
    schedule.check(config(steps=None))
    schedule.check(config(steps=8))
    with pytest.raises(UserError, match=r"trainer\.total_training_steps: 6.* 3 \+ 5 = 8"):
        schedule.check(config(steps=6))


def test_only_fsdp_restarts_optimizers():
    restarts, megatron = Schedule.from_config([REASONING, JOINT]), config(strategy="megatron")
    restarts.check(config(strategy="fsdp2"))
    with pytest.raises(UserError, match=r"medr3\.stages\[0\].*megatron.*handover"):
        restarts.check(megatron)
    Schedule.from_config([{**REASONING, "handover": "weights+optimizer"}, JOINT]).check(megatron)
    with pytest.raises(UserError, match=r"stages\[0\].*learning_rate"):
        Schedule.from_config([{**JOINT, "learning_rate": 1e-6}]).check(megatron)


@pytest.mark.parametrize(("key", "value"), [("temperature", 0.8), ("top_p", 0.9), ("max_searches", 0)])
def test_verls_own_loops_cannot_have_a_stages_sampling(key, value):
    schedule = Schedule.from_config([REASONING, {**JOINT, key: value}])
    for loop in ("medr3_search", "medr3_tool", "a_loop_of_the_users"):
        schedule.check(config(loop=loop))
    with pytest.raises(UserError, match=rf"medr3\.stages\[1\]\.{key}"):
        schedule.check(config(loop="tool_agent"))
    Schedule.from_config([JOINT]).check(config(loop="tool_agent"))


@pytest.mark.parametrize("metric", ["acc", "reward/acc", "invalid_share", "search/share", "reward/acc/medqa"])
def test_metrics_that_may_exist(metric):
    stage = {"name": "x", "until": {"max_steps": 2, "metric": metric, "patience": 1}}
    Schedule.from_config([stage]).check(config(), ["score", "acc"])


@pytest.mark.parametrize("metric", ["ac", "reward/ac"])
def test_a_metric_that_cannot_exist_is_told_at_start(metric):
    stage = {"name": "x", "until": {"max_steps": 2, "metric": metric, "patience": 1}}
    with pytest.raises(UserError, match=r"medr3\.stages\[1\]\.until\.metric: .*did you mean acc"):
        Schedule.from_config([REASONING, stage]).check(config(), ["score", "acc"])


def test_promotion_by_validation_needs_validations():
    until = {"max_steps": 9, "metric": "val/reward/acc", "patience": 2}
    schedule = Schedule.from_config([REASONING, {"name": "x", "until": until}])
    schedule.check(config(test_freq=5), ["acc"])
    with pytest.raises(
        UserError, match=r"medr3\.stages\[1\]\.until\.metric: 'val/reward/acc' .*test_freq.* -1"
    ):
        schedule.check(config(test_freq=-1))
    training = Schedule.from_config([{"name": "x", "until": {**until, "metric": "valid"}}])
    training.check(config(test_freq=-1))


@pytest.mark.parametrize(
    ("until", "why"),
    [
        ({"max_steps": 9, "metric": "acc", "threshold": 0.5, "window": 8}, None),
        ({"max_steps": 9, "metric": "acc", "threshold": 0.5, "window": 9}, "window"),
        ({"max_steps": 9, "metric": "acc", "patience": 4, "window": 5}, "patience"),
        ({"max_steps": 9, "metric": "acc", "patience": 3, "window": 5}, None),
        ({"max_steps": 9, "metric": "acc", "threshold": 0.5, "min_steps": 9}, "min_steps"),
        ({"max_steps": 9, "metric": "val/acc", "threshold": 0.5, "window": 2}, "window"),
        ({"max_steps": 9}, None),
    ],
)
def test_metrics_that_cannot_end_a_stage_are_named(until, why):
    """A validation metric has a value every five steps."""
    said = Until(**until).never_met(test_freq=5)
    assert (said is None) if why is None else why in str(said)


def test_missing_file_names_stage_and_file(tmp_path):
    there = tmp_path / "a.parquet"
    there.touch()
    schedule = Schedule.from_config([REASONING, {**JOINT, "train_files": str(tmp_path / "b.parquet")}])
    with pytest.raises(UserError, match=r"medr3\.stages\[1\]\.train_files.*b\.parquet"):
        schedule.check_files([str(there)])
    with pytest.raises(UserError, match=r"data\.train_files.*'reasoning'"):
        schedule.check_files([])
    Schedule.from_config([REASONING]).check_files([str(there)])


def test_sampling_overrides():
    [stage] = Schedule.from_config([{**REASONING, "temperature": 0.7}]).stages
    assert stage.sampling == {"temperature": 0.7}
