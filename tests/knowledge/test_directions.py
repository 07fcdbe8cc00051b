"""Which statements go opposite ways."""

from __future__ import annotations

import pytest

from medr3_plugin.knowledge.directions import directions, opposite


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ravulizumab was inferior", "ravulizumab was non-inferior"),
        ("sumatriptan is safe in angina", "triptans are contraindicated in angina"),
        ("flumazenil is recommended", "flumazenil is harmful"),
        ("troponin was increased", "troponin was unchanged"),
        ("fewer infarctions", "infarctions were commoner"),
        ("甲氨蝶呤适用", "甲氨蝶呤禁忌"),
        ("腱反射亢进", "腱反射消失"),
    ],
)
def test_opposite(one, other):
    assert opposite(directions(one), directions(other))
    assert opposite(directions(other), directions(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fidaxomicin is better", "fidaxomicin lowers recurrence"),  # worth, and an amount
        ("the drug is harmful", "the drug raises the risk"),
        ("normally raised", "raised"),
        ("the drug is harmless", "the drug is safe"),
        ("absorption is normal", "absorption is unchanged"),
    ],
)
def test_not_opposite(one, other):
    assert not opposite(directions(one), directions(other))
