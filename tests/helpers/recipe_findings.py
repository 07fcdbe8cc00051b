"""The errors that the checks of recipes tell, and configurations with changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from medr3_plugin.recipe.checks import Finding, check
from medr3_plugin.recipe.shipped import Recipe, find_recipe

ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"


def errors(recipe: Recipe | str, overrides: Sequence[str] = (), *, files: bool = False) -> list[Finding]:
    """What the checks refuse in a recipe, a shipped one by its name."""
    recipe = find_recipe(recipe) if isinstance(recipe, str) else recipe
    return [finding for finding in check(recipe, overrides, files=files) if finding.level == "error"]


def changed(config: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a composed configuration with these values, keys that it lacks among them."""
    config = copy.deepcopy(config)
    OmegaConf.set_struct(config, False)
    for key, value in changes.items():
        OmegaConf.update(config, key, value, merge=False, force_add=True)
    return config
