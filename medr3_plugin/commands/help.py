"""The layout of the commands' help (groups, examples, exit codes), and where -v and -q are parsed."""

from __future__ import annotations

import difflib
import itertools
import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from medr3_plugin.commands.verbosity import OPTIONS, taken_from
from medr3_plugin.errors import UserError

GROUPS = {
    "Get started": ("doctor", "recipes"),
    "Questions and documents": ("data", "corpus", "index", "search", "serve"),
    "Train": ("train", "promote", "report"),
    "Measure": ("score", "eval"),
}
"""Heading -> commands, as shown by `medr3 --help`."""

OPTION_GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "data prepare": {
        "Which questions": ("--split", "--config", "--against", "--limit", "--seed", "--mix-option-counts",
                            "--skip-bad"),
        "Prompt": ("--form", "--prompt", "--examples", "--examples-as", "--tokenizer", "--stage"),
    },
    "data build-references": {
        "Teacher": ("--base-url", "--model", "--api-key-env", "--structured", "--max-tokens", "--parameters",
                    "--timeout-s", "--concurrency", "--give-up-after", "--journal"),
        "Difficulty": ("--policy-url", "--policy-model", "--policy-attempts", "--min-pass-rate", "--max-pass-rate"),
        "Result": ("--references", "--max-trajectories", "--min-score", "--prompt", "--form", "--keep-dropped"),
        "Searches": ("--index", "--topk", "--max-searches"),
        "Without a teacher": ("--offline", "--corpus", "--vocabulary"),
    },
    "index build": {
        "Encoder (dense, hybrid)": ("--encoder", "--article-encoder", "--query-prefix", "--article-prefix", "--pooling",
                                    "--normalise", "--dtype", "--device", "--max-tokens", "--batch-size",
                                    "--dense-index"),
        "Passages": ("--chunk-tokens", "--chunk-overlap", "--chunk-tokenizer"),
        "Many machines": ("--encode-with", "--workers", "--gpus-per-worker"),
        "Milvus": ("--uri", "--collection"),
    },
    "index evaluate": {
        "Encoder (dense, hybrid)": ("--encoder", "--article-encoder", "--query-prefix", "--article-prefix", "--pooling",
                                    "--normalise", "--device", "--reranker"),
    },
    "search": {
        "Milvus": ("--uri", "--collection", "--ranking"),
        "Filters": ("--source", "--min-level", "--min-year", "--max-year"),
        "Ranking": ("--encoder", "--article-encoder", "--reranker", "--evidence-prior"),
    },
    "serve": {
        "Milvus": ("--uri", "--collection", "--ranking", "--uri-token-env"),
        "Ranking": ("--encoder", "--article-encoder", "--device", "--reranker", "--evidence-prior"),
        "Limits": ("--topk", "--max-topk", "--max-queries", "--max-pending", "--timeout"),
        "Tool for agents (MCP)": ("--mcp", "--stdio"),
    },
    "eval": {
        "Questions": ("--benchmark", "--data", "--form", "--prompt", "--limit", "--skip-bad"),
        "Model and sampling": ("--model", "--model-name", "--tokenizer", "--api", "--samples", "--temperature",
                               "--top-p", "--seed", "--response-length", "--prompt-length", "--concurrency"),
        "Searches": ("--index", "--retrieval-url", "--max-searches"),
        "Recipe and judge": ("--recipe", "--judge", "--judge-model"),
    },
}  # fmt: skip
"""Command -> heading -> options; options not listed here come first, under "Options"."""

NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "data prepare": {
        "--source hpo": ("--seed",),
        "--examples": ("--examples-as",),
        "--examples-as turns": ("--tokenizer",),
    },
    "data build-references": {
        "--offline": ("--corpus", "--vocabulary"),
        "--policy-url": ("--policy-model", "--policy-attempts", "--min-pass-rate", "--max-pass-rate"),
        "--index": ("--topk",),
    },
    "corpus build": {
        "--evidence-judge": ("--evidence-model", "--evidence-for", "--evidence-concurrency", "--evidence-structured",
                             "--evidence-parameters"),
    },
    "index build": {
        "--encoder": ("--article-encoder", "--query-prefix", "--article-prefix", "--pooling", "--normalise",
                      "--dtype", "--device", "--max-tokens", "--batch-size", "--dense-index"),
        "--chunk-tokens": ("--chunk-overlap", "--chunk-tokenizer"),
        "--encode-with ray": ("--workers", "--gpus-per-worker"),
        "--engine milvus": ("--uri", "--collection"),
    },
    "search": {"--uri": ("--collection",)},
    "serve": {"--uri": ("--collection", "--uri-token-env")},
}  # fmt: skip
"""Command -> an option (with its value) -> options that have no effect without it."""

EXIT_CODES = (
    ("0", "done"),
    ("1", "failed: a service, a run or a check"),
    ("2", "wrong input: an option, a file, a row"),
    ("3", "done, with some rows left out (--skip-bad)"),
    ("130", "interrupted (Ctrl-C)"),
)


OTHER_NAMES = {
    "k": ("topk",),
    "input": ("in", "source", "corpus"),
    "source": ("corpus",),
    "corpus": ("source",),
    "model": ("encoder",),
    "force": ("overwrite",),
}
"""What other programs call an option -> what it may be called here."""


class Command(TyperCommand):
    """A command whose epilog is an example."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the options that an unknown one may mean (click's guesses count the dashes: --source, --out).

        `nan` and `inf` are numbers to click, and beyond no bound; an empty path is the working folder to Python.
        """
        given_nothing = {option for option, value in itertools.pairwise(args) if not value}
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if type(error) is not typer.BadParameter or error.param is None:  # a missing one says so itself
                raise
            from medr3_plugin.yaml_section import plain

            raise UserError(f"{error.param.opts[0]}: {plain(error.message)}") from error
        except Exception as error:
            if name := getattr(error, "option_name", ""):
                known = [option for parameter in self.get_params(ctx) for option in parameter.opts]
                error.possibilities = meant_by(name, known)  # type: ignore[attr-defined]
            raise
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            value = ctx.params.get(parameter.name or "")
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{parameter.opts[0]}: {value} is not a finite number")
            if given_nothing.intersection(parameter.opts) and parameter.default != "":
                raise UserError(f"{parameter.opts[0]}: empty; is a shell variable not set?")
        self._name_unused(ctx)
        return rest

    def _name_unused(self, ctx: Any) -> None:
        """Say which of the given options have no effect without another one."""
        by_option = {option: parameter for parameter in self.get_params(ctx) for option in parameter.opts}
        for needed, options in NEEDS.get(_path(ctx), {}).items():
            option, _, value = needed.partition(" ")
            found = ctx.params.get(by_option[option].name)
            if found == value if value else found:
                continue
            sources = {name: ctx.get_parameter_source(by_option[name].name) for name in options}
            if unused := [
                name for name, source in sources.items() if source and source.name == "COMMANDLINE"
            ]:
                typer.echo(f"note: {', '.join(unused)}: no effect without {needed}", err=True)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Take -v and -q out of the arguments first."""
        return super().make_context(info_name, taken_from(args), parent, **extra)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, the command's own options by group, then those of every command."""
        groups = OPTION_GROUPS.get(_path(ctx), {})
        heading_of = {name: heading for heading, names in groups.items() for name in names}
        shown: dict[str, list[tuple[str, str]]] = {
            "Arguments": [],
            "Options": [],
            **{name: [] for name in groups},
        }
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                own = "Arguments" if parameter.param_type_name == "argument" else "Options"
                name = re.sub(
                    r"<(?:list\[)?(\w+)(?:\]| range)?>", lambda kind: f"<{kind[1].lower()}>", record[0]
                )
                shown[heading_of.get(parameter.opts[0], own)].append((name, record[1]))
        for heading, rows in shown.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
        with formatter.section("Every command"):
            formatter.write_dl(OPTIONS)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (the signature is typer's)
        """The example, with its line breaks kept."""
        formatter.write(f"\nExample:\n{textwrap.indent(self.epilog or '', '  ')}\n")


class Root(TyperGroup):
    """`medr3` itself."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Take -v and -q out of the arguments first; those after a command are the command's."""
        own = next((i for i, argument in enumerate(args) if not argument.startswith("-")), len(args))
        return super().make_context(info_name, taken_from(args[:own]) + args[own:], parent, **extra)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands under their headings."""
        for heading, names in GROUPS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(heading):
                formatter.write_dl(
                    [(name, command.get_short_help_str(90)) for name, command in found if command]
                )

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (the signature is typer's)
        """Options of every command, exit codes and an example."""
        with formatter.section("Every command"):
            formatter.write_dl(OPTIONS)
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)
        formatter.write("\nExample:\n  medr3 recipes copy one_gpu_1_5b ./my_project\n")


def meant_by(name: str, known: Sequence[str]) -> list[str]:
    """The known options that `name` may mean, by the first rule that finds any."""
    word = name.lstrip("-")
    words = {option.lstrip("-"): option for option in known if option.startswith("--")}
    likely = (
        [other for other in OTHER_NAMES.get(word, ()) if other in words]
        or [other for other in words if other.startswith(word) or word.startswith(f"{other}s")]
        or [other for other in words if word.startswith(other)]
        or (difflib.get_close_matches(word, list(words), n=2, cutoff=0.65) if len(word) > 2 else [])
    )
    return [words[other] for other in likely]


def _path(ctx: Any) -> str:
    """The command without `medr3`, as `index build`."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(names)
