"""The reference of the configuration is made from the models: every key has a meaning there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from medr3_plugin.stages.schedule import SECTIONS

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
        for name, field in reference.fields(model).items()
        if not (field.description or reference.meanings(model).get(name.replace("lambda", "lambda_")))
    }
    assert not without


def test_every_section_is_on_the_page(reference):
    page = reference.configuration()
    assert not [key for key in SECTIONS if f"`medr3.{key}" not in page]


def test_defaults_are_yaml(reference):
    page = reference.configuration()
    assert "see `" not in page and "| `True`" not in page and "SearchOptions(" not in page
    assert "| `validate_at_handover`{.name} | true or false | `true` |" in page
    assert "## `medr3.retrieval.search`" in page and "| `lambda`{.name} |" in page
    assert "`{wrong: 0.1, partly: 0.4, right: 1.0}`" in page


def test_the_command_line_names_every_option_and_its_default(reference):
    page = reference.command_line()
    assert "| `--port`{.name} |" in page and "| `8765` |" in page
    assert "``" not in page.replace("```", "") and "`False`" not in page
