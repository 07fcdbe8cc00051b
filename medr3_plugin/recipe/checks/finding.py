"""What a check says."""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple, cast

from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import UserError
from medr3_plugin.registered_names import TRAINER_MODES
from medr3_plugin.stages.schedule import Schedule


class Finding(NamedTuple):
    """`error`: the run would fail or be wrong. `missing`: to be prepared first. `note`: good to know."""

    level: Literal["error", "missing", "note"]
    where: str
    message: str

    @classmethod
    def error(cls, where: str, message: str) -> Finding:  # noqa: D102
        return cls("error", where, message)

    @classmethod
    def missing(cls, where: str, message: str) -> Finding:  # noqa: D102
        return cls("missing", where, message)

    @classmethod
    def note(cls, where: str, message: str) -> Finding:  # noqa: D102
        return cls("note", where, message)

    @classmethod
    def of(cls, mistake: UserError) -> Finding:
        """The error that a `UserError` tells of; its message begins with the yaml path."""
        where, _, message = str(mistake).partition(": ")
        return cls("error", where, message)


def section(config: Any, *path: str) -> dict[str, Any]:
    """The section `medr3` of the configuration, or the one at `path` in it, as plain values; empty if not there."""
    from omegaconf import OmegaConf

    found: Any = OmegaConf.to_container(config.medr3, resolve=True) if "medr3" in config else None
    for name in path:
        found = (found or {}).get(name)
    return cast(dict[str, Any], found or {})


def most_searches(config: Any, usual: int | None = None) -> int:
    """Most searches of a trajectory in any stage; `usual`, or what the environment says, where a stage does not say."""
    if usual is None:
        usual = EnvironmentSettings.from_mapping(section(config, "environment")).max_searches
    stages = section(config).get("stages")
    limits = [stage.max_searches for stage in Schedule.from_config(stages).stages] if stages else [usual]
    return max(usual if limit is None else limit for limit in limits)


def needs_critic(config: Any) -> bool:
    """Whether verl trains a critic; where `critic.enable` is unset, the advantage estimator decides."""
    from verl.trainer.ppo.utils import need_critic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says every time that there is none
        return bool(need_critic(config))


def verl_mode(config: Any) -> str:
    """The mode of verl that the run's trainer mode is, or runs stages in."""
    mode = str(config.trainer.v1.trainer_mode)
    return TRAINER_MODES.get(mode, mode)
