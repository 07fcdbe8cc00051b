"""The reward formula of each stage, kept in checkpoints: a run that goes on with another one is another run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import OmegaConf

from medr3_plugin.registered_names import REWARD_MANAGER
from medr3_plugin.rewards.options import reward_options, stage_options
from medr3_plugin.stages.schedule import Schedule

Formulas = dict[str, dict[str, Any]]
"""Stage name -> key below `medr3.reward`, dotted -> value."""


def formulas(config: Any, schedule: Schedule) -> Formulas:
    """What each stage rewards; empty where another reward manager scores.

    Judge, extractor and encoder are no part of it: they may move to another server between two starts.

    Args:
        config: the run's configuration, resolved.

    Raises:
        UserError: a reward option is wrong; names the yaml path.
    """
    if config.reward.reward_manager.name != REWARD_MANAGER:
        return {}
    section: Any = OmegaConf.to_container(config.medr3, resolve=True)
    options = reward_options(section)
    return {
        stage.name: dict(_flat(stage_options(options, stage.name).model_dump(mode="json")))
        for stage in schedule.stages
    }


def _flat(options: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Key -> "was ..., is ..." of what differs; a key that only one of them knows is of another version, not a change.

    >>> changes({"preset": "paper", "gate.wrong": 0.2}, {"preset": "medr3", "gate.wrong": 0.2, "new": 1})
    {'preset': 'was paper, is medr3'}
    """
    shared = [key for key in before if key in now]
    return {key: f"was {before[key]}, is {now[key]}" for key in shared if before[key] != now[key]}
