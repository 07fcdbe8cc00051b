"""medr3_grpo against verl's own GRPO."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
core_algos = pytest.importorskip("verl.trainer.ppo.core_algos")

from medr3_plugin.verl_adapters.advantage import damped_groups, medr3_grpo  # noqa: E402

REWARDS = st.one_of(
    st.floats(-1, 2, width=32),
    st.sampled_from([0.0, 1.0, 0.1, -0.4]),  # equal rewards in a group: a deviation of 0
    st.floats(-1e4, 1e4, width=32),
)
ROWS = st.lists(st.tuples(st.integers(0, 3), REWARDS, st.integers(1, 5)), min_size=1, max_size=24)


def batch(scores, lengths=None):
    """Outcome rewards on the last token, as verl places them; shape (batch, 5)."""
    rewards = torch.zeros(len(scores), 5)
    mask = torch.zeros(len(scores), 5)
    for i, score in enumerate(scores):
        length = lengths[i] if lengths else 5
        rewards[i, length - 1] = score
        mask[i, :length] = 1
    return rewards, mask


@settings(max_examples=100, deadline=None)
@given(ROWS, st.booleans())
def test_groups_get_what_verl_gives_them_and_a_group_of_one_nothing(rows, by_std):
    groups = np.array([group for group, *_ in rows], dtype=object)
    rewards, mask = batch([score for _, score, _ in rows], lengths=[length for *_, length in rows])
    mask[:, 1] = 0  # a document's token
    given = rewards.clone()
    ours, returns = medr3_grpo(rewards, mask, groups, config={"norm_adv_by_std_in_grpo": by_std})
    assert torch.equal(rewards, given) and torch.equal(ours, returns)
    assert torch.isfinite(ours).all() and torch.all(ours[mask == 0] == 0)
    theirs, _ = core_algos.compute_grpo_outcome_advantage(
        rewards.clone(), mask, groups, norm_adv_by_std_in_grpo=by_std
    )
    for row, group in enumerate(groups):
        if int(sum(groups == group)) < 2:
            assert torch.all(ours[row] == 0)
        else:
            torch.testing.assert_close(ours[row], theirs[row], atol=1e-6, rtol=1e-6)


def test_advantages_respect_the_response_mask():
    rewards, mask = batch([1.0, 0.0], lengths=[2, 5])
    advantages, returns = medr3_grpo(rewards, mask, np.array(["a", "a"]))
    assert torch.equal(advantages, returns)
    assert torch.all(advantages[0, 2:] == 0) and advantages[0, 0] > 0 > advantages[1, 4]


def test_registered_with_verl():
    import verl  # noqa: F401

    assert core_algos.get_adv_estimator_fn("medr3_grpo") is medr3_grpo


@pytest.mark.parametrize("by_std", [True, False])
def test_groups_without_a_right_answer_count_as_told(by_std):
    rewards, mask = batch([0.1, 0.3, 1.0, 0.2])
    groups = np.array(["wrong", "wrong", "mixed", "mixed"], dtype=object)
    config = {"norm_adv_by_std_in_grpo": by_std}
    plain, _ = medr3_grpo(rewards, mask, groups, config=config)
    with damped_groups({"wrong"}, 0.25):
        damped, _ = medr3_grpo(rewards, mask, groups, config=config)
    torch.testing.assert_close(damped[:2], 0.25 * plain[:2])
    assert torch.equal(damped[2:], plain[2:])
    with damped_groups({"wrong"}, 0.0):
        assert not medr3_grpo(rewards, mask, groups, config=config)[0][:2].any()
    assert torch.equal(medr3_grpo(rewards, mask, groups, config=config)[0], plain)
