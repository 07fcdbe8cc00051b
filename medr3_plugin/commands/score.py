"""`medr3 score`: the rewards of trajectories of any model."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from medr3_plugin.commands.options import JSONL, SkipBad, Stage, endpoint, out_file
from medr3_plugin.errors import RowError, UserError, counted, needs
from medr3_plugin.outputs import made, whole
from medr3_plugin.tables import SUFFIXES, suffix_of

if TYPE_CHECKING:
    from medr3_plugin.records import Sample
    from medr3_plugin.rewards.scorer import Scorer

STREAM = Path("-")
"""Standard input or output."""
CHUNK = 512
"""Rows scored together: enough to keep a judge busy, few enough to hold in memory."""
NAMED = 20
"""Wrong rows that are named; the others are counted."""


def score(  # noqa: PLR0917 - typer passes options by name
    source: Annotated[Path, typer.Option("--in", help="Trajectories, jsonl; - for standard input.")],
    out: Annotated[Path, typer.Option("--out", help="Reward records, jsonl; - for standard output.")],
    stage: Annotated[Stage, typer.Option(help="Stage whose formula is used.")],
    preset: Annotated[
        Literal["medr3", "paper", "authors", "reasoning", "retrieval", "joint"] | None,
        typer.Option(help="paper: the paper's figures; authors: the released stage 1."),
    ] = None,
    judge: Annotated[str, typer.Option(help="rule, or the URL of an OpenAI-compatible server.")] = "",
    judge_model: Annotated[
        str, typer.Option(help="Name of the judge model [default: the server's first].")
    ] = "",
    vocabulary: Annotated[
        list[Path] | None,
        typer.Option(help="Vocabulary (jsonl) of the entities; repeatable [default: phrases]."),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="Sentence encoder (folder or name) for the semantic term.")
    ] = "",
    config: Annotated[
        Path | None, typer.Option(help="yaml file with medr3.reward, or that section alone.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print every part and why it has its value.")
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Score trajectories: one record per row, with the same parts as in training.

    Wrong rows are reported and left out; the exit code is then 2, or 3 with --skip-bad. A row whose judge or encoder
    failed is written as invalid; the exit code is then 1.
    """
    from medr3_plugin.rewards.options import read_options
    from medr3_plugin.rewards.scorer import build_scorer, collect_garbage_seldom

    source = Path("/dev/stdin") if source == STREAM else source
    if out != STREAM:
        out_file(out, JSONL, [source, *(vocabulary or [])])
    endpoint("--judge", "" if judge == "rule" else judge)
    options = read_config(config) if config else {}
    with _naming(config):
        read_options(options)
    if preset:
        options["preset"] = preset
    if judge and judge != "rule":
        options["judge"] = {"kind": "openai", "base_url": judge}
    elif judge:
        _without_judge(options)
    if judge_model:
        if (options.get("judge") or {}).get("kind", "rule") == "rule":
            raise UserError(
                f"--judge-model {judge_model}: there is no judge; give --judge URL, or a --config with one"
            )
        options["judge"] = {**options["judge"], "model": judge_model}
    if vocabulary:
        options["extractor"] = {**options.get("extractor", {}), "vocabularies": [str(p) for p in vocabulary]}
    if encoder:
        options["encoder"] = {**options.get("encoder", {}), "path": encoder}
    _check(source)
    with _naming(config):
        scorer = build_scorer(options)
    collect_garbage_seldom()
    if explain and not (options.get("encoder") or {}).get("path"):
        print("note: without --encoder the semantic term of the reasoning is 0", file=sys.stderr)
    with made(out.parent):
        bad, failed = asyncio.run(_run(scorer, source, out, stage, explain=explain))
    if failed:
        raise typer.Exit(1)
    if bad:
        raise typer.Exit(3 if skip_bad else 2)


def _without_judge(options: dict[str, Any]) -> None:
    """Take the judge out of a config, and what else would ask it."""
    options.pop("judge", None)
    for part, alone in (("agreement", "rules"), ("extractor", "lexicon")):
        if (options.get(part) or {}).get("kind") == "judge":
            options[part] = {**options[part], "kind": alone}
            print(f"note: without a judge {part}.kind is {alone}", file=sys.stderr)


@contextmanager
def _naming(config: Path | None) -> Iterator[None]:
    """A wrong key is named with the file it stands in."""
    try:
        yield
    except UserError as error:
        if config is None or not str(error).startswith("medr3."):
            raise
        raise UserError(f"--config {config}: {error}") from error


def _check(source: Path) -> None:
    if source.is_dir():
        wrong = "is a folder"
    elif not source.exists():
        wrong = "no such file"
    elif (form := suffix_of(source)) in SUFFIXES and form not in JSONL:
        wrong = f"is {form[1:]}"
    else:
        return
    raise UserError(f"--in {source}: {wrong}; give a jsonl file of trajectories")


def read_config(path: Path) -> dict[str, Any]:
    """The reward options of a yaml file: its section `medr3.reward` with the stages' own, or the whole file.

    Raises:
        UserError: the file is missing or not a mapping, or an interpolation cannot be resolved.
        MissingExtra: it has interpolations, and omegaconf is not installed.
    """
    import yaml

    from medr3_plugin.rewards.options import reward_options

    class _Unique(yaml.SafeLoader):
        """Refuses a key that stands twice, as hydra does; yaml itself silently takes the last."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [str(key.value) for key, _ in node.value]
            if twice := [key for n, key in enumerate(keys) if key in keys[:n]]:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f"the key {twice[0]!r} stands twice in the section at line {line}")
            return super().construct_mapping(node, deep)

    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, _Unique)  # noqa: S506 - a safe loader
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not yaml: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping, or one under medr3.reward")
    whole = "medr3" in content and isinstance(content["medr3"] or {}, dict)
    if whole:
        content["medr3"] = {key: (content["medr3"] or {}).get(key) for key in ("reward", "stages")}
    if "${" in text:
        content = _resolved(content, "medr3" if whole else "", path)
    if not whole:
        return content
    section = content["medr3"]
    if not isinstance(section["reward"] or {}, dict):
        raise UserError(f"{path}: expected a mapping under medr3.reward")
    try:
        return reward_options(section)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _resolved(content: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    """`content` with the interpolations under `key` resolved, as hydra would; the rest may need other files."""
    with needs("omegaconf", "verl", f"the interpolations of {path}"):
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    config = OmegaConf.create(content)
    try:
        part: Any = OmegaConf.to_container(config[key] if key else config, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(
            f"{path}: an interpolation cannot be resolved: {' '.join(str(error).split())}"
        ) from None
    return {key: part} if key else part


async def _run(scorer: Scorer, source: Path, out: Path, stage: str, *, explain: bool) -> tuple[int, int]:
    """Score `source` into `out`; returns the number of bad rows and of failures of services."""
    from tqdm import tqdm

    from medr3_plugin.rewards.answer.names import is_outside
    from medr3_plugin.rewards.explain import explain as in_words
    from medr3_plugin.rewards.score_rows import read_rows
    from medr3_plugin.rewards.verdict import UNDECIDED

    bad, failures = 0, Counter[str]()
    good = undecided = 0
    outside: list[str] = []
    with _written(out) as file:
        with tqdm(unit=" rows", disable=not sys.stderr.isatty()) as bar:
            rows = read_rows(source, stage)
            while chunk := list(islice(rows, CHUNK)):
                samples: list[Sample] = []
                for row in chunk:
                    if isinstance(row, RowError):
                        bad += 1
                        if bad <= NAMED:
                            print(f"error: {row}", file=sys.stderr)
                    else:
                        samples.append(row)
                outside += [row.id for row in samples if is_outside(row.answers, row.options)]
                for scored in await scorer.score(samples):
                    file.write(json.dumps({"id": scored.id, **scored.record}, ensure_ascii=False) + "\n")
                    failures.update(scored.failures)
                    good += 1
                    undecided += scored.reasons["answer"].get("source") == UNDECIDED
                    if explain:
                        print(in_words(scored), file=sys.stderr if out == STREAM else sys.stdout)
                bar.update(len(chunk))
        if not good and not bad:
            raise UserError(f"{source}: no rows in it")
    if bad > NAMED:
        print(f"error: and {counted(bad - NAMED, 'more row')}", file=sys.stderr)
    print(_summary(good, bad, failures, out), file=sys.stderr)
    if outside:
        print(
            f"warning: {source}: in {counted(len(outside), 'row')} (the first is {outside[0]!r}) the accepted "
            "answer is not one of the options, so no rule can decide: name the option by its letter or its text",
            file=sys.stderr,
        )
    if undecided:
        print(
            f"warning: {counted(undecided, 'answer')} counted as wrong because no rule can decide: open answers "
            "need an LLM judge, see --judge",
            file=sys.stderr,
        )
    return bad, failures.total()


@contextmanager
def _written(out: Path) -> Iterator[TextIO]:
    """Where the records go: standard output as it is, or a file that is there only when it is whole."""
    if out == STREAM:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # records, whatever the terminal's encoding
        yield sys.stdout
    else:
        with whole(out) as draft, draft.open("w", encoding="utf-8") as file:
            yield file


def _summary(good: int, bad: int, failures: Counter[str], out: Path) -> str:
    parts = [f"{good} scored", f"{counted(bad, 'wrong row')} left out" if bad else ""]
    parts.append("invalid: " + ", ".join(f"{kind} {n}" for kind, n in failures.items()) if failures else "")
    return f"{', '.join(part for part in parts if part)} -> {out}"
