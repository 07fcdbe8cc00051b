from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.retrieval.hybrid import (
    SENTENCE_TERMS,
    lexical_weight,
    reciprocal_rank_fusion,
    standing_out,
)

rankings = st.lists(st.integers(0, 30), unique=True, max_size=12)


def test_by_hand():
    rows, scores = reciprocal_rank_fusion(
        (np.array([5, 7, -1]), np.array([7, 9, 5])), weights=(0.75, 0.25), topk=10, k=10
    )
    assert rows.tolist() == [5, 7, 9]
    np.testing.assert_allclose(scores, [0.75 / 11 + 0.25 / 13, 0.75 / 12 + 0.25 / 11, 0.25 / 12], rtol=1e-6)


@given(first=rankings, second=rankings, k=st.sampled_from([10, 60]))
def test_equal_weights_are_plain_rrf(first, second, k):
    expected: dict[int, float] = {}
    for ranking in (first, second):
        for rank, row in enumerate(ranking, 1):
            expected[row] = expected.get(row, 0.0) + 1 / (k + rank)
    rows, scores = reciprocal_rank_fusion((np.array(first, int), np.array(second, int)), (1, 1), 100, k)
    assert rows.tolist() == sorted(expected, key=lambda row: (-expected[row], row))
    np.testing.assert_allclose(scores, [expected[row] for row in rows], rtol=1e-6)


@given(rankings, rankings)
def test_all_the_weight_on_one_engine_puts_its_ranking_first(first, second):
    rows, _ = reciprocal_rank_fusion((np.array(first, int), np.array(second, int)), (1, 0), 100)
    assert rows.tolist()[: len(first)] == first


scores = st.lists(st.floats(0.125, 100, width=32), min_size=2, max_size=20).map(
    lambda values: np.sort(np.array(values, dtype=np.float32))[::-1]
)


@given(scores, scores, st.integers(0, 200))
def test_the_weight_is_a_share(lexical, dense, terms):
    assert 0 <= lexical_weight(lexical, dense, terms) <= 1


@given(scores, st.floats(0.1, 10), st.floats(0, 5))
def test_neither_scale_nor_offset_counts(values, scale, offset):
    if values.std() < 0.05:
        return
    assert standing_out(values * np.float32(scale) + np.float32(offset)) == pytest.approx(
        standing_out(values), rel=0.05
    )


@given(scores, scores, st.integers(1, 200))
def test_a_longer_query_trusts_words_more(lexical, dense, terms):
    assert lexical_weight(lexical, dense, terms + 1) >= lexical_weight(lexical, dense, terms)
    if terms < SENTENCE_TERMS:
        assert lexical_weight(lexical, dense, terms + 1) == lexical_weight(lexical, dense, terms)


def test_a_list_that_stands_out_weighs_more():
    flat, sharp = np.linspace(0.5, 0.4, 100), np.array([0.9, *np.linspace(0.5, 0.4, 99)])
    assert lexical_weight(sharp, flat, 5) > 0.9
    assert lexical_weight(flat, sharp, 5) < 0.1
    assert lexical_weight(flat, flat, 5) == pytest.approx(0.5)


def test_an_engine_without_results_has_no_weight():
    nothing, something = np.zeros(100), np.linspace(0.5, 0.4, 100)
    assert lexical_weight(nothing, something, 5) == 0
    assert lexical_weight(something, nothing, 5) == 1
    assert lexical_weight(nothing, nothing, 5) == 0.5
