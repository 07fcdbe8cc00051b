"""`medr3 recipes`: finding, listing and copying, without verl."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import medr3

import medr3_plugin.recipe.shipped as recipes_module
from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.recipe.shipped import copy_recipe, find_recipe, list_recipes, recipes_folder


def test_shipped_recipes_are_complete() -> None:
    recipes = {recipe.name: recipe for recipe in list_recipes()}
    expected = (
        "answer_only llama3_1_8b medr3_cpu one_gpu_1_5b qwen2_5_14b qwen2_5_7b qwen3_8b_tools search_r1_style"
    )
    assert set(expected.split()) <= set(recipes)
    for recipe in recipes.values():
        assert recipe.config_file.is_file()
        assert (recipe.folder / "README.md").is_file(), recipe.name
        run = recipe.folder / "run.sh"
        assert run.stat().st_mode & 0o111, f"{run} is not executable"
        assert run.resolve() == recipes_folder().resolve() / "run.sh"
        assert (recipe.folder / "REQUIRED_VERL.txt").read_text().splitlines()[-1] == "PIP_INSTALL=verl==0.9.1"


def test_no_recipe_holds_a_path_of_one_machine() -> None:
    for file in recipes_folder().rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert "/home/" not in text and "/root" not in text and "/work/" not in text, file


def test_list() -> None:
    result = medr3("recipes", "list")
    assert result.exit_code == 0
    assert any(line.startswith("qwen2_5_7b ") and "Qwen2.5-7B" in line for line in result.output.splitlines())


def test_copy_is_complete_and_refuses_to_overwrite(tmp_path: Path) -> None:
    result = medr3("recipes", "copy", "qwen3_8b_tools", tmp_path / "mine")
    assert result.exit_code == 0, result.output
    copied = {p.name: p for p in (tmp_path / "mine").iterdir()}
    assert set(copied) == {
        "qwen3_8b_tools.yaml",
        "run.sh",
        "README.md",
        "tools.yaml",
        "judge",
        "REQUIRED_VERL.txt",
    }
    assert copied["run.sh"].stat().st_mode & 0o111
    (tmp_path / "file").touch()
    below = medr3("recipes", "copy", "qwen3_8b_tools", tmp_path / "file" / "mine")
    assert isinstance(below.exception, UserError) and str(tmp_path / "file" / "mine") in str(below.exception)
    again = medr3("recipes", "copy", "qwen3_8b_tools", tmp_path / "mine")
    assert isinstance(again.exception, UserError) and "is not an empty folder" in str(again.exception)


def test_unknown_names_get_the_closest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="qwen2_5_7b"):
        find_recipe("qwen2.5_7b")
    with pytest.raises(UserError, match="medr3_cpu"):
        find_recipe("zzzzzz")
    with pytest.raises(UserError, match=str(tmp_path)):
        find_recipe(str(tmp_path))


def test_a_mistyped_folder_gets_the_own_recipe_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_recipe("qwen2_5_7b", tmp_path / "my_run")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="my_run"):
        find_recipe("my_rum")
    with pytest.raises(UserError, match=str(tmp_path / "my_run")):
        find_recipe(str(tmp_path / "my_rum"))


def test_without_hydra_validation_is_refused_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hydra", None)
    result = medr3("recipes", "validate")
    assert isinstance(result.exception, MissingExtra)


def test_a_copy_is_found_by_folder_and_by_yaml(tmp_path: Path) -> None:
    copied = copy_recipe("qwen2_5_7b", tmp_path / "other_name")
    assert find_recipe(str(tmp_path / "other_name")) == copied
    assert find_recipe(str(tmp_path / "other_name" / "qwen2_5_7b.yaml")) == copied


def test_a_copy_in_the_working_directory_comes_before_the_shipped_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = find_recipe("one_gpu_1_5b")
    (tmp_path / "one_gpu_1_5b").mkdir()  # not a recipe, so it hides nothing
    assert find_recipe("one_gpu_1_5b") == shipped
    result = medr3("recipes", "copy", "one_gpu_1_5b", "one_gpu_1_5b")
    assert result.exit_code == 0 and "medr3 recipes validate ./one_gpu_1_5b" in result.output
    for name in ("one_gpu_1_5b", "./one_gpu_1_5b"):
        assert find_recipe(name).folder == (tmp_path / "one_gpu_1_5b").resolve()


def test_in_a_checkout_a_shipped_recipe_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipes_folder().parent)
    assert find_recipe("medr3_cpu").folder == recipes_folder() / "medr3_cpu"


def test_installed_wheel_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "medr3_plugin"
    (package / "_recipes" / "small").mkdir(parents=True)
    (package / "_recipes" / "small" / "small.yaml").write_text("defaults: [ppo_trainer]\n")
    monkeypatch.setattr(recipes_module, "__file__", str(package / "recipe" / "shipped.py"))
    assert [recipe.name for recipe in list_recipes()] == ["small"]
    (package / "_recipes").rename(tmp_path / "gone")
    with pytest.raises(UserError, match=str(package)):
        recipes_folder()
