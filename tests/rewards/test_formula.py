"""The reward formula: the ladder, bounds, monotonicity, and the release's arithmetic by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.rewards import record as reward_record
from medr3_plugin.rewards.formula import PENALTIES, WEIGHTS, compose, formula
from medr3_plugin.rewards.options import StageOptions

STAGES = ("reasoning", "retrieval", "joint")
share = st.floats(0, 1)
stage = st.sampled_from(STAGES)
# the most that penalties can take: three of 0.1, language counts twice, overlong 1
penalty = st.fixed_dictionaries(
    {
        "penalty_format": st.floats(-0.1, 0),
        "penalty_length": st.floats(-0.1, 0),
        "penalty_language": st.floats(-0.2, 0),
        "penalty_overlong": st.floats(-1, 0),
    }
)
PARTS = ("reasoning", "retrieval", "coordination", "documents")
parts = st.fixed_dictionaries(dict.fromkeys(PARTS, share))
NO_PENALTY = dict.fromkeys(PENALTIES, 0.0)


def reward(level, measured, taken=NO_PENALTY, name="joint", *, options=None, progress=0.0, forged=False):
    options = options or StageOptions()
    record = reward_record.empty() | measured | taken
    record["forged"] = float(forged)
    if level is not None:
        record["answer"] = options.answer[level]
    return compose(record, level, formula(name, options), progress)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # S = 0.5, T = 0.8, C = 0.25, right answer: 1 + 0.8 B
        ("reasoning", 1 + 0.8 * 0.5),
        ("retrieval", 1 + 0.8 * 0.8),
        ("joint", 1 + 0.8 * (0.6 * 0.5 + 0.2 * 0.8 + 0.2 * 0.25)),
    ],
)
def test_stage_formulas(name, expected):
    measured = {"reasoning": 0.5, "retrieval": 0.8, "coordination": 0.25}
    assert reward(2, measured, name=name) == pytest.approx(expected)


@given(st.tuples(parts, parts, parts), st.tuples(stage, stage, stage))
def test_the_answer_decides_whatever_the_bonus(measured, names):
    wrong, partly, right = (
        reward(level, m, name=n) for level, (m, n) in enumerate(zip(measured, names, strict=True))
    )
    assert 0.1 <= wrong <= 0.3 + 1e-9
    assert 0.4 <= partly <= 0.8 + 1e-9
    assert 1.0 <= right <= 1.8 + 1e-9


@given(parts, penalty, stage, st.sampled_from([0, 1, 2]))
def test_ladder_with_penalties(measured, taken, name, level):
    forged = reward(level, measured, taken, name, forged=True)
    silent = reward(None, measured, taken, name)
    answered = reward(level, measured, taken, name)
    assert (forged, silent) == (-1.0, -0.5)
    assert -0.4 <= answered <= 1.8 + 1e-9


@given(parts, penalty, stage, st.sampled_from([0, 1]), share)
def test_same_parts_and_penalties_a_better_answer_is_never_worse(measured, taken, name, level, progress):
    better = reward(level + 1, measured, taken, name, progress=progress)
    assert better >= reward(level, measured, taken, name, progress=progress)


@given(parts, penalty, stage, st.sampled_from([0, 1, 2]), st.tuples(st.sampled_from(PARTS), share))
def test_monotone_in_each_part(measured, taken, name, level, raised):
    part, value = raised
    more = measured | {part: max(measured[part], value)}
    assert reward(level, more, taken, name) >= reward(level, measured, taken, name) - 1e-12


@given(parts, penalty, stage, st.sampled_from([0, 1, 2]), st.sampled_from(PENALTIES))
def test_monotone_in_each_penalty(measured, taken, name, level, which):
    assert reward(level, measured, taken | {which: 0.0}, name) >= reward(level, measured, taken, name) - 1e-12


def test_weights_move_over_the_stage():
    options = StageOptions(weights={"reasoning": [0.8, 0.0], "retrieval": [0.0, 0.8]})
    measured = {"reasoning": 1.0, "retrieval": 0.5, "coordination": 0.0}
    values = [reward(2, measured, options=options, progress=t) for t in (0.0, 0.5, 1.0)]
    assert values == pytest.approx([1 + 0.8 * 0.8, 1 + 0.8 * 0.6, 1 + 0.8 * 0.4])


def test_a_search_pays_beside_an_answer_that_is_not_right():
    silent, searched = ({"reasoning": 0.5, "documents": shown} for shown in (0.0, 2.0))
    for level, paid in enumerate((0.2 * 0.5, 0.4 * 0.5, 0.0)):
        earned = [reward(level, measured, name="reasoning") for measured in (silent, searched)]
        assert earned[1] - earned[0] == pytest.approx(paid)
        assert reward(level, searched) == reward(level, silent)  # no other stage pays for it
    assert reward(2, searched, name="reasoning") == pytest.approx(1 + 0.8 * 0.5)  # S has all of the bonus
    dear = StageOptions(weights={"searched": 1.0})
    assert reward(0, searched, options=dear) < reward(1, silent, options=dear)
    assert reward(2, searched, options=dear) == 1.0


def test_an_unknown_stage_needs_a_preset():
    from medr3_plugin.errors import UserError

    with pytest.raises(UserError, match="warm-up"):
        formula("warm-up", StageOptions())
    warm = formula("warm-up", StageOptions(preset="retrieval"))
    assert (warm.index, warm.weights) == (1, WEIGHTS["retrieval"])


# The release: R = max(A + 0.8 S, 0) + P; 0.1 + P if the format score is 0; -0.1 for a bad search or document.
@pytest.mark.parametrize(
    ("level", "s", "penalties", "expected"),
    [
        (2, 1.0, {}, 1.8),
        (2, 0.0, {}, 1.0),
        (2, 0.5, {"penalty_length": -0.027}, 1.373),
        (1, 0.5, {}, 0.8),
        (0, 1.0, {}, 0.9),  # a wrong answer with perfect imitation beats a partly right one: their flaw, kept
        (0, 0.25, {"penalty_language": -0.1}, 0.2),
        (None, 0.9, {"penalty_format": -0.1, "penalty_length": -0.1, "penalty_language": -0.1}, -0.2),
        (None, 0.0, {"penalty_format": -0.1, "penalty_length": -0.1, "penalty_language": -0.2}, -0.3),
    ],
)
def test_authors_formula(level, s, penalties, expected):
    options = StageOptions(preset="authors")
    measured = {"reasoning": s, "answer": 0.1}  # 0.1: their base for what is not judged
    assert reward(level, measured, NO_PENALTY | penalties, "reasoning", options=options) == pytest.approx(
        expected
    )


def test_authors_forged_is_flat():
    options = StageOptions(preset="authors")
    taken = NO_PENALTY | {"penalty_format": -0.1}
    assert reward(2, {"reasoning": 1.0}, taken, "reasoning", options=options, forged=True) == -0.1
