"""Divisibility of GPUs, heads, mini- and micro-batches, which verl and vLLM would assert only hours later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medr3_plugin.recipe.checks.finding import Finding, verl_mode
from medr3_plugin.recipe.memory import model_size, sequence_parallel

_FLASH = "flash_attention"
_SEQUENCE = "actor_rollout_ref.actor.ulysses_sequence_parallel_size"


def divisions(config: Any) -> Iterator[Finding]:
    """Tensor and sequence parallelism fit the GPUs and the model, and batches the data-parallel ranks."""
    rollout, actor = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    gpus = config.trainer.nnodes * config.trainer.n_gpus_per_node
    tensor, sequence = rollout.tensor_model_parallel_size, sequence_parallel(actor)
    if config.trainer.n_gpus_per_node % tensor:
        yield Finding.error(
            "actor_rollout_ref.rollout.tensor_model_parallel_size", "does not divide trainer.n_gpus_per_node"
        )
    size = model_size(str(config.actor_rollout_ref.model.path))
    if size is not None and size.heads % tensor:
        yield Finding.error(
            "actor_rollout_ref.rollout.tensor_model_parallel_size",
            f"{tensor} does not divide the model's {size.heads} attention heads",
        )
    judge = config.reward.reward_model
    if judge.enable and judge.n_gpus_per_node * judge.nnodes % judge.rollout.tensor_model_parallel_size:
        yield Finding.error(
            "reward.reward_model.rollout.tensor_model_parallel_size",
            f"does not divide the judge's {judge.n_gpus_per_node * judge.nnodes} GPUs",
        )
    if actor.strategy not in ("fsdp", "fsdp2"):
        return
    if gpus % sequence:
        yield Finding.error(_SEQUENCE, f"{sequence} does not divide the {gpus} GPUs")
        return
    shards = actor.fsdp_config.fsdp_size
    if shards == 0 or (0 < shards < gpus and gpus % shards):
        yield Finding.error(
            "actor_rollout_ref.actor.fsdp_config.fsdp_size",
            f"{shards} does not divide the {gpus} GPUs; -1 takes all",
        )
    if sequence > 1:
        yield from _sequence_parallel(config, size, sequence)
    yield from _batches(config, gpus // sequence)


def separate(config: Any) -> Iterator[Finding]:
    """What verl's mode `separate_async` asserts when it starts, and the transport of the weights."""
    if verl_mode(config) != "separate_async":
        return
    rollout, actor = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    for key in ("nnodes", "n_gpus_per_node"):
        if rollout[key] < 1:
            where = f"actor_rollout_ref.rollout.{key}"
            yield Finding.error(where, "must be at least 1: in separate_async the rollout has its own GPUs")
    steps = config.trainer.v1.separate_async.parameter_sync_step
    if config.data.train_batch_size != steps * actor.ppo_mini_batch_size:
        yield Finding.error(
            "trainer.v1.separate_async.parameter_sync_step",
            f"{steps} x ppo_mini_batch_size {actor.ppo_mini_batch_size} must be data.train_batch_size "
            f"{config.data.train_batch_size}",
        )
    engine = rollout.checkpoint_engine
    key = "actor_rollout_ref.rollout.checkpoint_engine.backend"
    if engine.backend == "naive":
        yield Finding.error(
            key, "naive sends nothing to other GPUs: use nccl or another of verl's transports"
        )


def transport(config: Any) -> Iterator[Finding]:
    """verl knows the transport of the weights; it looks it up in every mode."""
    engine = config.actor_rollout_ref.rollout.checkpoint_engine
    key = "actor_rollout_ref.rollout.checkpoint_engine.backend"
    from verl.checkpoint_engine import CheckpointEngineRegistry
    from verl.utils.import_utils import import_external_libs

    try:
        import_external_libs(engine.custom_backend_module or None)
        CheckpointEngineRegistry.get(engine.backend)
    except (ImportError, ValueError) as error:
        yield Finding.missing(key, " ".join(str(error).split()))


def _sequence_parallel(config: Any, size: Any, sequence: int) -> Iterator[Finding]:
    if size is not None and (
        size.heads % sequence or (size.kv_heads % sequence and sequence % size.kv_heads)
    ):
        yield Finding.error(
            _SEQUENCE,
            f"{sequence} does not fit the model's {size.heads} attention and {size.kv_heads} key-value heads",
        )
    attention = str(config.actor_rollout_ref.model.override_config.get("attn_implementation", f"{_FLASH}_2"))
    if _FLASH not in attention:
        yield Finding.error(
            "actor_rollout_ref.model.override_config.attn_implementation",
            f"{attention!r} with ulysses_sequence_parallel_size={sequence}: verl gathers the pieces of a sequence only "
            "in flash attention; with any other, each GPU would attend to its own piece alone. Use "
            "flash_attention_2, or set the size to 1",
        )


def _batches(config: Any, ranks: int) -> Iterator[Finding]:
    """Samples of a mini-batch over the data-parallel ranks, and of a rank over its micro-batches."""
    rollout, actor = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    samples = actor.ppo_mini_batch_size * rollout.n
    if samples % ranks:
        yield Finding.error(
            "actor_rollout_ref.actor.ppo_mini_batch_size",
            f"{actor.ppo_mini_batch_size} x rollout.n {rollout.n} = {samples} samples do not divide evenly among "
            f"{ranks} data-parallel ranks (GPUs / ulysses_sequence_parallel_size)",
        )
    # on the CPU a micro-batch is the most that fits, see platform_cpu
    elif not actor.use_dynamic_bsz and config.trainer.device != "cpu":
        for key, of_rank, micro in (
            ("actor.ppo_micro_batch_size_per_gpu", samples // ranks, actor.ppo_micro_batch_size_per_gpu),
            (
                "rollout.log_prob_micro_batch_size_per_gpu",
                config.data.train_batch_size * rollout.n // ranks,
                rollout.log_prob_micro_batch_size_per_gpu,
            ),
        ):
            if micro and of_rank % micro:
                yield Finding.error(
                    f"actor_rollout_ref.{key}",
                    f"{micro} does not divide the {of_rank} samples of one GPU (or of one sequence-parallel group)",
                )
