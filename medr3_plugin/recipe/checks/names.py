"""Keys that verl does not know: hydra lets a recipe's yaml add any key, and a misspelt one would have no effect."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

from medr3_plugin.errors import did_you_mean
from medr3_plugin.recipe.checks.finding import Finding

_OURS = ("medr3", "paths")
_FREE = (
    "actor_rollout_ref.model.override_config",
    "critic.model.override_config",
    "data.apply_chat_template_kwargs",
    "data.mm_processor_kwargs",
    "ray_kwargs.ray_init",
    "reward.reward_kwargs",
    "trainer.v1.sampler.sampler_kwargs",
)
"""Mappings that verl hands on as they are."""

READ_WITHOUT_DEFAULT = {
    "data": ("cache_dir", "chat_template_func", "filter_prompts", "gen_batch_size", "need_tools_kwargs"),
    "trainer": ("remove_previous_ckpt_in_save",),
    "actor_rollout_ref.rollout.agent": ("agent_loop_manager_class",),
}
"""Keys that verl reads though its configuration does not have them."""


def unknown_keys(config: Any) -> Iterator[Finding]:
    """Keys of a recipe that neither verl's configuration nor the dataclass it becomes has."""
    from omegaconf import OmegaConf

    given = cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
    verl = {key: value for key, value in given.items() if key not in _OURS}
    if config.data.custom_cls.path:
        verl.pop("data")  # a custom dataset may have its own keys
    for path, known in _unknown(verl, verl_defaults(str(config.model_engine)), ""):
        hint = did_you_mean(path.rpartition(".")[2], sorted(known))
        if hint or "." in path:  # a custom section is not a mistake
            yield Finding.error(path, f"not a key of verl's configuration: nothing would read it{hint}")


def _unknown(given: Any, base: Any, path: str) -> Iterator[tuple[str, set[str]]]:
    if not isinstance(given, Mapping) or not isinstance(base, Mapping) or path in _FREE or not base:
        return
    known = {*map(str, base), *fields_of(base.get("_target_")), *READ_WITHOUT_DEFAULT.get(path, ())}
    for key, value in given.items():
        where = f"{path}.{key}" if path else str(key)
        if str(key) not in known:
            yield where, known
        else:
            yield from _unknown(value, base.get(key), where)


class Field(NamedTuple):
    """A field of a dataclass of verl: the types of its values, its default, the length of a tuple."""

    kinds: set[type]
    default: Any
    length: int


@functools.cache
def fields_of(target: str | None) -> dict[str, Field]:
    """The fields of the dataclass that verl makes of a section; none if it makes none."""
    if not target:
        return {}
    from hydra.utils import get_class

    try:
        of = get_class(target)
        hints = get_type_hints(of)
    except (ImportError, NameError, TypeError, ValueError):
        return {}
    found = {}
    for field in dataclasses.fields(of) if dataclasses.is_dataclass(of) else ():
        default = None if field.default is dataclasses.MISSING else field.default
        kinds = _types(hints[field.name]) | ({type(None)} if field.default is None else set())
        parts = get_args(hints[field.name]) if get_origin(hints[field.name]) is tuple else ()
        found[field.name] = Field(kinds, default, 0 if Ellipsis in parts else len(parts))
    return found


def _types(hint: Any) -> set[Any]:
    """The plain types of an annotation; what stands for a section is a mapping in yaml."""
    if get_origin(hint) in (Union, UnionType):
        return {kind for part in get_args(hint) for kind in _types(part)}
    plain = get_origin(hint) or hint
    if isinstance(plain, type) and (dataclasses.is_dataclass(plain) or issubclass(plain, Mapping)):
        plain = Mapping
    return {list if plain is tuple else plain}


@functools.cache
def verl_defaults(engine: str) -> dict[str, Any]:
    """verl's own configuration for a model engine, nothing resolved."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    with initialize_config_module(config_module="verl.trainer.config", version_base=None):
        config = compose(config_name="ppo_trainer", overrides=[f"model_engine={engine}"])
    return cast(dict[str, Any], OmegaConf.to_container(config, resolve=False))
