"""Checks of lengths, batch sizes and memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import counted
from medr3_plugin.recipe.checks.finding import Finding, most_searches, needs_critic, section, verl_mode
from medr3_plugin.recipe.memory import (
    estimate,
    free_on_this_machine,
    least_on_cpu,
    model_size,
    sequence_parallel,
)

FREE_MEMORY = "free memory"
"""Where a run on this machine's CPU would need more memory than is free."""

_PREFILL_TOKENS = 8
"""Bound of the tokens of `<think>`, which the environment appends to a prompt of `data.max_prompt_length`."""


def lengths(config: Any) -> Iterator[Finding]:
    """Prompt, response and documents fit into the model, the micro batch and the response."""
    data, rollout, actor = config.data, config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    environment = EnvironmentSettings.from_mapping(section(config, "environment"))
    whole = data.max_prompt_length + data.max_response_length
    what = "prompt + response"
    if environment.prefill_think and rollout.agent.default_agent_loop == "medr3_search":
        whole += _PREFILL_TOKENS
        what += " + <think>"
    if rollout.max_model_len is not None and rollout.max_model_len < whole:
        yield Finding.error(
            "actor_rollout_ref.rollout.max_model_len",
            f"{rollout.max_model_len} < {what} = {whole}: generating in the longest trajectories would fail",
        )
    if actor.use_dynamic_bsz:
        for key, limit in (
            ("actor.ppo_max_token_len_per_gpu", actor.ppo_max_token_len_per_gpu),
            ("rollout.log_prob_max_token_len_per_gpu", rollout.log_prob_max_token_len_per_gpu),
        ):
            room = limit * sequence_parallel(actor)
            if room < whole:
                yield Finding.error(
                    f"actor_rollout_ref.{key}",
                    f"times ulysses_sequence_parallel_size is {room}, less than one trajectory of {whole} tokens",
                )
    size = model_size(str(config.actor_rollout_ref.model.path))
    if size is not None and size.positions is not None and size.positions < whole:
        yield Finding.error("data", f"{what} = {whole} tokens, the model has {size.positions} positions")
    overlong = int(section(config, "reward", "penalties", "overlong").get("max_tokens") or 0)
    if overlong > data.max_response_length:
        yield Finding.error(
            "medr3.reward.penalties.overlong.max_tokens",
            f"{overlong} is more than data.max_response_length {data.max_response_length}: no response "
            "would get the full penalty",
        )
    if rollout.agent.default_agent_loop == "medr3_search":
        yield from _documents(config)


def _documents(config: Any) -> Iterator[Finding]:
    """The documents of a trajectory fit beside its answer."""
    data = config.data
    settings = EnvironmentSettings.from_mapping(section(config, "environment"))
    room = data.max_response_length - settings.answer_reserve
    if room < settings.document_tokens:
        yield Finding.error(
            "data.max_response_length",
            f"{data.max_response_length} leaves {max(0, room)} tokens after medr3.environment.answer_reserve, "
            f"too few for a document of document_tokens={settings.document_tokens}",
        )
    if settings.document_tokens > settings.search_tokens:
        yield Finding.error("medr3.environment.document_tokens", "is larger than search_tokens")
    most = most_searches(config, settings.max_searches)
    share = most * settings.search_tokens / data.max_response_length
    if share > 0.75:
        yield Finding.note(
            "medr3.environment",
            f"{most} searches of {settings.search_tokens} tokens may fill {min(share, 1):.0%} of the response"
            f" of {data.max_response_length} tokens; the environment then shows fewer documents",
        )


def budgets(config: Any) -> Iterator[Finding]:
    """Groups, batches and steps."""
    # in verl's asynchronous mode a step draws and trains in parts
    separate = verl_mode(config) == "separate_async"
    updates = config.trainer.v1.separate_async.parameter_sync_step if separate else 1
    yield from _batches(config, updates)
    yield from _steps(config, updates)


def _batches(config: Any, updates: int) -> Iterator[Finding]:
    data, rollout, actor = config.data, config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    if rollout.n < 2 and "grpo" in str(config.algorithm.adv_estimator):
        yield Finding.error(
            "actor_rollout_ref.rollout.n", "group-relative advantages need at least 2 samples per prompt"
        )
    if 0 < data.train_max_samples < data.train_batch_size:
        yield Finding.error(
            "data.train_max_samples",
            f"{data.train_max_samples} rows are fewer than data.train_batch_size {data.train_batch_size}",
        )
    if data.train_batch_size % actor.ppo_mini_batch_size:
        yield Finding.error(
            "actor_rollout_ref.actor.ppo_mini_batch_size",
            f"{actor.ppo_mini_batch_size} does not divide data.train_batch_size {data.train_batch_size}",
        )
    tokens, sequences = rollout.max_num_batched_tokens, rollout.max_num_seqs
    if rollout.name == "vllm" and tokens is not None and sequences is not None and tokens < sequences:
        yield Finding.error(
            "actor_rollout_ref.rollout.max_num_batched_tokens",
            f"{tokens} is less than max_num_seqs {sequences}, which vLLM refuses",
        )
    correction = config.algorithm.rollout_correction
    if not rollout.calculate_log_probs and (
        correction.bypass_mode or correction.rollout_is or correction.rollout_rs
    ):
        yield Finding.error(
            "actor_rollout_ref.rollout.calculate_log_probs",
            "must be true: algorithm.rollout_correction compares with the log-probs of the rollout",
        )
    drawn = data.train_batch_size // updates
    if data.get("gen_batch_size") and drawn % data.gen_batch_size:
        yield Finding.error(
            "data.gen_batch_size",
            f"{data.gen_batch_size} does not divide the {drawn} prompts drawn at a time",
        )


def _steps(config: Any, updates: int) -> Iterator[Finding]:
    """The length of the run and of its stages, and what begins only after some steps."""
    from medr3_plugin.stages.schedule import Schedule

    data, rollout = config.data, config.actor_rollout_ref.rollout
    optimizer = config.actor_rollout_ref.actor.optim
    schedule = Schedule.from_config(section(config)["stages"])
    steps = schedule.max_steps
    warmup, critic = config.trainer.critic_warmup, needs_critic(config)
    if warmup > (steps if critic else 1):
        why = f"the run has {counted(steps, 'step')}" if critic else "there is no critic to warm up"
        yield Finding.error(
            "trainer.critic_warmup", f"{warmup}: the policy would not be trained before that step, and {why}"
        )
    longest = max(stage.until.max_steps for stage in schedule.stages) * updates
    if (optimizer.lr_warmup_steps or 0) >= longest:
        yield Finding.error(
            "actor_rollout_ref.actor.optim.lr_warmup_steps",
            f"{optimizer.lr_warmup_steps}, but no stage has more than {longest} updates: none would reach its "
            "learning rate, because the schedule restarts in each stage",
        )
    for index, stage in enumerate(schedule.stages):
        if (unmet := stage.until.never_met(max(1, config.trainer.test_freq))) is not None:
            yield Finding.note(f"medr3.stages[{index}].until", unmet)
    batch = f"{data.train_batch_size} x {rollout.n} = {data.train_batch_size * rollout.n} trajectories"
    yield Finding.note("budget", f"at most {counted(steps, 'step')} of {batch}")
    if config.trainer.test_freq > 0 and not data.val_files:
        yield Finding.error("data.val_files", "needed, because trainer.test_freq is positive")


def memory(config: Any, gpu_memory_gib: float) -> Iterator[Finding]:
    """The estimate of training and generating fits into one GPU."""
    if config.trainer.device == "cpu":
        return
    strategy = config.actor_rollout_ref.actor.strategy
    if strategy not in ("fsdp", "fsdp2"):
        yield Finding.note("memory", f"no estimate for actor.strategy={strategy}")
        return
    size = model_size(str(config.actor_rollout_ref.model.path))
    if size is None:
        yield Finding.note(
            "memory", f"no estimate: the size of {config.actor_rollout_ref.model.path} is not known"
        )
        return
    needed = estimate(config, size, gpu_memory_gib)
    parts = ", ".join(f"{name} {value:.1f}" for name, value in needed.parts.items() if value >= 0.05)
    yield Finding.note(
        "memory",
        f"estimate per GPU of {gpu_memory_gib:g} GiB: training {needed.training:.0f} GiB ({parts}), "
        f"generating {needed.generating:.0f} GiB with room for {needed.kv_tokens:,} tokens of KV cache",
    )
    for phase, value, remedy in (
        ("training", needed.training, "lower actor.ppo_max_token_len_per_gpu or offload (actor.fsdp_config)"),
        ("generating", needed.generating, "lower rollout.gpu_memory_utilization or offload"),
    ):
        if value > gpu_memory_gib:
            needs = f"{phase} needs an estimated {value:.0f} GiB, a GPU has {gpu_memory_gib:g} GiB"
            yield Finding.error("memory", f"{needs}: {remedy}")
    whole = config.data.max_prompt_length + config.data.max_response_length
    if needed.kv_tokens < whole:
        yield Finding.error(
            "actor_rollout_ref.rollout.gpu_memory_utilization",
            f"the KV cache would hold less than one trajectory ({whole} tokens)",
        )


def memory_of_this_machine(config: Any) -> Iterator[Finding]:
    """A run on this machine's CPU finds the memory it needs; a note, as other programs may end before it starts."""
    if config.trainer.device != "cpu" or (free := free_on_this_machine()) is None:
        return
    needed = least_on_cpu(config, model_size(str(config.actor_rollout_ref.model.path)))
    if free < needed:
        yield Finding(
            "note",
            FREE_MEMORY,
            f"{free:.1f} GiB are free here, but the run needs at least {needed:.0f} GiB: close other programs, or use "
            "a smaller model or fewer workers. Otherwise Ray will kill processes of the run",
        )
