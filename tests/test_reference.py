"""The reference of the configuration is made from the models: every key has a meaning there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")
HOOK = Path(__file__).parents[1] / "docs" / "hooks" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", HOOK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_key_has_a_meaning(reference):
    without = {
        f"{path}.{name}"
        for section in reference.sections()
        for path, model in reference._with_parts(section.path, section.model)
        for name, field in model.model_fields.items()
        if not (field.description or reference.meanings(model).get(name))
    }
    assert not without
