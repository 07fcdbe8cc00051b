"""What `medr3 eval` does: set up recipe, benchmarks, model, search and judge from its options, then run the samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from medr3_plugin.data.questions.example_turns import load_tokenizer
from medr3_plugin.environment import tool_file
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import InfrastructureFailure, UserError
from medr3_plugin.evaluation.benchmarks import Question, load_benchmark
from medr3_plugin.evaluation.chat_policy import NOTES, endpoint, find_api
from medr3_plugin.evaluation.policy import EndpointPolicy, Policy, Sampling, VllmPolicy
from medr3_plugin.evaluation.rollout import Plan, Rollout, tag_rollout, tool_rollout
from medr3_plugin.evaluation.runner import API, SERVED, Rows, read_settings, run_benchmark, unfinished
from medr3_plugin.judge.factory import make_judge
from medr3_plugin.knowledge.vocabulary import Vocabulary
from medr3_plugin.recipe.shipped import compose, find_recipe
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.rewards.options import read_options


async def run(options: dict[str, Any]) -> tuple[str, int]:
    """Evaluate the samples that are not done yet.

    Args:
        options: the command's options by name.

    Returns:
        The last failure (empty if there was none) and the number of rows left out.
    """
    evaluation = _Evaluation(options)
    benchmarks, left_out = evaluation.benchmarks()
    backend = evaluation.backend()
    try:
        return await evaluation.run(benchmarks, backend), left_out
    finally:
        if backend:
            await backend.close()


class _Evaluation:
    """An evaluation as options and recipe ask for it."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        recipe, self.config = _recipe(options["recipe"], options["overrides"] or ())
        calls_tools = self.config is not None and tool_file.calls_tools(self.config)
        self.tools = (
            tool_file.find(self.config, find_recipe(options["recipe"]).folder) if calls_tools else None
        )
        self.style = _style(options["style"], self.tools)
        self.search = (recipe.get("retrieval") or {}).get("search") or {}
        self.judging = judge_options(recipe, options["judge"], options["judge_model"])
        extractor = read_options({"extractor": (recipe.get("reward") or {}).get("extractor") or {}}).extractor
        self.vocabularies = list(extractor.vocabularies)
        environment = dict(recipe.get("environment") or {})
        if options["max_searches"] is not None:
            environment["max_searches"] = options["max_searches"]
        self.plan = Plan(
            EnvironmentSettings.from_mapping(environment),
            options["response_length"] or recipe.get("response_length", 4096),
            options["samples"],
            Sampling(options["temperature"], options["top_p"], options["seed"]),
            options["concurrency"],
        )
        self.remote = options["model"].startswith(("http://", "https://"))
        if not self.remote and options["api"] != "auto":
            raise UserError(f"--api {options['api']}: --model {options['model']} is not a URL")

    def benchmarks(self) -> tuple[list[tuple[str, list[Question]]], int]:
        """Names with their questions, and how many rows were left out."""
        left_out: list[str] = []
        benchmarks = [
            load_benchmark(
                spec,
                self.options["data"],
                form=self.options["form"],
                style=self.style,
                limit=self.options["limit"],
                warn=left_out.append,
            )
            for spec in self.options["benchmark"].split(",")
        ]
        names = [name for name, _ in benchmarks]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"--benchmark: two are named {twice!r}; call one of them NAME=SOURCE")
        for line in left_out:
            typer.echo(f"warning: {line}", err=True)
        return benchmarks, len(left_out)

    def retrieval(self) -> dict[str, Any]:
        """Options of the backend; empty without retrieval."""
        if self.options["retrieval_url"]:
            return {"backend": "http", "url": self.options["retrieval_url"]}
        if self.options["index"]:
            return {"backend": "inprocess", "index": str(self.options["index"]), "search": self.search}
        return {}

    def backend(self) -> Any:
        """Where searches go; None without retrieval."""
        if where := self.retrieval():
            return make_backend(where)
        if self.plan.settings.max_searches and self.style in (None, "search", "tools"):
            raise UserError(
                "--index or --retrieval-url is needed; without retrieval, give --prompt plain --max-searches 0"
            )
        return None

    async def run(self, benchmarks: Sequence[tuple[str, Sequence[Question]]], backend: Any) -> str:
        """Run the samples that are not done yet; returns the last failure, empty if there was none."""
        place, plan = _tokenizer_path(self.options, self.remote), self.plan
        api, served = await _api(self.options, place, self.tools) if self.remote else ("", "")
        tokenizer = load_tokenizer(place)
        asked = {name: plan.samples * len({q.sample.id for q in questions}) for name, questions in benchmarks}
        rows = Rows(self.options["out"], self._recorded(api, served), asked)
        if not any(unfinished(name, questions, plan.samples, rows) for name, questions in benchmarks):
            return ""  # before a model is loaded for nothing
        names = Vocabulary.load(*self.vocabularies) if self.vocabularies else None
        judge = make_judge(self.judging)  # a missing file or key is reported before a model is loaded
        policy = await self._policy(tokenizer, api, served)
        roll_out = self._rollout(policy, backend)
        failure = ""
        try:
            for name, questions in benchmarks:
                last = await run_benchmark(
                    name, questions, roll_out=roll_out, judge=judge, vocabulary=names, plan=plan, rows=rows
                )
                failure = last or failure
        except InfrastructureFailure as error:  # the tables of what is done are still made
            return str(error)
        finally:
            await policy.close()
        return failure

    def _recorded(self, api: str, served: str) -> dict[str, Any]:
        """What the results depend on."""
        options, plan = self.options, self.plan
        return {
            "model": options["model"],
            **({API: api, SERVED: served} if api else {}),
            "environment": plan.settings.model_dump(),
            "response_length": plan.response_length,
            "temperature": plan.sampling.temperature,
            "top_p": plan.sampling.top_p,
            "seed": plan.sampling.seed,
            "form": options["form"] or "default",
            "style": self.style or "default",
            "retrieval": str(options["index"] or options["retrieval_url"]),
            **({"search": self.search} if self.search and options["index"] else {}),
            "judge": self.judging.get("base_url") or "rule",
            "judge_model": self.judging.get("model") or "",
            **({"vocabularies": self.vocabularies} if self.vocabularies else {}),
        }

    async def _policy(self, tokenizer: Any, api: str, served: str) -> Policy:
        if not api:
            longest = self.options["prompt_length"] + self.plan.response_length
            return VllmPolicy(self.options["model"], tokenizer, max_model_len=longest)
        policy = endpoint(api, self.options["model"], served, tokenizer)
        await policy.connect()
        return policy

    def _rollout(self, policy: Policy, backend: Any) -> Rollout:
        if self.tools:
            return tool_rollout(policy, self.config, self.tools, self.retrieval(), self.plan)

        async def search(query: str) -> Any:
            return (await backend.search([query], self.plan.settings.topk))[0] if backend else []

        return tag_rollout(policy, search, self.plan)


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

    if not name:
        if overrides:
            raise UserError(f"{overrides[0]}: an override changes a recipe: name the recipe with --recipe")
        return {}, None
    config = compose(find_recipe(name), overrides)
    return {**section(config), "response_length": config.data.max_response_length}, config


def _style(given: str | None, tools: Path | None) -> Any:
    if tools is None and given == "tools":
        raise UserError("--prompt tools: name a recipe whose agent loop calls tools with --recipe")
    if tools is not None and given not in (None, "tools"):
        raise UserError(f"--prompt {given}: the recipe calls tools and needs --prompt tools")
    return given if tools is None else "tools"


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
