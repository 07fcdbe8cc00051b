"""`medr3 doctor`: remedies that fit what is missing."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest
from command_line import medr3

from medr3_plugin import doctor

REQUIRES = [
    "typer>=0.12",
    "fastapi>=0.110; extra == 'serve'",
    "uvicorn>=0.29; extra == 'serve'",
    'ray[default]>=2.41; extra == "verl"',
    'pyarrow>=17; extra == "data"',
    "json-repair>=0.40; extra == 'judge'",
    "medr3-plugin[judge]; extra == 'eval'",
]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with the core, pyarrow and fastapi."""
    installed = {"medr3-plugin": "1", "pyarrow": "1", "fastapi": "1"}
    monkeypatch.setattr(doctor, "version_of", installed.get)
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRES)


@pytest.mark.usefixtures("bare")
def test_a_bare_environment_is_told_what_each_missing_part_is_for() -> None:
    checks = {check.name.split(" (")[0]: check for check in doctor.checks()}
    assert checks["extra serve"].found == "uvicorn missing"
    assert checks["extra serve"].remedy == "pip install 'medr3-plugin[serve]'"
    assert checks["extra eval"].found == "json-repair missing"  # by way of another extra
    assert checks["extra data"].ok and not checks["extra data"].remedy
    assert not checks["verl"].ok and checks["verl"].needed
    assert "GPUs" not in checks  # nothing to train with


@pytest.mark.usefixtures("bare")
def test_command_without_verl() -> None:
    result = medr3("doctor")
    assert result.exit_code == 1
    assert "-   extra serve (medr3 serve): uvicorn missing" in result.stdout
    assert "NO  verl: not installed" in result.stdout and "scoring and retrieval can" in result.stdout
    report = json.loads(medr3("doctor", "--json").stdout)
    assert report["usable"] is False and report["versions"]["verl"] is None


def test_every_extra_of_the_doctor_is_one_of_the_package() -> None:
    known = importlib.metadata.metadata("medr3-plugin").get_all("Provides-Extra") or []
    assert doctor.EXTRAS.keys() <= set(known)


def of_trl() -> list[doctor.Check]:
    return [check for check in doctor.checks() if check.name == "trl beside verl"]


def test_a_trl_that_verl_cannot_patch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trl").mkdir()
    module = tmp_path / "trl/__init__.py"
    module.write_text("")
    monkeypatch.setattr(doctor, "version_of", {"trl": "1.16.0"}.get)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    [check] = of_trl()
    assert not check.ok and check.found == "1.16.0" and "pip uninstall trl" in check.remedy
    module.write_text("class AutoModelForCausalLMWithValueHead: ...")
    assert [check.ok for check in of_trl()] == [True]


@pytest.mark.usefixtures("bare")
def test_without_trl_nothing_is_said_of_it() -> None:
    assert of_trl() == []
