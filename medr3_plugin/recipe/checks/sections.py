"""Checks of the sections of `medr3`, by the code that will read them, and of the names a recipe uses."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from medr3_plugin import registered_names as names
from medr3_plugin.environment import tool_file
from medr3_plugin.errors import MissingExtra, UserError, did_you_mean
from medr3_plugin.recipe.checks.finding import Finding, most_searches, section
from medr3_plugin.yaml_section import Section, as_list, validated

_LOGGER_PACKAGES = {
    name: name for name in ("wandb", "mlflow", "swanlab", "tensorboard", "clearml", "trackio")
}
"""What verl imports for a logger when training begins."""


def sections(config: Any) -> Iterator[Finding]:
    """Our own sections, by the code that will read them."""
    from medr3_plugin.environment.settings import EnvironmentSettings
    from medr3_plugin.judge.factory import make_judge
    from medr3_plugin.knowledge.phrases import PhraseFinder
    from medr3_plugin.retrieval.backend import BackendOptions
    from medr3_plugin.rewards.components import agreement_judge, extractor
    from medr3_plugin.rewards.formula import formula
    from medr3_plugin.rewards.options import read_options, reward_options, stage_options
    from medr3_plugin.rewards.record import KEYS
    from medr3_plugin.stages.judge_model import ask_through_the_manager
    from medr3_plugin.stages.schedule import ProgressSettings, Schedule

    ours = section(config)
    if not ours:
        yield Finding.error("medr3", "the section is missing")
        return

    def rewards() -> None:
        options = reward_options(ours)  # as the reward manager merges them
        read = read_options(options)
        if config.reward.reward_manager.name == names.REWARD_MANAGER:
            for stage in ours.get("stages") or ():
                formula(stage["name"], stage_options(options, stage["name"]))
        if (options.get("judge") or {}).get("kind") != "router":  # verl gives the router its address later
            judge = make_judge(options.get("judge"))
            extractor(read.extractor, PhraseFinder(), judge)
            agreement_judge(read.agreement, judge)

    def retrieval() -> None:
        if ours.get("retrieval"):
            validated(BackendOptions, ours["retrieval"], "medr3.retrieval")
        elif config.actor_rollout_ref.rollout.agent.default_agent_loop == "medr3_search":
            raise UserError("medr3.retrieval: the agent loop medr3_search needs it")

    def schedule() -> None:
        of_ours = config.reward.reward_manager.name == names.REWARD_MANAGER
        Schedule.from_config(ours.get("stages")).check(config, KEYS if of_ours else ())

    for read in (
        schedule,
        lambda: ProgressSettings.from_section(ours),
        lambda: EnvironmentSettings.from_mapping(ours.get("environment")),
        rewards,
        lambda: ask_through_the_manager(copy.deepcopy(config)),
        retrieval,
    ):
        try:
            read()
        except MissingExtra as error:
            yield Finding.missing("medr3", str(error))
        except UserError as error:
            yield _with_place(Finding.of(error))
            if read is schedule:
                return  # the others read the stages, too


def _with_place(finding: Finding) -> Finding:
    """The finding of an unknown key, with the section that knows it."""
    from medr3_plugin.environment.settings import EnvironmentSettings
    from medr3_plugin.judge.factory import JudgeOptions
    from medr3_plugin.retrieval.backend import BackendOptions
    from medr3_plugin.rewards.options import RewardOptions, StageOptions
    from medr3_plugin.stages.schedule import ProgressSettings, StageSpec, Until

    known: dict[str, type[Section]] = {
        "medr3": ProgressSettings,
        "medr3.stages[]": StageSpec,
        "medr3.stages[].until": Until,
        "medr3.stages[].reward": StageOptions,
        "medr3.environment": EnvironmentSettings,
        "medr3.retrieval": BackendOptions,
        "medr3.reward": RewardOptions,
        "medr3.reward.judge": JudgeOptions,
    }
    key = finding.where.rpartition(".")[2]
    places = [path for path, model in known.items() if key in model.model_fields]
    if not places or not finding.message.startswith("unknown key"):
        return finding
    return Finding.error(finding.where, f"unknown key here; it belongs under {' or '.join(places)}")


def registrations(config: Any) -> Iterator[Finding]:
    """The names a recipe uses must be the ones the plug-in (or verl) registers."""
    trainer_mode = config.trainer.v1.trainer_mode
    unknown = list(_known_to_verl(config))
    yield from unknown
    if any(finding.where == "trainer.v1.trainer_mode" for finding in unknown):
        return  # what it would do does not matter
    from medr3_plugin.verl_adapters.invalid_samples import check_estimator

    try:
        check_estimator(config)
    except UserError as error:
        yield Finding.of(error)
    if section(config).get("stages") and trainer_mode not in names.TRAINER_MODES:
        yield Finding.error(
            "trainer.v1.trainer_mode",
            f"{trainer_mode!r} would ignore medr3.stages: stages run in {', '.join(names.TRAINER_MODES)}",
        )
    if not config.trainer.use_v1:
        yield Finding.error("trainer.use_v1", "must be true: the plug-in extends the v1 trainer")


def _known_to_verl(config: Any) -> Iterator[Finding]:
    """Names that verl looks up only when it uses them, minutes after the start."""
    from transformers import AttentionInterface
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry
    from verl.experimental.reward_loop.reward_manager.registry import REWARD_MANAGER
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY, POLICY_LOSS_REGISTRY
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
    from verl.utils.tracking import Tracking

    from medr3_plugin.rewards.record import KEYS

    agent, manager = config.actor_rollout_ref.rollout.agent, config.reward.reward_manager
    loss = config.actor_rollout_ref.actor.policy_loss.loss_mode
    attention = config.actor_rollout_ref.model.override_config.get("attn_implementation")
    loops = set(_agent_loop_registry)
    try:
        loops.update(_listed_loops(agent.agent_loop_config_path))
    except UserError as error:
        yield Finding.error("actor_rollout_ref.rollout.agent.agent_loop_config_path", str(error))
    estimators = [str(getattr(name, "value", name)) for name in ADV_ESTIMATOR_REGISTRY]
    wanted: list[tuple[str, Any, Collection[str]]] = [
        ("algorithm.adv_estimator", config.algorithm.adv_estimator, estimators),
        ("trainer.v1.trainer_mode", config.trainer.v1.trainer_mode, TRAINER_REGISTRY),
        ("actor_rollout_ref.rollout.agent.default_agent_loop", agent.default_agent_loop, loops),
        *(("trainer.logger", name, Tracking.supported_backend) for name in as_list(config.trainer.logger)),
        ("actor_rollout_ref.actor.policy_loss.loss_mode", loss, POLICY_LOSS_REGISTRY),
    ]
    if attention is not None and "/" not in str(attention):  # else it is downloaded from the Hub
        key = "actor_rollout_ref.model.override_config.attn_implementation"
        wanted.append((key, attention, ("eager", *AttentionInterface().valid_keys())))
    if manager.source == "register":
        wanted.append(("reward.reward_manager.name", manager.name, REWARD_MANAGER))
    groups = config.algorithm.filter_groups
    if groups.enable and manager.name == names.REWARD_MANAGER:
        wanted.append(("algorithm.filter_groups.metric", groups.get("metric"), ("reward", *KEYS)))
    for key, name, known in wanted:
        if str(name) not in known:
            hint = did_you_mean(name, sorted(known), f"; such as {', '.join(sorted(known))}")
            yield Finding.error(key, f"{name!r} is not registered anywhere{hint}")
    for logger in as_list(config.trainer.logger):
        package = _LOGGER_PACKAGES.get(logger)
        if package and importlib.util.find_spec(package) is None:
            yield Finding.error(
                "trainer.logger", f"{logger} needs the package {package}: pip install {package}"
            )


def _listed_loops(path: str | None) -> list[str]:
    """Names of the agent loops in a file of the user's."""
    if not path:
        return []
    listed = tool_file.read_yaml(Path(path))
    if not isinstance(listed, list) or not all(isinstance(loop, dict) for loop in listed):
        raise UserError(f"{path}: expected a list of agent loops, each with name and _target_")
    return [str(loop.get("name")) for loop in listed]


def tools(config: Any, folder: Path) -> Iterator[Finding]:
    """The tool file of a tool-calling recipe, by the tool's own settings."""
    if not tool_file.calls_tools(config):
        return
    from verl.experimental.agent_loop.tool_parser import ToolParser

    from medr3_plugin.environment.settings import EnvironmentSettings
    from medr3_plugin.retrieval.backend import BackendOptions

    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    given, path = multi_turn.tool_config_path, tool_file.find(config, folder)
    if config.data.tool_config_path != given:
        yield Finding.error(
            "data.tool_config_path",
            f"{config.data.tool_config_path} differs from {tool_file.KEY} ({given}): prompts would be measured without "
            "the tool's description",
        )
    if multi_turn.format not in ToolParser._registry:
        yield Finding.error(
            "actor_rollout_ref.rollout.multi_turn.format",
            f"{multi_turn.format!r}: verl's tool parsers are {', '.join(sorted(ToolParser._registry))}",
        )
    for options in tool_file.searches(tool_file.read(path)):
        try:
            settings = validated(tool_file.ToolSettings, options, f"{path.name}: config")
            if settings.retrieval is not None:
                validated(BackendOptions, settings.retrieval, f"{path.name}: config.retrieval")
            elif not section(config).get("retrieval"):
                raise UserError(tool_file.SEARCHES_NOWHERE)
            settings.check_not_cut(multi_turn.max_tool_response_length)
        except UserError as error:
            yield Finding.of(error)
            continue
        environment = EnvironmentSettings.from_mapping(section(config, "environment"))
        yield from _tool_turns(config, settings.over(environment).max_searches)


def _tool_turns(config: Any, of_tool: int) -> Iterator[Finding]:
    """verl ends a trajectory at its last turn, answered or not."""
    most = most_searches(config, of_tool)
    turns = config.actor_rollout_ref.rollout.multi_turn.max_assistant_turns
    if turns and turns < most + 1:
        yield Finding.error(
            "actor_rollout_ref.rollout.multi_turn.max_assistant_turns",
            f"{turns} leaves no turn for the answer after {most} searches; at least {most + 1} are needed",
        )


def retrieval_options(config: Any, folder: Path) -> dict[str, dict[str, Any]]:
    """Backend options of the retrieval that the run uses, by where they stand.

    Raises:
        UserError: the recipe calls tools, and its tool file is missing or cannot be read.
    """
    ours = section(config, "retrieval")
    if not tool_file.calls_tools(config):
        searches = config.actor_rollout_ref.rollout.agent.default_agent_loop == names.AGENT_LOOP
        return {"medr3.retrieval": ours} if searches else {}
    path = tool_file.find(config, folder)
    given = [tool.get("retrieval") for tool in tool_file.searches(tool_file.read(path))]
    return {f"{path.name}: config.retrieval" if own else "medr3.retrieval": own or ours for own in given}
