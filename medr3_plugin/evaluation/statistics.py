"""Intervals and comparisons over questions: the samples of a question are averaged first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

_CHUNK = 2_000_000
"""Draws held in memory at a time."""


class Interval(NamedTuple):
    """A mean and its percentile bootstrap interval."""

    mean: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Two runs over the same questions.

    Attributes:
        questions: questions both runs answered.
        difference: mean of first minus second, with its bootstrap interval.
        p_value: two-sided, from the sign-flip permutation test of "no difference".
        better, worse: questions on which the first run scored higher, lower.
    """

    questions: int
    difference: Interval
    p_value: float
    better: int
    worse: int


def bootstrap(scores: Sequence[float], *, resamples: int = 10_000, seed: int = 0) -> Interval:
    """95 % percentile bootstrap interval of the mean over questions (Efron 1979).

    Args:
        scores: one number per question.

    Raises:
        ValueError: no scores.
    """
    values = np.asarray(scores, dtype=float)
    if not len(values):
        raise ValueError("no scores to take an interval of")
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, _CHUNK // len(values))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        means[start : start + size] = values[rng.integers(len(values), size=(size, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def share_interval(scores: Sequence[float], *, seed: int = 0) -> Interval:
    """Interval of a share: `bootstrap`, but the exact binomial one where all questions scored 0, or all 1.

    In those cases a bootstrap has no spread and would claim certainty (Clopper and Pearson 1934).

    Args:
        scores: one number per question, 0 to 1.

    >>> tuple(round(value, 3) for value in share_interval([0.0] * 24))
    (0.0, 0.0, 0.142)
    """
    found = bootstrap(scores, seed=seed)
    open_end = _unseen(len(scores))
    if max(scores) == 0:
        return found._replace(high=open_end)
    if min(scores) == 1:
        return found._replace(low=1 - open_end)
    return found


def _unseen(questions: int) -> float:
    """The largest share of some kind of question that is compatible (95 %) with finding none among `questions`."""
    return float(1 - 0.025 ** (1 / questions))


def compare(first: Mapping[str, float], second: Mapping[str, float], *, seed: int = 0) -> Comparison:
    """Compare two runs on the questions (ids) that both have.

    Runs that agree on every question may still differ on others: there the interval of the difference is that
    of the share of differing questions that is compatible with finding none, in either direction.

    Raises:
        ValueError: they share no question.
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise ValueError("the two runs share no question")
    differences = np.array([first[key] - second[key] for key in shared])
    difference = bootstrap(differences.tolist(), seed=seed)
    if not differences.any():  # no spread to resample, as in `share_interval`
        unseen = _unseen(len(shared))
        difference = Interval(0.0, -unseen, unseen)
    return Comparison(
        questions=len(shared),
        difference=difference,
        p_value=sign_flip_test(differences.tolist(), seed=seed),
        better=int((differences > 0).sum()),
        worse=int((differences < 0).sum()),
    )


def sign_flip_test(differences: Sequence[float], *, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of a mean of zero: how often random signs give a mean at least as far from zero.

    Questions without a difference do not matter. Up to 16 differing questions all sign patterns are counted
    (for 0/1 scores this is the exact McNemar test); beyond, patterns are drawn, with the observed one added.
    """
    values = np.asarray([d for d in differences if d != 0], dtype=float)
    if not len(values):
        return 1.0
    observed = abs(values.sum()) - 1e-9
    if len(values) <= 16:
        patterns = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float((abs((1 - 2 * patterns) @ values) >= observed).mean())
    rng = np.random.default_rng(seed)
    extreme = 0
    step = max(1, _CHUNK // len(values))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        signs = rng.integers(0, 2, size=(size, len(values))) * 2 - 1
        extreme += int((abs(signs @ values) >= observed).sum())
    return (extreme + 1) / (resamples + 1)
