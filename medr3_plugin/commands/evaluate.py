"""`medr3 eval`: benchmarks in the training environment, with intervals and paired comparison."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from medr3_plugin.commands.options import SkipBad
from medr3_plugin.data.questions.prompts import Form, Style
from medr3_plugin.errors import UserError


def evaluate(  # noqa: PLR0917 (typer options, always given by name)
    out: Annotated[Path, typer.Option(help="Folder for results; the same command resumes there.")],
    model: Annotated[
        str, typer.Option(help="Model folder or Hub name (vLLM), or URL of an OpenAI-compatible server.")
    ] = "",
    benchmark: Annotated[
        str,
        typer.Option(
            help="NAME[,NAME] (files in --data), a prepared parquet, or NAME=SOURCE (parquet, or the dataset's own "
            "files)."
        ),
    ] = "",
    data: Annotated[Path | None, typer.Option(help="Folder with NAME.parquet or NAME.jsonl.")] = None,
    index: Annotated[Path | None, typer.Option(help="Index to search (see `medr3 index build`).")] = None,
    retrieval_url: Annotated[
        str, typer.Option(help="URL of a running `medr3 serve`, instead of --index.")
    ] = "",
    recipe: Annotated[
        str,
        typer.Option(
            help="Use environment, response length, search options and judge of this recipe (name or folder)."
        ),
    ] = "",
    form: Annotated[
        Form | None, typer.Option(help="How the questions are asked [default: as prepared, else choice].")
    ] = None,
    style: Annotated[
        Style | None,
        typer.Option(
            "--prompt",
            help="plain: no retrieval [default: as prepared, else search; tools with a --recipe that calls tools].",
        ),
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="Tokenizer, needed with a URL [default: the model].")] = "",
    model_name: Annotated[
        str, typer.Option(help="The server's name for the model [default: its first].")
    ] = "",
    api: Annotated[
        Literal["auto", "completions", "chat", "chat-turns"],
        typer.Option(
            help="How to query a URL: completions (as in training), chat (the assistant's message is "
            "continued), chat-turns (documents as user messages); auto detects what the server supports."
        ),
    ] = "auto",
    samples: Annotated[int, typer.Option(min=1, help="Samples per question.")] = 1,
    limit: Annotated[
        int, typer.Option(min=0, help="Use only the first N questions of each benchmark (0: all).")
    ] = 0,
    temperature: Annotated[float, typer.Option(min=0)] = 0.6,
    top_p: Annotated[float, typer.Option(min=0.01, max=1)] = 0.9,
    seed: Annotated[int, typer.Option(help="Seed of sampling and of the bootstrap.")] = 0,
    response_length: Annotated[
        int | None,
        typer.Option(
            min=16, help="Tokens of a response, documents included [default: the recipe's, else 4096]."
        ),
    ] = None,
    prompt_length: Annotated[int, typer.Option(min=16, help="Tokens reserved for the prompt (vLLM).")] = 2048,
    max_searches: Annotated[int | None, typer.Option(min=0, help="Override the recipe's limit.")] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="rule, or URL of an OpenAI-compatible judge [default: the recipe's, else rule]."),
    ] = None,
    judge_model: Annotated[str, typer.Option(help="Name of the judge model.")] = "",
    concurrency: Annotated[int, typer.Option(min=1, help="Concurrent trajectories.")] = 64,
    compare: Annotated[
        Path | None, typer.Option(help="Output folder of another evaluation, for a paired comparison.")
    ] = None,
    skip_bad: SkipBad = False,
    published: Annotated[
        bool, typer.Option("--published", help="Show the paper's numbers next to yours.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Hydra overrides of --recipe, e.g. paths.data=data/mine.")
    ] = None,
) -> None:
    """Evaluate a model on benchmarks, in the same environment and retrieval as training.

    Without --model, only the tables in --out are rewritten (for example with --compare). The exit code is 1 if samples
    are missing because a service failed; the same command resumes them. Wrong rows of a benchmark are reported and
    left out; the exit code is then 2, or 3 with --skip-bad.
    """
    import asyncio

    from medr3_plugin.commands.evaluate_run import run
    from medr3_plugin.commands.options import endpoint, out_folder
    from medr3_plugin.errors import counted
    from medr3_plugin.evaluation.results import comparisons, missing, results
    from medr3_plugin.evaluation.runner import API, ASKED, read_rows, read_settings
    from medr3_plugin.evaluation.tables import incomplete, write_tables
    from medr3_plugin.runs.files import TRAJECTORIES

    failure, left_out = "", 0
    out_folder(out)
    endpoint("--retrieval-url", retrieval_url)
    if index and retrieval_url:
        raise UserError("--index and --retrieval-url: give only one of them")
    endpoint("--judge", "" if judge in (None, "rule") else str(judge))
    if re.match(r"(localhost|[\w.-]*\.?\w+):\d+", model):
        raise UserError(f"--model {model}: the address of a server begins with http:// or https://")
    if model:
        if not benchmark:
            raise UserError("--benchmark is missing: name the questions to evaluate")
        options = dict(locals())
        failure, left_out = asyncio.run(run(options))
    rows = read_rows(out / TRAJECTORIES)
    settings = read_settings(out)
    absent = missing(rows, settings.get(ASKED) or {})
    unfinished = (
        f"{incomplete(absent)} Last failure: {failure or 'not in this run'}; the same command resumes with them"
        if absent
        else ""
    )
    if not rows:
        if model:
            raise UserError(f"no sample was completed. {unfinished}")
        raise UserError(f"{out / TRAJECTORIES} has no results yet: give --model and --benchmark")
    others = read_rows(compare / TRAJECTORIES) if compare else []
    if compare and not others:
        raise UserError(f"--compare {compare}: there is no {TRAJECTORIES} with results in it")
    found = results(rows, seed)
    compared = comparisons(rows, others, seed) if others else None
    label = label_of(model or settings.get("model", ""), model_name) or out.resolve().name
    files = write_tables(
        out,
        found,
        label=label,
        compared=compared,
        other=str(compare or ""),
        with_published=published,
        missing=absent,
        api=settings.get(API, ""),
    )
    typer.echo((out / ("results.json" if as_json else "results.md")).read_text(encoding="utf-8").rstrip("\n"))
    typer.echo(f"written: {', '.join(path.name for path in files)} in {out}", err=True)
    if undecided := sum(result.undecided for result in found):
        typer.echo(
            f"warning: {counted(undecided, 'answer')} counted as wrong because no rule can decide: open answers "
            "need an LLM judge, give --judge URL and another --out",
            err=True,
        )
    if unfinished:
        typer.echo(f"error: {unfinished}", err=True)
        raise typer.Exit(1)
    if left_out:
        raise typer.Exit(3 if skip_bad else 2)


def label_of(model: str, served: str = "") -> str:
    """The model's name in tables: for a server the name it uses there, else its address.

    verl's `<run>/checkpoints/global_step_N/actor/huggingface` is called by the run and the step.
    """
    if model.startswith(("http://", "https://")):
        return served or model.partition("//")[2].strip("/").removesuffix("/v1")
    path = Path(model)
    if path.parts[-2:] == ("actor", "huggingface") and len(path.parents) > 3:
        return f"{path.parents[3].name} {path.parents[1].name}"
    return path.name
