"""What `medr3 recipes validate` looks at: whatever would fail, or quietly spoil, a run hours later."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.memory_estimate import estimate, model_size
from medr3_plugin.recipes import Recipe, compose

_REGISTERED_LOOPS = ("medr3_search", "medr3_tool")


class Finding(NamedTuple):
    """`error`: the run would fail or be wrong. `missing`: to be prepared first. `note`: good to know."""

    level: Literal["error", "missing", "note"]
    where: str
    message: str


def check(
    recipe: Recipe, overrides: Sequence[str] = (), *, files: bool = True, gpu_memory_gib: float = 80.0
) -> list[Finding]:
    """Check a recipe against the installed verl and this machine.

    Args:
        overrides: hydra overrides.
        files: also check that data, models and indexes exist and are large enough.
        gpu_memory_gib: memory of one GPU.
    """
    for name in ("run.sh", "README.md"):
        if not (recipe.folder / name).is_file():
            return [Finding("error", recipe.name, f"{name} is missing in {recipe.folder}")]
    try:
        config = compose(recipe, overrides)
    except UserError as error:
        return [Finding("error", recipe.config_file.name, str(error))]
    return check_config(config, recipe.folder, files=files, gpu_memory_gib=gpu_memory_gib)


def check_config(config: Any, folder: Path, *, files: bool, gpu_memory_gib: float) -> list[Finding]:
    """Check a composed configuration; `folder` is the recipe's, for the files that lie beside it."""
    findings = [*_verl(config), *_sections(config), *_registrations(config), *_lengths(config)]
    findings += [*_budgets(config), *_tools(config, folder), *_memory(config, gpu_memory_gib)]
    if files:
        findings += _files(config)
    return sorted(findings, key=lambda finding: ("error", "missing", "note").index(finding.level))


def _verl(config: Any) -> Iterator[Finding]:
    """verl's own check of a configuration, which its trainer runs first."""
    from hydra.errors import HydraException
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            validate_config(
                config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config)
            )
    except (HydraException, AssertionError, ValueError, TypeError, KeyError, AttributeError) as error:
        # it reports by assert and by building its dataclasses
        message = " ".join(str(error).split()) or type(error).__name__
        if message.startswith("vllm version None"):
            yield Finding(
                "missing", "vllm", "not installed: verl cannot check what depends on its version (LoRA)"
            )
        else:
            yield Finding("error", "verl validate_config", message)


def _section(config: Any, key: str = "medr3") -> dict[str, Any]:
    from omegaconf import OmegaConf

    return cast(dict[str, Any], OmegaConf.to_container(config[key], resolve=True)) if key in config else {}


def _sections(config: Any) -> Iterator[Finding]:
    """Our own sections, by the code that will read them."""
    from medr3_plugin.environment.settings import EnvironmentSettings
    from medr3_plugin.judge.factory import make_judge
    from medr3_plugin.retrieval.backend import BackendOptions, validated
    from medr3_plugin.rewards.options import read_options, stage_options
    from medr3_plugin.stages.schedule import Schedule
    from medr3_plugin.stages.settings import ProgressSettings

    section = _section(config)
    if not section:
        yield Finding("error", "medr3", "the section is missing")
        return

    def rewards() -> None:
        options = dict(section.get("reward") or {})
        stages = {s["name"]: s.get("reward") or {} for s in section.get("stages") or ()}
        options["stages"] = {**(options.get("stages") or {}), **stages}
        read_options(options)
        for name in stages:
            stage_options(options, name)
        if (options.get("judge") or {}).get("kind") != "router":  # verl gives the router its address later
            make_judge(options.get("judge"))

    def retrieval() -> None:
        if section.get("retrieval"):
            validated(BackendOptions, section["retrieval"], "medr3.retrieval")
        elif config.actor_rollout_ref.rollout.agent.default_agent_loop == "medr3_search":
            raise UserError("medr3.retrieval: the agent loop medr3_search needs it")

    for read in (
        lambda: Schedule.from_config(section.get("stages")),
        lambda: ProgressSettings.from_section(section),
        lambda: EnvironmentSettings.from_mapping(section.get("environment")),
        rewards,
        retrieval,
    ):
        try:
            read()
        except MissingExtra as error:
            yield Finding("missing", "medr3", str(error))
        except UserError as error:
            where, _, message = str(error).partition(": ")
            yield Finding("error", where, message)


def _registrations(config: Any) -> Iterator[Finding]:
    """The names a recipe uses must be the ones the plug-in (or verl) registers."""
    from medr3_plugin import plugin

    trainer_mode = config.trainer.v1.trainer_mode
    if config.algorithm.adv_estimator == plugin.ADVANTAGE_ESTIMATOR and trainer_mode != plugin.TRAINER_MODE:
        yield Finding(
            "error",
            "algorithm.adv_estimator",
            f"medr3_grpo needs trainer.v1.trainer_mode={plugin.TRAINER_MODE}",
        )
    if not config.trainer.use_v1:
        yield Finding("error", "trainer.use_v1", "must be true: the plug-in extends the v1 trainer")
    loop = config.actor_rollout_ref.rollout.agent.default_agent_loop
    if loop.startswith("medr3") and loop not in _REGISTERED_LOOPS:
        yield Finding("error", "rollout.agent.default_agent_loop", f"{loop!r} is none of {_REGISTERED_LOOPS}")


def _tools(config: Any, folder: Path) -> Iterator[Finding]:
    """The tool file of a tool-calling recipe, by the tool's own settings."""
    rollout = config.actor_rollout_ref.rollout
    if rollout.agent.default_agent_loop != "medr3_tool":
        return
    key = "rollout.multi_turn.tool_config_path"
    given = rollout.multi_turn.tool_config_path
    if not given:
        yield Finding("error", key, "the agent loop medr3_tool needs a tool file")
        return
    # run.sh names the file beside the recipe; without run.sh a bare name means the same one
    path = next((p for p in (Path(given), folder / Path(given).name) if p.is_file()), None)
    if path is None:
        yield Finding("error", key, f"no such file: {given}")
        return
    from omegaconf import OmegaConf

    from medr3_plugin.environment.tool import ToolSettings
    from medr3_plugin.retrieval.backend import BackendOptions, validated

    tools = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    for tool in tools.get("tools") or () if isinstance(tools, dict) else ():
        if not str(tool.get("class_name", "")).endswith("MedicalSearchTool"):
            continue
        try:
            settings = validated(ToolSettings, tool.get("config") or {}, f"{path.name}: config")
            validated(BackendOptions, settings.retrieval, f"{path.name}: config.retrieval")
        except UserError as error:
            yield Finding("error", key, str(error))
            continue
        if settings.response_chars > rollout.multi_turn.max_tool_response_length:
            yield Finding(
                "error",
                "rollout.multi_turn.max_tool_response_length",
                f"{rollout.multi_turn.max_tool_response_length} characters are fewer than the tool's "
                f"response_chars {settings.response_chars}: verl would cut the middle out of the evidence",
            )


def _lengths(config: Any) -> Iterator[Finding]:
    data, rollout, actor = config.data, config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    whole = data.max_prompt_length + data.max_response_length
    if rollout.max_model_len is not None and rollout.max_model_len < whole:
        yield Finding(
            "error", "rollout.max_model_len", f"{rollout.max_model_len} < prompt + response = {whole}"
        )
    if actor.use_dynamic_bsz:
        room = actor.ppo_max_token_len_per_gpu * actor.ulysses_sequence_parallel_size
        if room < whole:
            yield Finding(
                "error",
                "actor.ppo_max_token_len_per_gpu",
                f"times ulysses_sequence_parallel_size is {room}, less than one trajectory of {whole} tokens",
            )
    size = model_size(str(config.actor_rollout_ref.model.path))
    positions = _positions(str(config.actor_rollout_ref.model.path)) if size else None
    if positions is not None and positions < whole:
        yield Finding(
            "error", "data", f"prompt + response = {whole} tokens, the model has {positions} positions"
        )
    section = _section(config)
    environment = section.get("environment") or {}
    if rollout.agent.default_agent_loop != "medr3_search":
        return
    from medr3_plugin.environment.settings import EnvironmentSettings

    try:
        settings = EnvironmentSettings.from_mapping(environment)
    except UserError:
        return  # already reported
    room = data.max_response_length - settings.answer_reserve
    if room < settings.document_tokens:
        yield Finding(
            "error",
            "data.max_response_length",
            f"{data.max_response_length} leaves {max(0, room)} tokens beside medr3.environment.answer_reserve, "
            f"too few for one document of document_tokens={settings.document_tokens}",
        )
    if settings.document_tokens > settings.search_tokens:
        yield Finding("error", "medr3.environment.document_tokens", "is larger than search_tokens")
    searches = [s.get("max_searches") for s in section.get("stages") or ()]
    most = max([n for n in searches if n is not None] or [settings.max_searches])
    documents = most * settings.search_tokens
    share = documents / data.max_response_length
    if share > 0.75:
        yield Finding(
            "note",
            "medr3.environment",
            f"{most} searches of {settings.search_tokens} tokens may fill {min(share, 1):.0%} of the response"
            f" of {data.max_response_length} tokens; the environment then shows fewer documents",
        )


def _positions(path: str) -> int | None:
    import json

    file = Path(path).expanduser() / "config.json"
    return json.loads(file.read_text("utf-8")).get("max_position_embeddings") if file.is_file() else None


def _budgets(config: Any) -> Iterator[Finding]:
    data, rollout, actor = config.data, config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    if rollout.n < 2 and str(config.algorithm.adv_estimator) in ("grpo", "medr3_grpo"):
        yield Finding("error", "rollout.n", "group-relative advantages need at least 2 samples a prompt")
    if data.train_batch_size % actor.ppo_mini_batch_size:
        yield Finding(
            "error",
            "actor.ppo_mini_batch_size",
            f"{actor.ppo_mini_batch_size} does not divide data.train_batch_size {data.train_batch_size}",
        )
    gpus = config.trainer.nnodes * config.trainer.n_gpus_per_node
    if config.trainer.n_gpus_per_node % rollout.tensor_model_parallel_size:
        yield Finding(
            "error", "rollout.tensor_model_parallel_size", "does not divide trainer.n_gpus_per_node"
        )
    if config.trainer.device != "cpu" and gpus % actor.ulysses_sequence_parallel_size:
        yield Finding("error", "actor.ulysses_sequence_parallel_size", f"does not divide the {gpus} GPUs")
    steps = sum(int(s["until"]["max_steps"]) for s in _section(config).get("stages") or () if "until" in s)
    rollouts = data.train_batch_size * rollout.n
    yield Finding(
        "note",
        "budget",
        f"at most {steps} steps of {data.train_batch_size} x {rollout.n} = {rollouts} trajectories",
    )
    if config.trainer.test_freq > 0 and not config.data.val_files:
        yield Finding("error", "data.val_files", "needed, because trainer.test_freq is positive")


def _memory(config: Any, gpu_memory_gib: float) -> Iterator[Finding]:
    if config.trainer.device == "cpu":
        return
    size = model_size(str(config.actor_rollout_ref.model.path))
    if size is None:
        yield Finding(
            "note", "memory", f"no estimate: the size of {config.actor_rollout_ref.model.path} is not known"
        )
        return
    needed = estimate(config, size, gpu_memory_gib)
    parts = ", ".join(f"{name} {value:.1f}" for name, value in needed.parts.items() if value >= 0.05)
    yield Finding(
        "note",
        "memory",
        f"estimate for each GPU of {gpu_memory_gib:g} GiB: training {needed.training:.0f} GiB ({parts}), "
        f"generating {needed.generating:.0f} GiB with room for {needed.kv_tokens} tokens of KV cache",
    )
    for phase, value in (("training", needed.training), ("generating", needed.generating)):
        if value > gpu_memory_gib:
            yield Finding(
                "error", "memory", f"{phase} is estimated at {value:.0f} GiB of {gpu_memory_gib:g} GiB"
            )
    whole = config.data.max_prompt_length + config.data.max_response_length
    if needed.kv_tokens < whole:
        yield Finding(
            "error",
            "rollout.gpu_memory_utilization",
            f"the KV cache would hold less than one trajectory ({whole})",
        )


def _files(config: Any) -> Iterator[Finding]:
    section = _section(config)
    batch = config.data.train_batch_size
    train = _listed(config.data.train_files)
    for index, stage in enumerate(section.get("stages") or ()):
        key = f"medr3.stages[{index}].train_files" if stage.get("train_files") else "data.train_files"
        yield from _parquet(key, _listed(stage.get("train_files")) or train, batch)
    if config.trainer.test_freq > 0 or config.trainer.val_before_train:
        yield from _parquet("data.val_files", _listed(config.data.val_files), 1)
    model = str(config.actor_rollout_ref.model.path)
    if model.startswith(("/", "./", "../", "~")) and not Path(model).expanduser().is_dir():
        yield Finding("missing", "actor_rollout_ref.model.path", f"no such folder: {model}")
    retrieval = section.get("retrieval") or {}
    for index in [retrieval.get("index"), *(retrieval.get("shards") or ())]:
        if index and not Path(index).expanduser().is_dir():
            yield Finding(
                "missing", "medr3.retrieval", f"no index at {index}: make it with `medr3 index build`"
            )
    for vocabulary in ((section.get("reward") or {}).get("extractor") or {}).get("vocabularies") or ():
        if not Path(vocabulary).expanduser().is_file():
            yield Finding("missing", "medr3.reward.extractor.vocabularies", f"no such file: {vocabulary}")


def _listed(files: Any) -> list[str]:
    if files is None:
        return []
    return [str(files)] if isinstance(files, str) else [str(file) for file in files]


def _parquet(key: str, files: Sequence[str], least: int) -> Iterator[Finding]:
    """The files exist, can be read, hold verl's columns and at least one batch of rows."""
    rows = 0
    for file in files:
        path = Path(file).expanduser()
        if "://" in file:
            return
        if not path.is_file():
            yield Finding("missing", key, f"no such file: {file}: make it with `medr3 data prepare`")
            return
        try:
            import pyarrow.parquet as pq
        except ImportError:
            return
        schema = pq.read_schema(path)
        rows += pq.read_metadata(path).num_rows
        absent = {"data_source", "prompt", "reward_model", "extra_info"} - set(schema.names)
        if absent:
            yield Finding("error", key, f"{file} lacks the column {sorted(absent)[0]!r}")
    if rows < least:
        yield Finding("error", key, f"{rows} rows are fewer than data.train_batch_size {least}")
