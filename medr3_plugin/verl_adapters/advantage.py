"""Advantage estimator `medr3_grpo`: GRPO over the valid samples of each group.

verl's trainer hands an estimator rewards, masks and group ids, nothing else. Which samples are valid comes
from the trainer mode, through `valid_samples`, around the call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch

_valid: ContextVar[np.ndarray | None] = ContextVar("medr3_valid_samples", default=None)


@contextmanager
def valid_samples(valid: Sequence[bool]) -> Iterator[None]:
    """Say which rows of the batch are valid, while the advantages are computed.

    Args:
        valid: shape (batch,), in the order of the batch's rows.
    """
    token = _valid.set(np.asarray(valid, dtype=bool))
    try:
        yield
    finally:
        _valid.reset(token)


def medr3_grpo(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    config: Any = None,
    epsilon: float = 1e-6,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Group-relative advantages (GRPO, arXiv:2402.03300) that leave invalid samples out.

    The valid samples get exactly the advantages they would have if the invalid ones did not exist; invalid
    ones get 0, and so do groups with fewer than two valid samples. verl's own GRPO gives a group of one its
    raw reward; here a group that lost its baseline does not train.

    Args:
        token_level_rewards: shape (batch, response); the outcome reward is their sum over the response.
        response_mask: shape (batch, response), 1 for generated tokens.
        index: shape (batch,), the group (prompt) of each row.
        config: verl's `algorithm` section; `norm_adv_by_std_in_grpo` (default true) divides by the group's
            standard deviation, false gives Dr.GRPO.
        epsilon: added to the standard deviation.

    Returns:
        advantages and returns, both of shape (batch, response).

    Raises:
        RuntimeError: no one said which samples are valid (the trainer mode is not `medr3_progressive`).
    """
    valid = _valid.get()
    if valid is None:
        raise RuntimeError(
            "algorithm.adv_estimator=medr3_grpo needs trainer.v1.trainer_mode=medr3_progressive, which knows the "
            "invalid samples; with another trainer mode use adv_estimator=grpo"
        )
    scores = token_level_rewards.sum(dim=-1)
    if len(valid) != len(scores):
        raise RuntimeError(f"{len(valid)} validity flags for {len(scores)} samples")
    by_std = True if config is None else bool(config.get("norm_adv_by_std_in_grpo", True))
    advantages = torch.zeros_like(scores)
    groups = np.asarray(index)
    with torch.no_grad():
        for group in dict.fromkeys(groups.tolist()):
            rows = torch.from_numpy(np.flatnonzero((groups == group) & valid))
            if len(rows) < 2:
                continue
            values = scores[rows]
            centred = values - values.mean()
            advantages[rows] = centred / (values.std() + epsilon) if by_std else centred
    advantages = advantages.unsqueeze(-1) * response_mask
    return advantages, advantages
