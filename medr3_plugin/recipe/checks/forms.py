"""Keys that verl does not know, and the form of every value: sections, numbers, lists, interpolations.

hydra lets a recipe's yaml add any key, and a misspelt one would have no effect. Other checks calculate with the values.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, Union, cast, get_args, get_origin, get_type_hints

from medr3_plugin.errors import did_you_mean, shown
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

_SECTIONS = (
    "medr3",
    "medr3.environment",
    "medr3.retrieval",
    "medr3.retrieval.search",
    "medr3.reward",
    *(f"medr3.reward.{name}" for name in ("judge", "encoder", "extractor", "agreement", "penalties")),
    "medr3.reward.penalties.overlong",
)
"""Sections of ours that are read in several places, each by a validator of its own in one."""

_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list (`[]` for none)",
    Mapping: "a section",
    type(None): "null",
}

_MAY_BE_NULL = (
    "actor_rollout_ref.actor.clip_ratio_high",
    "actor_rollout_ref.actor.clip_ratio_low",
    "actor_rollout_ref.rollout.max_num_batched_tokens",
    "actor_rollout_ref.rollout.max_num_seqs",
    "trainer.v1.sampler.max_off_policy_threshold",
)
"""Numbers of verl's that it takes null for, too, though neither its yaml nor its dataclass says so."""

_OF_THE_USER = ("actor_rollout_ref.model.path", "data.train_files", "data.val_files")

_COUNTS = (
    "micro_batch_size_per_gpu",
    ".max_model_len",
    ".num_cpus",
    "data.seed",
    ".gen_batch_size",
    ".val_batch_size",
    ".max_actor_ckpt_to_keep",
    ".max_critic_ckpt_to_keep",
    "trainer.total_training_steps",
)
"""Ends of keys that are null in verl's configuration, and otherwise at least 1."""

_FRACTIONS = (".num_warmup_batches", ".esi_redundant_time")
"""Ends of keys that need not be whole, though verl's own value is."""

_FROM_NOUGHT = ("seed", ".dataloader_num_workers", ".num_warmup_batches")
"""Ends of keys that may be 0, though verl's own value is larger."""


def forms(config: Any) -> Iterator[Finding]:
    """Values of another form than verl's own configuration, or than our sections, have."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not config or "model_engine" not in config:
        hint = "defaults: [ppo_trainer, _self_], with pkg://verl.trainer.config in hydra.searchpath"
        yield Finding.error("defaults", f"the recipe does not extend verl's configuration; it needs {hint}")
        return
    engines = ("dp", "megatron", "torchtitan", "veomni")
    if config.model_engine not in engines:
        yield Finding.error("model_engine", f"{config.model_engine!r}: expected {', '.join(engines)}")
        return
    # sections first: an interpolation into something else cannot be resolved
    raw: Any = OmegaConf.to_container(config, resolve=False)
    if wrong := list(_wrong(raw)):
        yield from wrong
        return
    try:
        resolved: Any = OmegaConf.to_container(config, resolve=True)  # as verl does when it starts
    except OmegaConfBaseException as error:
        yield unresolved(raw, error)
    except RecursionError:
        yield Finding.error("recipe", "an interpolation refers to itself")
    else:
        yield from list(_not_set(resolved)) or _wrong(resolved)


def unresolved(raw: Any, error: Any) -> Finding:
    """The finding of an omegaconf error: the first key whose text has the name that cannot be resolved."""
    message = str(error).partition("\n")[0].rpartition("while resolving interpolation: ")[2].strip('"')
    name = re.search(r"'([^']+)'|(?:type|value:) (\S+)", message)
    wanted = (name[1] or name[2]) if name else None
    where = next((key for key, text in _texts(raw) if wanted and wanted in text), error.full_key)
    if message.startswith("Environment variable"):
        message += f": set it, or give a default, ${{oc.env:{wanted},DEFAULT}}"
    return Finding.error(str(where or "recipe"), message)


def _texts(raw: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a configuration that is an interpolation, by its key."""
    for key, value in raw.items() if isinstance(raw, Mapping) else enumerate(raw):
        where = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping | list):
            yield from _texts(value, where)
        elif _unresolved(value):
            yield where, value


def _not_set(given: Any) -> Iterator[Finding]:
    """Keys that verl's configuration has an example for, which no recipe can mean; all are paths."""
    usual = verl_defaults(str(given.get("model_engine")))
    for key in _OF_THE_USER:
        value = _at(given, key.split("."))
        texts = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(text, str) for text in texts):
            yield Finding.error(key, f"a text is needed, or a list of them, got {shown(value)}")
        elif value and value == _at(usual, key.split(".")) and not Path(texts[0]).expanduser().exists():
            yield Finding.error(key, f"not set, and a value is needed: verl's example is {shown(value)}")


def _wrong(given: Any) -> Iterator[Finding]:
    for path in _SECTIONS:
        value = _at(given, path.split("."))
        null = path in given and value is None
        if null or not (isinstance(value, Mapping | None) or _unresolved(value)):
            yield Finding.error(path, f"a section (`key: value` lines) is needed, got {shown(value)}")
    yield from _unlike(given, verl_defaults(str(given.get("model_engine"))), "")


def _unresolved(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def _at(value: Any, keys: list[str]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _unlike(given: Any, usual: Any, path: str, field: Field | None = None) -> Iterator[Finding]:
    """Walk both: each value has a type of the dataclass field that it becomes, else of verl's own value."""
    if _unresolved(given) or (given == usual and type(given) is type(usual)):
        return
    if isinstance(usual, Mapping):
        if not isinstance(given, Mapping):
            hint = "leave the key out to keep verl's" if given is None else "`key: value` lines"
            yield Finding.error(path, f"a section is needed ({hint}), got {shown(given)}")
            return
        target = given.get("_target_") or usual.get("_target_")
        fields = fields_of(target)
        for key in (key for key in given if key in usual or key in fields):
            where = f"{path}.{key}" if path else str(key)
            yield from _unlike(given[key], usual.get(key), where, fields.get(str(key)))
    elif given is None and _unresolved(usual):
        return  # what verl copies from another key may be null like that
    elif wrong := _wrong_value(given, None if _unresolved(usual) else usual, path, field):
        yield Finding.error(path, f"{wrong}, got {shown(given)}")


def _wrong_value(given: Any, usual: Any, path: str, field: Field | None) -> str | None:
    """What is needed instead of a value that verl could not use."""
    if usual is None and field is not None:
        usual = field.default
    counts = path.endswith(_COUNTS)
    kinds = {int, type(None)} if counts else {type(usual)} - {type(None), str}  # files: one name or several
    if field is not None:
        kinds = set(field.kinds)
    elif path.endswith(_FRACTIONS):
        kinds = {float}
    if path in _MAY_BE_NULL:
        kinds.add(type(None))
    fitting = [name for kind, name in _NAMES.items() if kind in kinds]
    if kinds and len(fitting) == len(kinds) and not any(_is(given, kind) for kind in kinds):
        return f"{' or '.join(fitting)} is needed"
    if isinstance(given, float) and math.isnan(given):
        return "a number is needed"
    if field is not None and field.length and isinstance(given, list) and len(given) != field.length:
        return f"a list of {field.length} is needed"
    texts = given if isinstance(given, list) else [given]
    if home := next((text for text in texts if isinstance(text, str) and text.startswith("~")), None):
        return f"a whole path ({Path(home).expanduser()}; verl does not know what ~ means) is needed"
    least = 0 if path.endswith(_FROM_NOUGHT) else 1
    if _is(given, int) and given < least and (counts or (_is(usual, int) and usual > 0)):
        return f"at least {least} is needed"
    return None


def _is(value: Any, kind: type) -> bool:
    """Whether verl would take a value of a yaml for one of this type; Python counts `true` as a number."""
    if isinstance(value, bool):
        return kind is bool
    wider: dict[Any, Any] = {float: int | float, str: str | int | float | list, list: list | str}
    return isinstance(value, wider.get(kind, kind))


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
