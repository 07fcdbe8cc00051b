"""Finding, copying and composing recipes.

A recipe is a folder with `<name>.yaml` (a hydra configuration on top of verl's `ppo_trainer`), `run.sh` and
`README.md`; the yaml's file name is the recipe's name. The package ships some (folder `recipes/` of a
checkout, `medr3_plugin/_recipes` in a wheel); a copied recipe belongs to its user and needs nothing but the
installed package.
"""

from __future__ import annotations

import re
import shlex
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medr3_plugin.errors import UserError, did_you_mean, needs


class WrongOverride(UserError):
    """An override on the command line that hydra cannot read."""


class Recipe(NamedTuple):
    """A recipe's name, folder and one-line summary (the first paragraph of its README)."""

    name: str
    folder: Path
    summary: str

    @property
    def config_file(self) -> Path:
        """The hydra configuration."""
        return self.folder / f"{self.name}.yaml"


def recipes_folder() -> Path:
    """Where the shipped recipes lie.

    Raises:
        UserError: this installation has none (neither a wheel nor a checkout).
    """
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "_recipes", here.parent / "recipes"):
        if folder.is_dir():
            return folder
    raise UserError(f"no recipes beside {here}: reinstall medr3-plugin, or give the path of a recipe folder")


def list_recipes() -> list[Recipe]:
    """Every shipped recipe, by name."""
    found = (_read(folder) for folder in sorted(recipes_folder().iterdir()) if folder.is_dir())
    return [recipe for recipe in found if recipe is not None]


def find_recipe(name: str) -> Recipe:
    """A recipe folder (or its yaml) by path, or a shipped recipe by name.

    A recipe folder in the working directory comes before the shipped recipe of the same name, as it may be an
    edited copy of it; a folder of that name that is not a recipe does not.

    Raises:
        UserError: there is no such recipe; names the closest ones.
    """
    shipped = {recipe.name: recipe for recipe in list_recipes()}
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return Recipe(path.stem, path.parent.resolve(), _summary(path.parent))
    if path.suffix in (".yaml", ".yml"):
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise UserError(f"no such file: {name}{did_you_mean(path.name, near)}")
    if path.is_dir():
        given = _read(path.resolve())
        if given is not None:
            return given
    if name in shipped:
        return shipped[name]
    if path.is_dir():
        raise UserError(
            f"{path} is not a recipe: it needs one yaml with a `defaults` list (else give the yaml's path)"
        )
    if path.is_file():
        raise UserError(f"{path} is not a recipe: give its folder, or its yaml with a `defaults` list")
    if "=" in name:
        raise UserError(f"{name!r} is an override: name the recipe before it")
    own = {str(file.parent) for file in path.parent.glob("*/*.yaml")}
    if "/" in name:
        raise UserError(f"no such folder: {name}{did_you_mean(str(path), own)}")
    hint = did_you_mean(name, {*shipped, *own}, f"; known are {', '.join(shipped)}")
    raise UserError(f"no recipe {name!r}{hint}")


def copy_recipe(name: str, target: Path) -> Recipe:
    """Copy a recipe into `target`, which must not exist or be empty.

    Raises:
        UserError: no such recipe, or `target` has something in it or cannot be written.
    """
    recipe = find_recipe(name)
    target = target.expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and is not an empty folder: choose another one")
    ignored = shutil.ignore_patterns("__pycache__", "runs", "outputs")
    try:
        shutil.copytree(recipe.folder, target, dirs_exist_ok=True, ignore=ignored)
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)  # there was nothing in it
        # shutil's own error is a list of what could not be copied, each with its reason
        why = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise UserError(f"{target}: cannot be written: {why}; choose another folder") from error
    return Recipe(recipe.name, target.resolve(), recipe.summary)


def compose(recipe: Recipe, overrides: Sequence[str] = ()) -> Any:
    """The recipe's whole configuration (an omegaconf `DictConfig`), as verl's `main_ppo` would see it.

    Args:
        overrides: hydra overrides, e.g. `trainer.nnodes=4`.

    Raises:
        MissingExtra: hydra or verl is not installed.
        WrongOverride: an override has another form.
        UserError: it does not compose; the message is hydra's own.
    """
    with needs("hydra-core", "verl", "composing a recipe"):
        from hydra import compose as hydra_compose
        from hydra import initialize_config_dir
        from hydra.core.global_hydra import GlobalHydra
        from omegaconf import OmegaConf
    with needs("verl", "verl", "composing a recipe"):
        import verl  # noqa: F401 (its package data is the search path `pkg://verl.trainer.config`)
    for given in overrides:
        _check_override(given)
    GlobalHydra.instance().clear()
    try:
        with warnings.catch_warnings(), initialize_config_dir(str(recipe.folder), version_base=None):
            # hydra's, of a search path or `_self_`; what matters is an error below
            warnings.simplefilter("ignore")
            return hydra_compose(config_name=recipe.name, overrides=list(overrides))
    except UnicodeDecodeError as error:
        raise UserError(f"{recipe.folder}: a yaml file is not UTF-8 ({error}); save it as UTF-8") from error
    except Exception as error:  # a yaml of another form fails wherever hydra stumbles over it
        # omegaconf's error of a "${" that is never closed says nothing itself
        reason = " ".join((str(error) or repr(error.__cause__ or error)).split())
        if reason.startswith("Error merging override"):
            reason += f": {str(error.__cause__).partition(chr(10))[0]}"
        hint = ""
        if "Could not load 'ppo_trainer'" in reason:
            hint = "; verl's configuration is in pkg://verl.trainer.config: put it into hydra.searchpath"
        if unknown := re.match(r"Could not override '([^']+)'", reason):
            hint = _nearest(unknown[1], OmegaConf.to_container(compose(recipe)))
        raise UserError(f"{recipe.config_file} does not compose: {reason}{hint}") from error


def _check_override(given: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, equals, value = given.partition("=")
    if not equals and not given.startswith("~"):
        raise WrongOverride(f"{given!r} is not an override: expected KEY=VALUE")
    try:
        OverridesParser.create().parse_override(given)
    except HydraException as error:
        dotted = re.sub(r"\[(\w+)\]", r".\1", key.strip())
        if (dotted, value.strip()) != (key, value):
            hint = f"write {dotted}={value.strip()}"
        elif value.startswith(tuple("[{\"'")):
            hint = (
                "close its brackets and quotes, and put the whole override into single quotes for the shell"
            )
        else:  # hydra takes only some characters without quotes of its own
            hint = "quote its value for hydra, and all of it for the shell: " + shlex.quote(
                f'{key}="{value}"'
            )
        raise WrongOverride(f"{given!r} cannot be read as an override: {hint}") from error


def _nearest(key: str, config: Any) -> str:
    """The end of a message about a key that a configuration does not set: what it resembles at the same place.

    Nothing where the key is set (its new value has further keys) or resembles none: many keys that may be set are not.
    """
    place, names, part = config, [], ""
    for part in key.split("."):
        held = dict(enumerate(place)) if isinstance(place, list) else place
        named = {str(name): value for name, value in held.items()} if isinstance(held, Mapping) else {}
        names = list(named)
        if part not in named:
            break
        place = named[part]
    else:
        return ""
    if place is not config:
        return did_you_mean(part, names)
    paths = list(_keys(config))
    return did_you_mean(key, [path for path in paths if path.endswith(f".{key}")], did_you_mean(key, paths))


def _keys(config: Any, path: str = "") -> Iterator[str]:
    """Every key of a configuration by its whole path, sections included."""
    for key, value in config.items():
        yield f"{path}{key}"
        if isinstance(value, Mapping):
            yield from _keys(value, f"{path}{key}.")


def _read(folder: Path) -> Recipe | None:
    """The recipe in a folder: the yaml named after the folder, else the only one with a defaults list."""
    if (folder / f"{folder.name}.yaml").is_file():
        return Recipe(folder.name, folder, _summary(folder))
    candidates = [
        path
        for path in sorted(folder.glob("*.yaml"))
        if "\ndefaults:" in "\n" + path.read_text("utf-8", "replace").replace("\0", "")  # of UTF-16, too
    ]
    return Recipe(candidates[0].stem, folder, _summary(folder)) if len(candidates) == 1 else None


def _summary(folder: Path) -> str:
    readme = folder / "README.md"
    if not readme.is_file():
        return ""
    lines: list[str] = []
    for line in readme.read_text("utf-8", "replace").splitlines():
        if line.strip() and not line.startswith("#"):
            lines.append(line.strip())
        elif lines:
            break
    return " ".join(lines)
