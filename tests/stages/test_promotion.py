from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import UserError
from medr3_plugin.stages.promotion import decide, metric_value, moving_average, steps_without_progress
from medr3_plugin.stages.schedule import Until


def test_max_steps_always_ends_a_stage():
    until = Until(max_steps=3)
    assert decide(until, 2, []) is None
    assert decide(until, 3, []) == "max_steps 3"


def test_plateau_waits_for_patience_and_min_steps():
    until = Until(max_steps=99, min_steps=6, metric="acc", window=1, patience=3, min_delta=0.1)
    history = [0.1, 0.3, 0.31, 0.32, 0.33]
    assert decide(until, 5, history) is None  # three idle steps, but before min_steps
    reason = decide(until, 6, [*history, 0.34])
    assert reason is not None and reason.startswith("plateau: acc did not improve by 0.1 for 4 steps")
    assert decide(until, 6, [0.1, 0.3, 0.5, 0.7, 0.9, 1.1]) is None


def test_slow_rise_is_progress_against_the_best():
    # each step rises by less than min_delta, together by more: judged against the best, not the last value
    assert steps_without_progress([0.0, 0.04, 0.08, 0.12], 0.1) == 0


def test_threshold_needs_a_full_window():
    until = Until(max_steps=99, metric="reward/score", window=3, threshold=0.5)
    assert decide(until, 2, [0.9, 0.9]) is None
    assert decide(until, 3, [0.9, 0.9, 0.9]).startswith("threshold")


@given(st.lists(st.floats(-1, 1), max_size=30), st.integers(1, 10))
def test_moving_average_is_numpys(values, window):
    averages = moving_average(values, window)
    whole = len(values) >= window
    assert averages == pytest.approx(np.convolve(values, np.ones(window) / window, "valid") if whole else [])


def test_plateau_of_a_smoothed_metric_by_hand():
    until = Until(max_steps=99, metric="acc", window=3, patience=2, min_delta=0.1)
    #          averages of three:  0.4  0.5  0.6  0.6  0.5
    history = [0.3, 0.3, 0.6, 0.6, 0.6, 0.6, 0.3]
    assert [decide(until, n, history[:n]) for n in range(1, 7)] == [None] * 6
    assert decide(until, 7, history) == (
        "plateau: acc did not improve by 0.1 for 2 steps (average 0.5000, best 0.6000)"
    )


def test_a_lucky_start_does_not_end_a_rising_stage():
    """One value is no average: only whole windows are compared."""
    until = Until(max_steps=99, metric="acc", window=5, patience=3, min_delta=0.005)
    rising = [0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]  # averages from the fifth: 0.38 0.3 0.4 0.5 0.6
    assert all(decide(until, n, rising[:n]) is None for n in range(1, 10))


def test_metric_by_key_or_as_reward_part():
    assert metric_value("acc", {"reward/acc": 0.25}) == 0.25
    assert metric_value("search/share", {"search/share": 1}) == 1.0
    with pytest.raises(UserError, match=r"'reward/ac'.* reward/acc"):
        metric_value("reward/ac", {"reward/acc": 0.25})


def test_a_validation_metric_has_a_value_only_where_something_was_validated():
    assert metric_value("val/reward/acc", {"reward/acc": 0.1}) is None
    assert metric_value("val/reward/acc", {"reward/acc": 0.1, "val/reward/acc": 0.25}) == 0.25
    with pytest.raises(UserError, match="val/reward/acc"):
        metric_value("val/reward/ac", {"val/reward/acc": 0.25})
    with pytest.raises(UserError, match="'valid'"):  # a reward part, no validation metric
        metric_value("valid", {})


def test_a_metric_may_be_absent_once_it_has_been_seen():
    assert metric_value("actor/entropy", {"reward/acc": 0.1}, seen=True) is None
    with pytest.raises(UserError, match="actor/entropy"):
        metric_value("actor/entropy", {"reward/acc": 0.1})


@pytest.mark.parametrize(
    "metric", ["search/hit_at_k", "search/latency_p95", "reward/acc/medqa", "judge/retries"]
)
def test_a_step_may_lack_what_depends_on_its_questions(metric):
    assert metric_value(metric, {"reward/acc": 0.1}) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_value(value):
    assert metric_value("actor/grad_norm", {"actor/grad_norm": value}) is None
