"""What `medr3 eval` runs: benchmarks, a recipe's environment and judge, the policy, and the rows that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


async def run(options: dict[str, Any]) -> tuple[str, int]:  # noqa: PLR0915 (one thing after the other)
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
            "--tokenizer is needed with a URL: a folder or Hub name with the served model's tokenizer (if you do "
            "not have it, any other with --api chat or chat-turns: it only measures budgets there)"
        )
    model = str(options["model"])
    if not Path(model).is_dir() and (model.startswith(("/", ".", "~")) or model.count("/") > 1):
        raise UserError(f"--model {model}: neither an existing folder nor a Hub name or URL")
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
            "--index or --retrieval-url is needed; without retrieval, give --prompt plain --max-searches 0"
        )
    return None


def judge_options(recipe: dict[str, Any], judge: str | None, model: str) -> dict[str, Any]:
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
