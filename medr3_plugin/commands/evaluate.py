"""`medr3 eval`: benchmarks in the training environment, with intervals and paired comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("eval", short_help="Evaluate a model on benchmarks, as in training.")(evaluate)


def evaluate(  # noqa: PLR0917 (typer options, always given by name)
    out: Annotated[Path, typer.Option(help="Folder for rows and tables; the same command resumes in it.")],
    model: Annotated[
        str, typer.Option(help="Model folder or Hub name (vLLM), or URL of an OpenAI-compatible server.")
    ] = "",
    benchmark: Annotated[
        str,
        typer.Option(help="NAME[,NAME]: files of --data; or NAME=SOURCE (parquet, or the dataset's files)."),
    ] = "",
    data: Annotated[Path | None, typer.Option(help="Folder with NAME.parquet or NAME.jsonl.")] = None,
    index: Annotated[Path | None, typer.Option(help="Index to search (see `medr3 index build`).")] = None,
    retrieval_url: Annotated[str, typer.Option(help="Or a running `medr3 serve`.")] = "",
    recipe: Annotated[
        str,
        typer.Option(
            help="Take environment, response length, search options and judge of this recipe (name or folder)."
        ),
    ] = "",
    form: Annotated[
        str | None, typer.Option(help="choice or open [default: as prepared, else choice].")
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(
            "--prompt", help="search, plain (no retrieval) or bare [default: as prepared, else search]."
        ),
    ] = None,
    tokenizer: Annotated[str, typer.Option(help="Tokenizer, needed with a URL [default: the model].")] = "",
    model_name: Annotated[
        str, typer.Option(help="The server's name for the model [default: its first].")
    ] = "",
    api: Annotated[
        str,
        typer.Option(
            help="How a URL is asked: completions (as in training), chat (the assistant's message is "
            "continued), chat-turns (documents as user messages); auto finds out what the server has."
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
    prompt_length: Annotated[int, typer.Option(min=16, help="Tokens kept for the prompt (vLLM).")] = 2048,
    max_searches: Annotated[int | None, typer.Option(min=0, help="Override the recipe's limit.")] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="rule, or URL of an OpenAI-compatible judge [default: the recipe's, else rule]."),
    ] = None,
    judge_model: Annotated[str, typer.Option(help="The judge's model name.")] = "",
    concurrency: Annotated[int, typer.Option(min=1, help="Trajectories at a time.")] = 64,
    compare: Annotated[
        Path | None, typer.Option(help="Output folder of another evaluation to compare with.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave wrong rows out: exit code 3 instead of 2.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Put the paper's numbers beside ours.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json instead of the table.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Hydra overrides of --recipe, e.g. paths.data=data/mine.")
    ] = None,
) -> None:
    """Evaluate a model on benchmarks, in the same environment and retrieval as training.

    Without --model, make the tables of --out again (for example with --compare). Exit code 1 if samples are
    missing, because a service failed; the same command resumes with them. Wrong rows of a benchmark are named and left
    out; the exit code is then 2, or 3 with --skip-bad.
    """
    import asyncio

    from medr3_plugin.commands.words import counted
    from medr3_plugin.errors import UserError
    from medr3_plugin.evaluation.chat_policy import NOTES
    from medr3_plugin.evaluation.results import comparisons, missing, results
    from medr3_plugin.evaluation.runner import API, ASKED, read_rows, read_settings
    from medr3_plugin.evaluation.tables import incomplete, write_tables
    from medr3_plugin.runs.files import TRAJECTORIES

    failure, left_out = "", 0
    if model:
        if not benchmark:
            raise UserError("--benchmark is needed: which questions to ask")
        if api not in ("auto", *NOTES):
            raise UserError(f"--api {api!r}: known are auto, {', '.join(NOTES)}")
        options = dict(locals())
        failure, left_out = asyncio.run(_run(options))
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
            raise UserError(f"no sample was done. {unfinished}")
        raise UserError(f"{out / TRAJECTORIES} holds no results: give --model and --benchmark")
    others = read_rows(compare / TRAJECTORIES) if compare else []
    if compare and not others:
        raise UserError(f"--compare {compare}: there is no {TRAJECTORIES} with results in it")
    found = results(rows, seed)
    compared = comparisons(rows, others, seed) if others else None
    label = _label(model or settings.get("model", ""), model_name) or out.resolve().name
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
            f"warning: {counted(undecided, 'answer')} counted as wrong because no rule decides: open answers need an "
            "LLM judge, give --judge URL and another --out",
            err=True,
        )
    if unfinished:
        typer.echo(f"error: {unfinished}", err=True)
        raise typer.Exit(1)
    if left_out:
        raise typer.Exit(3 if skip_bad else 2)


def _label(model: str, served: str = "") -> str:
    """The model's name: a server's by the name it has there, else by the address.

    verl's `<run>/checkpoints/global_step_N/actor/huggingface` is called by the run and the step.
    """
    if model.startswith(("http://", "https://")):
        return served or model.partition("//")[2].strip("/").removesuffix("/v1")
    path = Path(model)
    if path.parts[-2:] == ("actor", "huggingface") and len(path.parents) > 3:
        return f"{path.parents[3].name} {path.parents[1].name}"
    return path.name


async def _run(options: dict[str, Any]) -> tuple[str, int]:  # noqa: PLR0915 (one thing after the other)
    """Evaluate what is not done; returns the last failure, empty if there was none, and the rows left out."""
    from medr3_plugin.errors import InfrastructureFailure, UserError
    from medr3_plugin.evaluation.benchmarks import load_benchmark
    from medr3_plugin.evaluation.chat_policy import endpoint
    from medr3_plugin.evaluation.policy import EndpointPolicy, Sampling, VllmPolicy, load_tokenizer
    from medr3_plugin.evaluation.runner import API, SERVED, Plan, Rows, run_benchmark, unfinished
    from medr3_plugin.judge.factory import make_judge
    from medr3_plugin.knowledge.vocabulary import Vocabulary
    from medr3_plugin.rewards.options import read_options

    recipe = _recipe(options["recipe"], options["overrides"] or ())
    settings = _environment(recipe, options["max_searches"])
    search_options = (recipe.get("retrieval") or {}).get("search") or {}
    judging = _judge_options(recipe, options["judge"], options["judge_model"])
    extractor = read_options({"extractor": (recipe.get("reward") or {}).get("extractor") or {}}).extractor
    names = Vocabulary.load(*extractor.vocabularies) if extractor.vocabularies else None
    left_out: list[str] = []
    benchmarks = [
        load_benchmark(
            spec,
            options["data"],
            form=options["form"],
            style=options["style"],
            limit=options["limit"],
            warn=left_out.append,
        )
        for spec in options["benchmark"].split(",")
    ]
    for line in left_out:
        typer.echo(f"warning: {line}", err=True)
    model: str = options["model"]
    remote = model.startswith(("http://", "https://"))
    if not remote and options["api"] != "auto":
        raise UserError(f"--api {options['api']}: --model {model} is no URL")
    backend = _backend(options, settings.max_searches, search_options)
    tokenizer = _tokenizer_path(options, remote)
    api, served = await _api(options, tokenizer) if remote else ("", "")
    sampling = Sampling(options["temperature"], options["top_p"], options["seed"])
    length = options["response_length"] or recipe.get("response_length", 4096)
    plan = Plan(settings, length, options["samples"], sampling, options["concurrency"])
    rows = Rows(
        options["out"],
        {
            "model": model,
            **({API: api, SERVED: served} if api else {}),
            "environment": settings.model_dump(),
            "response_length": plan.response_length,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "form": options["form"] or "default",
            "style": options["style"] or "default",
            "retrieval": str(options["index"] or options["retrieval_url"]),
            **({"search": search_options} if search_options and options["index"] else {}),
            "judge": judging.get("base_url") or "rule",
            "judge_model": judging.get("model") or "",
            **({"vocabularies": list(extractor.vocabularies)} if extractor.vocabularies else {}),
        },
        {name: plan.samples * len({q.sample.id for q in questions}) for name, questions in benchmarks},
    )
    if not any(unfinished(name, questions, plan.samples, rows) for name, questions in benchmarks):
        if backend:
            await backend.close()
        return "", len(left_out)  # before a model is loaded for nothing
    loaded = load_tokenizer(tokenizer)
    policy: EndpointPolicy | VllmPolicy
    if api:
        policy = endpoint(api, model, served, loaded)
        await policy.connect()
    else:
        policy = VllmPolicy(model, loaded, max_model_len=options["prompt_length"] + plan.response_length)

    async def search(query: str) -> Any:
        return (await backend.search([query], settings.topk))[0] if backend else []

    judge = make_judge(judging)
    failure = ""
    try:
        for name, questions in benchmarks:
            last = await run_benchmark(
                name,
                questions,
                policy=policy,
                search=search,
                judge=judge,
                vocabulary=names,
                plan=plan,
                rows=rows,
            )
            failure = last or failure
    except InfrastructureFailure as error:  # the tables of what is done are still made
        return str(error), len(left_out)
    finally:
        await policy.close()
        if backend:
            await backend.close()
    return failure, len(left_out)


def _tokenizer_path(options: dict[str, Any], remote: bool) -> str:
    from medr3_plugin.errors import UserError

    if options["tokenizer"]:
        return str(options["tokenizer"])
    if remote:
        raise UserError(
            "--tokenizer is needed with a URL: a folder or Hub name with the served model's tokenizer (where that "
            "cannot be had, any other with --api chat or chat-turns: it only measures budgets there)"
        )
    model = str(options["model"])
    if not Path(model).is_dir() and (model.startswith(("/", ".", "~")) or model.count("/") > 1):
        raise UserError(f"--model {model}: no such folder, and no Hub name or URL")
    return model


async def _api(options: dict[str, Any], tokenizer: str) -> tuple[str, str]:
    """How a URL is asked, and for which model: as said, as the output folder was begun, or as the server has it."""
    from medr3_plugin.evaluation.chat_policy import NOTES, find_api
    from medr3_plugin.evaluation.policy import EndpointPolicy, load_tokenizer
    from medr3_plugin.evaluation.runner import API, SERVED, read_settings

    before = read_settings(options["out"])
    api = options["api"] if options["api"] != "auto" else before.get(API)
    served = options["model_name"] or before.get(SERVED) or ""
    if api is None or not served:
        probing = EndpointPolicy(options["model"], served, load_tokenizer(tokenizer))
        try:
            await probing.connect()
            served = probing.model
            api = api or await find_api(probing)
        finally:
            await probing.close()
    if NOTES[api]:
        typer.echo(f"note: --api {api}: {NOTES[api]}", err=True)
    return api, served


def _recipe(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The recipe's section `medr3` and `response_length`; empty without a recipe."""
    from medr3_plugin.errors import UserError
    from medr3_plugin.recipe.checks.finding import section
    from medr3_plugin.recipe.shipped import compose, find_recipe

    if not name:
        if overrides:
            raise UserError(f"{overrides[0]}: overrides are those of a recipe: name it with --recipe")
        return {}
    config = compose(find_recipe(name), overrides)
    if config.actor_rollout_ref.rollout.agent.default_agent_loop == "medr3_tool":
        raise UserError(
            f"--recipe {name}: it trains in the tool loop (default_agent_loop medr3_tool), which an evaluation "
            "does not have: name a recipe with default_agent_loop medr3_search"
        )
    return {**section(config), "response_length": config.data.max_response_length}


def _environment(recipe: dict[str, Any], max_searches: int | None) -> Any:
    """Settings of the recipe's environment; the defaults without a recipe."""
    from medr3_plugin.environment.settings import EnvironmentSettings

    section = recipe.get("environment") or {}
    if max_searches is not None:
        section = {**section, "max_searches": max_searches}
    return EnvironmentSettings.from_mapping(section)


def _backend(options: dict[str, Any], max_searches: int, search: dict[str, Any]) -> Any:
    from medr3_plugin.errors import UserError
    from medr3_plugin.retrieval.backend import make_backend

    if options["retrieval_url"]:
        return make_backend({"backend": "http", "url": options["retrieval_url"]})
    if options["index"]:
        return make_backend({"backend": "inprocess", "index": str(options["index"]), "search": search})
    if max_searches and options["style"] in (None, "search"):
        raise UserError(
            "--index or --retrieval-url is needed; without retrieval say --prompt plain --max-searches 0"
        )
    return None


def _judge_options(recipe: dict[str, Any], judge: str | None, model: str) -> dict[str, Any]:
    """Options of the judge; empty for none: `verify` has the rules. A router is there only in training."""
    from medr3_plugin.errors import UserError

    section = (recipe.get("reward") or {}).get("judge") or {}
    if judge is None and section.get("kind") == "openai":
        return {**section, "model": model or section.get("model")}
    if judge in (None, "rule"):
        if model:
            raise UserError(
                f"--judge-model {model}: there is no judge; give --judge URL, or a --recipe with one"
            )
        return {}
    return {"kind": "openai", "base_url": judge, "model": model}
