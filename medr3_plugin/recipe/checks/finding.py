"""What a check says."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

from medr3_plugin.registered_names import TRAINER_MODES


class Finding(NamedTuple):
    """`error`: the run would fail or be wrong. `missing`: to be prepared first. `note`: good to know."""

    level: Literal["error", "missing", "note"]
    where: str
    message: str


def section(config: Any, key: str = "medr3") -> dict[str, Any]:
    """A top-level section of the configuration as plain values; empty if it is not there."""
    from omegaconf import OmegaConf

    return cast(dict[str, Any], OmegaConf.to_container(config[key], resolve=True)) if key in config else {}


def verl_mode(config: Any) -> str:
    """The mode of verl that the run's trainer mode is, or runs stages in."""
    mode = str(config.trainer.v1.trainer_mode)
    return TRAINER_MODES.get(mode, mode)
