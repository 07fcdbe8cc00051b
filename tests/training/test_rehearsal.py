"""Every shipped recipe, rehearsed whole with verl's real trainer."""

from __future__ import annotations

import pytest
from training_runs import medr3, needs_trainer

from medr3_plugin.recipe.shipped import list_recipes

pytestmark = pytest.mark.long

needs_trainer()


@pytest.mark.parametrize("name", [recipe.name for recipe in list_recipes() if recipe.name != "medr3_cpu"])
def test_the_recipe_passes_its_rehearsal(name: str) -> None:
    done = medr3("recipes", "rehearse", name, "--stand-ins")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "NO " not in done.stdout.partition("verdict on")[2]
