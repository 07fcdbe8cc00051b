"""What `medr3 eval` does: set up recipe, benchmarks, model, search and judge from its options, then run the samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from medr3_plugin.errors import InfrastructureFailure, UserError


async def run(options: dict[str, Any]) -> tuple[str, int]:  # noqa: PLR0915 (one thing after the other)
    """Evaluate the samples that are not done yet.

    Args:
        options: the command's options by name.

    Returns:
        The last failure (empty if there was none) and the number of rows left out.
    """
    from medr3_plugin.data.questions.example_turns import load_tokenizer
    from medr3_plugin.environment import tool_file
    from medr3_plugin.evaluation.benchmarks import load_benchmark
    from medr3_plugin.evaluation.chat_policy import endpoint
    from medr3_plugin.evaluation.policy import EndpointPolicy, Sampling, VllmPolicy
    from medr3_plugin.evaluation.rollout import Plan, tag_rollout
    from medr3_plugin.evaluation.runner import API, SERVED, Rows, run_benchmark, unfinished
    from medr3_plugin.evaluation.tool_rollout import tool_rollout
    from medr3_plugin.judge.factory import make_judge
    from medr3_plugin.knowledge.vocabulary import Vocabulary
    from medr3_plugin.recipe.shipped import find_recipe
    from medr3_plugin.rewards.options import read_options

    recipe, config = _recipe(options["recipe"], options["overrides"] or ())
    calls_tools = config is not None and tool_file.calls_tools(config)
    tools = tool_file.find(config, find_recipe(options["recipe"]).folder) if calls_tools else None
    options["style"] = _style(options["style"], tools)
    settings = _environment(recipe, options["max_searches"])
    search_options = (recipe.get("retrieval") or {}).get("search") or {}
    judging = judge_options(recipe, options["judge"], options["judge_model"])
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
        raise UserError(f"--api {options['api']}: --model {model} is not a URL")
    backend = _backend(options, settings.max_searches, search_options)
    tokenizer = _tokenizer_path(options, remote)
    api, served = await _api(options, tokenizer, tools) if remote else ("", "")
    sampling = Sampling(options["temperature"], options["top_p"], options["seed"])
    length = options["response_length"] or recipe.get("response_length", 4096)
    plan = Plan(settings, length, options["samples"], sampling, options["concurrency"])
    loaded = load_tokenizer(tokenizer)
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
    policy: EndpointPolicy | VllmPolicy
    if api:
        policy = endpoint(api, model, served, loaded)
        await policy.connect()
    else:
        policy = VllmPolicy(model, loaded, max_model_len=options["prompt_length"] + plan.response_length)

    async def search(query: str) -> Any:
        return (await backend.search([query], settings.topk))[0] if backend else []

    if tools:
        roll_out = tool_rollout(policy, config, tools, _retrieval(options, search_options), plan)
    else:
        roll_out = tag_rollout(policy, search, plan)
    judge = make_judge(judging)
    failure = ""
    try:
        for name, questions in benchmarks:
            last = await run_benchmark(
                name, questions, roll_out=roll_out, judge=judge, vocabulary=names, plan=plan, rows=rows
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
    if options["tokenizer"]:
        return str(options["tokenizer"])
    if remote:
        raise UserError(
            "--tokenizer is needed with a URL: a folder or Hub name with the served model's tokenizer (if you do not "
            "have it, any other with --api chat or chat-turns, which use it only to measure budgets)"
        )
    model = str(options["model"])
    if not Path(model).is_dir() and (model.startswith(("/", ".", "~")) or model.count("/") > 1):
        raise UserError(f"--model {model}: neither an existing folder nor a Hub name or URL")
    return model


async def _api(options: dict[str, Any], tokenizer: str, tools: Path | None) -> tuple[str, str]:
    """How a URL is queried, and for which model: as given, as before in --out, or as the server supports."""
    from medr3_plugin.data.questions.example_turns import load_tokenizer
    from medr3_plugin.evaluation.chat_policy import NOTES, find_api
    from medr3_plugin.evaluation.policy import EndpointPolicy
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
    if tools and api != "completions":
        raise UserError(
            f"--recipe {options['recipe']}: its chat template writes tool calls, which needs a server with "
            f"/v1/completions; --api {api} cannot do that"
        )
    if NOTES[api]:
        typer.echo(f"note: --api {api}: {NOTES[api]}", err=True)
    return api, served


def _recipe(name: str, overrides: Sequence[str]) -> tuple[dict[str, Any], Any]:
    """The recipe's section `medr3` with `response_length`, and all of it; empty and None without a recipe."""
    from medr3_plugin.recipe.checks.finding import section
    from medr3_plugin.recipe.shipped import compose, find_recipe

    if not name:
        if overrides:
            raise UserError(f"{overrides[0]}: an override changes a recipe: name the recipe with --recipe")
        return {}, None
    config = compose(find_recipe(name), overrides)
    return {**section(config), "response_length": config.data.max_response_length}, config


def _style(given: str | None, tools: Path | None) -> str | None:
    if tools is None and given == "tools":
        raise UserError("--prompt tools: name a recipe whose agent loop calls tools with --recipe")
    if tools is not None and given not in (None, "tools"):
        raise UserError(f"--prompt {given}: the recipe calls tools and needs --prompt tools")
    return given if tools is None else "tools"


def _environment(recipe: dict[str, Any], max_searches: int | None) -> Any:
    """Settings of the recipe's environment; the defaults without a recipe."""
    from medr3_plugin.environment.settings import EnvironmentSettings

    section = recipe.get("environment") or {}
    if max_searches is not None:
        section = {**section, "max_searches": max_searches}
    return EnvironmentSettings.from_mapping(section)


def _backend(options: dict[str, Any], max_searches: int, search: dict[str, Any]) -> Any:
    from medr3_plugin.retrieval.backend import make_backend

    if where := _retrieval(options, search):
        return make_backend(where)
    if max_searches and options["style"] in (None, "search", "tools"):
        raise UserError(
            "--index or --retrieval-url is needed; without retrieval, give --prompt plain --max-searches 0"
        )
    return None


def _retrieval(options: dict[str, Any], search: dict[str, Any]) -> dict[str, Any]:
    """Options of the backend; empty without retrieval."""
    if options["retrieval_url"]:
        return {"backend": "http", "url": options["retrieval_url"]}
    if options["index"]:
        return {"backend": "inprocess", "index": str(options["index"]), "search": search}
    return {}


def judge_options(recipe: dict[str, Any], judge: str | None, model: str) -> dict[str, Any]:
    """Options of the judge; empty for none (rules need no judge). verl's router exists only in training."""
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
