"""A judge that verl serves: `reward.reward_model` holds the model, our reward manager asks it."""

from __future__ import annotations

import os
from typing import Any

from omegaconf import OmegaConf, open_dict

from medr3_plugin.errors import UserError
from medr3_plugin.judge.factory import ROUTER_VARIABLE
from medr3_plugin.registered_names import REWARD_MANAGER

_SERVE = (
    "reward.reward_model.enable=true reward.reward_model.enable_resource_pool=true "
    "reward.reward_model.rollout.free_cache_engine=false reward.reward_model.model_path=MODEL"
)


def ask_through_the_manager(config: Any) -> None:
    """Check the two sections against each other, and make verl use the reward manager although there is a reward model.

    verl 0.9.1 (`RewardLoopWorker.compute_score`) takes any reward model for a classifier that replaces the reward
    manager, unless a custom reward function is set. Ours is set here and never called: the manager scores.

    Args:
        config: the run's configuration; `reward.custom_reward_function` is changed in place.

    Raises:
        UserError: a judge without a server, or a server that nothing would use.
    """
    if config.reward.reward_manager.name != REWARD_MANAGER:
        return
    model = config.reward.reward_model
    judge = OmegaConf.select(config, "medr3.reward.judge") or {}
    wanted = judge.get("kind") == "router"
    if not model.enable:
        if wanted and not (judge.get("address") or os.environ.get(ROUTER_VARIABLE)):
            raise UserError(f"medr3.reward.judge.kind: router needs a model that verl serves: {_SERVE}")
        return
    if not wanted:
        raise UserError(
            "reward.reward_model.enable: the reward manager medr3 uses a reward model only as its judge; "
            "set medr3.reward.judge.kind=router, or this to false"
        )
    if not model.enable_resource_pool:
        raise UserError(
            "reward.reward_model.enable_resource_pool: must be true; samples are judged while others are rolled "
            f"out, so the judge needs its own GPUs: {_SERVE}"
        )
    if model.rollout.free_cache_engine:
        raise UserError(
            "reward.reward_model.rollout.free_cache_engine: must be false; verl would put the judge to sleep after "
            "start-up and not wake it for single samples"
        )
    if not model.model_path:
        raise UserError("reward.reward_model.model_path: not set; give the folder or hub name of the judge")
    if config.reward.custom_reward_function.path is None:
        with open_dict(config):
            config.reward.custom_reward_function.path = f"pkg://{__name__}"
            config.reward.custom_reward_function.name = never_called.__name__


def never_called(*_: Any, **__: Any) -> float:
    """A placeholder where verl looks for a reward function; see `ask_through_the_manager`."""
    raise AssertionError("the reward manager medr3 scores the samples")
