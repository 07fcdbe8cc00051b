"""The form of every value, before other checks calculate with them: sections, numbers, lists, interpolations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medr3_plugin.recipe.checks.finding import Finding
from medr3_plugin.recipe.checks.names import verl_defaults
from medr3_plugin.rows import shown

_SECTIONS = (
    "medr3",
    "medr3.environment",
    "medr3.retrieval",
    "medr3.retrieval.search",
    "medr3.reward",
    *(f"medr3.reward.{name}" for name in ("judge", "encoder", "extractor", "penalties")),
    "medr3.reward.penalties.overlong",
)
"""Sections of ours that are read in several places, each by a validator of its own in one."""


def forms(config: Any) -> Iterator[Finding]:
    """Values of another form than verl's own configuration, or than our sections, have."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not config or "model_engine" not in config:
        hint = "defaults: [ppo_trainer, _self_], with pkg://verl.trainer.config in hydra.searchpath"
        yield Finding.error("defaults", f"the recipe is not on top of verl's configuration; it needs {hint}")
        return
    # sections first: an interpolation into one that is none cannot be resolved
    raw: Any = OmegaConf.to_container(config, resolve=False)
    if wrong := list(_wrong(raw)):
        yield from wrong
        return
    try:
        resolved: Any = OmegaConf.to_container(config, resolve=True)  # as verl does when it starts
    except OmegaConfBaseException as error:
        yield Finding.error(str(error.full_key or "recipe"), str(error).partition("\n")[0])
    except RecursionError:
        yield Finding.error("recipe", "an interpolation leads back to itself")
    else:
        yield from _wrong(resolved)


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


def _unlike(given: Any, usual: Any, path: str) -> Iterator[Finding]:
    """Walk both: a section where verl has one, a number where it has one, true or false, a list (or one name)."""
    if _unresolved(given):
        return
    if isinstance(usual, Mapping):
        if not isinstance(given, Mapping):
            hint = "leave the key out to keep verl's" if given is None else "`key: value` lines"
            yield Finding.error(path, f"a section is needed ({hint}), got {shown(given)}")
            return
        for key in (key for key in usual if key in given):
            yield from _unlike(given[key], usual[key], f"{path}.{key}" if path else str(key))
        return
    if usual is None or (given is None and not isinstance(usual, list)):
        return
    kinds: dict[type, tuple[Any, str]] = {
        bool: (bool, "true or false"),
        int: (int | float, "a number"),
        float: (int | float, "a number"),
        list: (list | str, "a list (`[]` for none)"),
    }
    kind, name = kinds.get(type(usual), (object, ""))
    if not isinstance(given, kind) or (name == "a number" and isinstance(given, bool)):
        yield Finding.error(path, f"{name} is needed, got {shown(given)}")
