"""Advantage estimator `medr3_grpo`: GRPO in which a sample without others of its group does not train."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch

_damped: ContextVar[tuple[Collection[str], float]] = ContextVar("medr3_damped_groups", default=((), 1.0))


@contextmanager
def damped_groups(groups: Collection[str], weight: float) -> Iterator[None]:
    """Multiply the advantages of these groups by `weight` while advantages are computed.

    verl hands an estimator rewards, masks and groups, not which answers are right; the trainer mode knows.
    """
    token = _damped.set((frozenset(groups), weight))
    try:
        yield
    finally:
        _damped.reset(token)


def medr3_grpo(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    config: Any = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Group-relative advantages (GRPO, arXiv:2402.03300).

    A group of one gets 0: it has no baseline. verl's own GRPO gives it its raw reward. Invalid samples never get here
    (`verl_adapters.invalid_samples`).

    Dividing by the deviation turns small differences among wrong answers into advantages as large as those between
    right and wrong ones; `medr3.wrong_group_weight` takes them back (`damped_groups`).

    Args:
        token_level_rewards: shape (batch, response); the outcome reward is their sum over the response.
        response_mask: shape (batch, response), 1 for generated tokens.
        index: shape (batch,), the group (prompt) of each row.
        config: verl's `algorithm` section; `norm_adv_by_std_in_grpo` (default true) divides by the group's
            standard deviation, false gives Dr.GRPO.

    Returns:
        advantages and returns, both of shape (batch, response).
    """
    scores = token_level_rewards.sum(dim=-1)
    by_std = True if config is None else bool(config.get("norm_adv_by_std_in_grpo", True))
    advantages = torch.zeros_like(scores)
    groups = np.asarray(index)
    damped, weight = _damped.get()
    with torch.no_grad():
        for group in dict.fromkeys(groups.tolist()):
            rows = torch.from_numpy(np.flatnonzero(groups == group))
            if len(rows) < 2:
                continue
            values = scores[rows]
            centred = values - values.mean()
            scale = weight if str(group) in damped else 1.0
            advantages[rows] = scale * (centred / (values.std() + 1e-6) if by_std else centred)
    advantages = advantages.unsqueeze(-1) * response_mask
    return advantages, advantages
