"""Which of our touch points the installed verl has: names we import, methods we extend, parameters we are given.

Read off our own source, so that nothing has to be listed here. Against a newer verl, `pytest tests/compatibility`
names what an upgrade has to look at.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

verl = pytest.importorskip("verl")

import medr3_plugin  # noqa: E402

PACKAGE = Path(medr3_plugin.__file__).parent
FRAMEWORKS = ("verl", "transfer_queue")


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(["medr3_plugin", *file.relative_to(PACKAGE).with_suffix("").parts])
        yield name.removesuffix(".__init__"), ast.parse(file.read_text(encoding="utf-8"))


def _imported() -> list[tuple[str, str]]:
    """(module, name) of everything we import from verl; "" for a module as a whole."""
    found = set()
    for _, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FRAMEWORKS:
                found |= {(str(node.module), alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {(a.name, "") for a in node.names if a.name.split(".")[0] in FRAMEWORKS}
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "register_post_import_hook":
                target = node.args[1]
                if isinstance(target, ast.Constant):
                    found.add((str(target.value), ""))
    return sorted(found)


def _extended() -> list[tuple[str, str, str]]:
    """(our module, our class, method) of every method that calls its parent's of the same name."""
    found = []
    for module, tree in _trees():
        for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            for method in (n for n in cls.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)):
                calls = {
                    node.func.attr
                    for node in ast.walk(method)
                    if isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and isinstance(node.func.value, ast.Call)
                    and getattr(node.func.value.func, "id", "") == "super"
                }
                if method.name in calls:
                    found.append((module, cls.name, method.name))
    return found


@pytest.mark.parametrize(("module", "name"), _imported())
def test_what_we_import_is_there(module: str, name: str) -> None:
    loaded = importlib.import_module(module)
    if name and not hasattr(loaded, name):
        importlib.import_module(f"{module}.{name}")


def _verls_own(cls: type, method: str) -> Any:
    """The method as verl defines it; None if no class of verl's in the inheritance has it."""
    for base in cls.__mro__[1:]:
        if base.__module__.split(".")[0] == "verl" and method in vars(base):
            return vars(base)[method]
    return None


@pytest.mark.parametrize(("module", "cls", "method"), _extended())
def test_what_we_extend_takes_what_verl_passes(module: str, cls: str, method: str) -> None:
    ours = getattr(importlib.import_module(module), cls, None)
    if ours is None or not any(base.__module__.startswith("verl.") for base in ours.__mro__):
        pytest.skip("extends a class of its own package")
    if method == "__init__":
        return  # verl constructs none of them by position
    base = _verls_own(ours, method)
    assert base is not None, f"{cls}.{method} extends a method that verl {verl.__version__} does not have"
    theirs = list(inspect.signature(inspect.unwrap(base)).parameters.values())
    mine = inspect.signature(inspect.unwrap(getattr(ours, method))).parameters
    star = any(p.kind is p.VAR_POSITIONAL for p in mine.values())
    double = any(p.kind is p.VAR_KEYWORD for p in mine.values())
    for parameter in theirs:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        assert parameter.name in mine or (star and double), f"{cls}.{method} does not take {parameter.name}"


def test_verl_reads_none_of_the_keys_that_the_check_calls_unread() -> None:
    from medr3_plugin.recipe.checks.choices import UNREAD

    names = {key.rpartition(".")[2] for key in UNREAD}
    files = [file for file in Path(verl.__file__).parent.rglob("*.py") if "config" not in file.parts]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert names & set(re.findall(r"""[."']([a-z_]+)\b""", source)) == set()
