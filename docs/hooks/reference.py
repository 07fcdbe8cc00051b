"""mkdocs hook: pages of the reference that are made from the code, so that they cannot differ from it.

`reference/configuration.md` from the pydantic models of the section `medr3:`, `reference/command_line.md` from the
commands of `medr3`, `reference/python.md` from the docstrings of the public names.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic.fields import FieldInfo


class Section(NamedTuple):
    """A part of the yaml and the model that reads it: a pydantic model, or a dataclass in one."""

    path: str
    model: type[Any]


def sections() -> list[Section]:
    """The sections of the yaml, in the order in which they are shown."""
    from medr3_plugin.environment.settings import EnvironmentSettings
    from medr3_plugin.environment.tool_file import ToolSettings
    from medr3_plugin.judge.factory import JudgeOptions
    from medr3_plugin.retrieval.backend import BackendOptions
    from medr3_plugin.rewards.options import RewardOptions
    from medr3_plugin.stages.schedule import ProgressSettings, StageSpec

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
        "Made from the models that read the yaml. An unknown key is refused, and the nearest known one named. "
        "`medr3 train` and `run.sh` read one more: `medr3.platform: cpu` trains on a CPU, null (the default) on GPUs.",
    ]
    seen: set[str] = set()
    for section in sections():
        for path, model in _with_parts(section.path, section.model):
            if path not in seen:
                seen.add(path)
                lines += ["", f"## `{path}`", "", *_intro(model), "", *_table(model)]
    return "\n".join(lines) + "\n"


def fields(model: type[Any]) -> dict[str, FieldInfo]:
    """Key of the yaml -> field."""
    if dataclasses.is_dataclass(model):
        types_of = typing.get_type_hints(model)
        return {
            field.name: FieldInfo.from_annotated_attribute(types_of[field.name], field.default)
            for field in dataclasses.fields(model)
        }
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _with_parts(path: str, model: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """A model and those of its fields that are models themselves."""
    yield path, model
    for name, field in fields(model).items():
        for part in _models(field.annotation):
            yield from _with_parts(f"{path}.{name}", part)


def _is_model(annotation: Any) -> bool:
    return inspect.isclass(annotation) and (
        issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
    )


def _models(annotation: Any) -> Iterator[type[Any]]:
    if _is_model(annotation):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for argument in typing.get_args(annotation):
            yield from _models(argument)


def _intro(model: type[Any]) -> list[str]:
    return [" ".join(inspect.getdoc(model).split("\n\n")[0].split())] if inspect.getdoc(model) else []


def _table(model: type[Any]) -> list[str]:
    said = meanings(model)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields(model).items():
        meaning = field.description or said.get(name) or said.get(f"{name}_", "")
        meaning = re.sub(r"\bNone\b", "null", meaning)
        cells = (f"`{name}`{{.name}}", _type(field), _default(field), meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return rows


def meanings(model: type[Any]) -> dict[str, str]:
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
    if _is_model(annotation):
        return "section"
    return "mapping" if "Mapping" in str(annotation) or "dict" in str(annotation) else "value"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) and any(part.is_required() for part in type(value).model_fields.values()):
        value = value.model_dump()
    if _is_model(type(value)):
        return "see its section"
    return "null" if value is None else f"`{_yaml(value)}`" if value != "" else "empty"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}" if len(str(value)) > 8 else str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return str(value)


def command_line() -> str:
    """Every command of `medr3` with its arguments and options."""
    import typer

    from medr3_plugin import cli

    root = typer.main.get_command(cli.command_line())
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
    option = parameter.param_type_name == "option"
    shown = f"`{names if option else parameter.name.upper()}`{{.name}}"
    value = "required" if parameter.required else _option_default(parameter.default)
    text = " ".join((parameter.help or "").split())
    return f"| {shown} | {text.replace('|', chr(92) + '|')} | {value} |"


def _option_default(default: Any) -> str:
    if default is None or default in ("", False) or callable(default):
        return ""
    return "on" if default is True else f"`{default}`"


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
