"""Advantage estimator `medr3_grpo`: GRPO in which a sample without others of its group does not train."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def medr3_grpo(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    config: Any = None,
    epsilon: float = 1e-6,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Group-relative advantages (GRPO, arXiv:2402.03300).

    A group of one gets 0: it has no baseline. verl's own GRPO gives it its raw reward. Invalid samples never get here
    (`verl_adapters.invalid_samples`).

    Args:
        token_level_rewards: shape (batch, response); the outcome reward is their sum over the response.
        response_mask: shape (batch, response), 1 for generated tokens.
        index: shape (batch,), the group (prompt) of each row.
        config: verl's `algorithm` section; `norm_adv_by_std_in_grpo` (default true) divides by the group's
            standard deviation, false gives Dr.GRPO.
        epsilon: added to the standard deviation.

    Returns:
        advantages and returns, both of shape (batch, response).
    """
    scores = token_level_rewards.sum(dim=-1)
    by_std = True if config is None else bool(config.get("norm_adv_by_std_in_grpo", True))
    advantages = torch.zeros_like(scores)
    groups = np.asarray(index)
    with torch.no_grad():
        for group in dict.fromkeys(groups.tolist()):
            rows = torch.from_numpy(np.flatnonzero(groups == group))
            if len(rows) < 2:
                continue
            values = scores[rows]
            centred = values - values.mean()
            advantages[rows] = centred / (values.std() + epsilon) if by_std else centred
    advantages = advantages.unsqueeze(-1) * response_mask
    return advantages, advantages
