"""mkdocs hook: pages of the reference that are made from the code, so that they cannot differ from it.

`reference/configuration.md` from the pydantic models of the section `medr3:`, `reference/command_line.md` from the
commands of `medr3`, `reference/python.md` from the docstrings of the public names.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo


class Section(NamedTuple):
    """A part of the yaml and the model that reads it."""

    path: str
    model: type[BaseModel]


def sections() -> list[Section]:
    """The sections of the yaml, in the order in which they are shown."""
    from medr3_plugin.environment.settings import EnvironmentSettings
    from medr3_plugin.environment.tool import ToolSettings
    from medr3_plugin.judge.factory import JudgeOptions
    from medr3_plugin.retrieval.backend import BackendOptions
    from medr3_plugin.rewards.options import RewardOptions
    from medr3_plugin.stages.schedule import StageSpec
    from medr3_plugin.stages.settings import ProgressSettings

    return [
        Section("medr3", ProgressSettings),
        Section("medr3.stages[]", StageSpec),
        Section("medr3.reward", RewardOptions),
        Section("medr3.reward.judge", JudgeOptions),
        Section("medr3.environment", EnvironmentSettings),
        Section("medr3.retrieval", BackendOptions),
        Section("tools[].config (tools.yaml)", ToolSettings),
    ]


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    pages = {
        "configuration.md": configuration(),
        "command_line.md": command_line(),
        "python.md": public_names(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files


def configuration() -> str:
    """Every key of `medr3:` with type, default, range and meaning."""
    lines = [
        "# Keys of the section `medr3:`",
        "",
        "Made from the models that read the yaml. An unknown key is refused, and the nearest known one named.",
    ]
    seen: set[str] = set()
    for section in sections():
        for path, model in _with_parts(section.path, section.model):
            if path not in seen:
                seen.add(path)
                lines += ["", f"## `{path}`", "", *_intro(model), "", *_table(model)]
    return "\n".join(lines) + "\n"


def _with_parts(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """A model and those of its fields that are models themselves."""
    yield path, model
    for name, field in model.model_fields.items():
        for part in _models(field.annotation):
            yield from _with_parts(f"{path}.{name}", part)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for argument in typing.get_args(annotation):
            yield from _models(argument)


def _intro(model: type[BaseModel]) -> list[str]:
    return [" ".join(inspect.getdoc(model).split("\n\n")[0].split())] if inspect.getdoc(model) else []


def _table(model: type[BaseModel]) -> list[str]:
    said = meanings(model)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = field.description or said.get(name, "")
        cells = (f"`{name}`", _type(field), _default(field), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return rows


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Key -> meaning, from the section `Attributes:` of the docstrings of a model and its parents."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        doc = inspect.cleandoc(cls.__doc__ or "")
        _, _, attributes = doc.partition("Attributes:\n")
        attributes = re.split(r"\n\S", attributes)[0]
        for entry in re.split(r"\n(?=    \S)", "\n" + attributes):
            names, colon, text = entry.strip().partition(":")
            if colon:
                found |= {name.strip(): " ".join(text.split()) for name in names.split(",")}
    return found


def _type(field: FieldInfo) -> str:
    text = _named(field.annotation)
    bounds = [
        f"{sign} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if isinstance(getattr(bound, name, None), int | float)
    ]
    return f"{text}, {' and '.join(bounds)}" if bounds else text


_NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}


def _named(annotation: Any) -> str:  # noqa: PLR0911 (one return per kind of type)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _NAMES:
        return _NAMES[annotation]
    if origin is typing.Annotated:
        return _named(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_named, arguments)))
    if origin in (list, tuple, set, frozenset):
        return f"list of {_named(arguments[0])}" if arguments else "list"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "section"
    return "mapping" if "Mapping" in str(annotation) or "dict" in str(annotation) else "value"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see its section"
    return "null" if value is None else f"`{value}`" if value != "" else "empty"


def command_line() -> str:
    """Every command of `medr3` with its arguments and options."""
    import typer

    from medr3_plugin import cli

    cli._register()
    root = typer.main.get_command(cli.app)
    lines = [
        "# Command line",
        "",
        "Made from the commands themselves; `medr3 COMMAND --help` shows the same.",
    ]
    for name, command in sorted(_commands("medr3", root)):
        lines += ["", f"## `{name}`", "", *_help(command), ""]
        rows = [row for parameter in command.params if (row := _parameter(parameter))]
        if rows:
            lines += ["| argument or option | meaning | default |", "|---|---|---|", *rows]
        if command.epilog:
            lines += ["", "```bash", command.epilog, "```"]
    return "\n".join(lines) + "\n"


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for part, inner in command.commands.items():
            yield from _commands(f"{name} {part}", inner)
    else:
        yield name, command


def _help(command: Any) -> list[str]:
    return [line.strip() for line in (command.help or "").splitlines()]


def _parameter(parameter: Any) -> str:
    if parameter.name == "help" or getattr(parameter, "hidden", False):
        return ""
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    shown = f"`{names}`" if parameter.param_type_name == "option" else f"`{parameter.name.upper()}`"
    default = parameter.default
    value = (
        "required" if parameter.required else "" if default is None or callable(default) else f"`{default}`"
    )
    text = " ".join((parameter.help or "").split())
    return f"| {shown} | {text.replace('|', chr(92) + '|')} | {value} |"


def public_names() -> str:
    """The names that `import medr3_plugin` offers; mkdocstrings puts their docstrings in."""
    import medr3_plugin

    lines = [
        "# Public names",
        "",
        "All of these are imported from `medr3_plugin`; what is promised about them stands in [Python API](../API.md).",
    ]
    for name in medr3_plugin.__all__:
        if name != "__version__":
            home = getattr(medr3_plugin, name).__module__
            lines += ["", f"::: {home}.{name}"]
    return "\n".join(lines) + "\n"
