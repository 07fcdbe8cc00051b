"""Intervals and tests against exact or closed-form answers."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medr3_plugin.evaluation.statistics import bootstrap, compare, share_interval, sign_flip_test


def test_interval_agrees_with_the_normal_approximation() -> None:
    scores = [1.0] * 300 + [0.0] * 200
    interval = bootstrap(scores)
    half = 1.96 * math.sqrt(0.6 * 0.4 / 500)
    assert interval.mean == 0.6
    assert interval.low == pytest.approx(0.6 - half, abs=0.005)
    assert interval.high == pytest.approx(0.6 + half, abs=0.005)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_interval_holds_the_mean_and_stays_in_range(scores: list[float]) -> None:
    interval = bootstrap(scores, resamples=200)
    assert min(scores) - 1e-9 <= interval.low <= interval.mean + 1e-9
    assert interval.mean - 1e-9 <= interval.high <= max(scores) + 1e-9


def test_a_share_of_nothing_or_all_is_not_certain() -> None:
    assert share_interval([0.0] * 10).high == pytest.approx(0.3085, abs=1e-4)  # tables of Clopper and Pearson
    assert share_interval([1.0] * 10).low == pytest.approx(0.6915, abs=1e-4)
    assert share_interval([0.0, 1.0] * 5) == bootstrap([0.0, 1.0] * 5)


def test_same_seed_same_interval() -> None:
    assert bootstrap([0, 1, 1, 0, 1], seed=3) == bootstrap([0, 1, 1, 0, 1], seed=3)


def test_no_scores() -> None:
    with pytest.raises(ValueError, match="score"):
        bootstrap([])


def mcnemar(better: int, worse: int) -> Fraction:
    """Exact two-sided McNemar: both tails of a fair coin."""
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(max(better, worse), n + 1))
    return min(Fraction(1), Fraction(2 * tail, 2**n))


@pytest.mark.parametrize(("better", "worse"), [(0, 1), (5, 1), (8, 8), (10, 2), (0, 0), (12, 4)])
def test_sign_flip_is_the_exact_mcnemar_test_for_binary_scores(better: int, worse: int) -> None:
    differences = [1.0] * better + [-1.0] * worse + [0.0] * 7
    assert sign_flip_test(differences) == pytest.approx(float(mcnemar(better, worse)))


def test_drawn_patterns_agree_with_the_exact_test() -> None:
    assert sign_flip_test([1.0] * 14 + [-1.0] * 6, resamples=50_000) == pytest.approx(
        float(mcnemar(14, 6)), abs=0.01
    )


def test_exact_enumeration_of_fractional_differences() -> None:
    values = [0.5, 0.25, -0.25, 1.0]
    expected = sum(
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) >= 1.5 - 1e-9
        for signs in itertools.product((1, -1), repeat=4)
    )
    assert sign_flip_test(values) == expected / 16


@given(
    st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=5, max_size=40), st.randoms(use_true_random=False)
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_against_scipy(scores: list[float], random: Random) -> None:
    stats = pytest.importorskip("scipy.stats")
    others = random.sample([0, 0.25, 0.5, 1] * len(scores), len(scores))
    differences = [a - b for a, b in zip(scores, others, strict=True)]
    if len(set(scores)) > 1:
        ours = bootstrap(scores)
        theirs = stats.bootstrap((scores,), np.mean, method="percentile", rng=1).confidence_interval
        # both draw at random, and means lie on a grid, of 1 / n where all scores are 0 or 1: one step of it
        assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=1.01 / len(scores))
    expected = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=2**14 if len(scores) <= 13 else 9_999,
        rng=1,
    )
    assert sign_flip_test(differences) == pytest.approx(
        expected.pvalue, abs=1e-9 if len(scores) <= 13 else 0.03
    )
    for n in (len(scores), 3):
        exact = stats.binomtest(0, n).proportion_ci(method="exact")
        assert share_interval([0.0] * n)[1:] == pytest.approx((exact.low, exact.high))


def test_two_runs_that_agree_are_not_certainly_equal() -> None:
    same = {f"q{i}": float(i % 2) for i in range(24)}
    found = compare(same, same)
    assert (found.difference.mean, found.p_value) == (0, 1)
    assert found.difference.high == -found.difference.low == share_interval([0.0] * 24).high


def test_comparison_pairs_by_question() -> None:
    found = compare({"a": 1, "b": 0.5, "c": 0, "x": 1}, {"a": 0, "b": 0.5, "c": 1, "d": 1})
    assert (found.questions, found.better, found.worse) == (3, 1, 1)
    assert found.difference.mean == 0
    with pytest.raises(ValueError, match="share no question"):
        compare({"a": 1}, {"b": 1})
