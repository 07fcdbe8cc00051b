"""Values that verl, torch, transformers or vLLM look up when they are about to use them, minutes after a start."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medr3_plugin.errors import did_you_mean
from medr3_plugin.recipe.checks.finding import Finding, section
from medr3_plugin.recipe.checks.forms import verl_defaults
from medr3_plugin.stages.schedule import MOST_TEMPERATURE
from medr3_plugin.yaml_section import as_list

_KL = "kl k1 abs mse k2 low_var_kl k3 full"
_SIGNED_KL = f"{_KL} {' '.join(f'{name}+' for name in _KL.split())}"
_CHOICES = {
    key: words.split()
    for key, words in {
        "medr3.platform": "cpu",
        "trainer.device": "cuda cpu npu",
        "trainer.resume_mode": "auto disable resume_path",
        "data.truncation": "error left right middle",
        "algorithm.kl_ctrl.type": "fixed adaptive",
        "algorithm.kl_penalty": _SIGNED_KL,
        "actor_rollout_ref.actor.kl_loss_type": _SIGNED_KL,
        "actor_rollout_ref.actor.strategy": "fsdp fsdp2 megatron veomni torchtitan",
        "actor_rollout_ref.actor.optim.lr_scheduler_type": "constant cosine linear inverse-square-root",
        "actor_rollout_ref.rollout.name": "vllm sglang trtllm",
        "actor_rollout_ref.rollout.dtype": "auto half float16 bfloat16 float float32",
        "actor_rollout_ref.rollout.quantization": "fp8 torchao ascend",
        "actor_rollout_ref.rollout.scheduling_policy": "fcfs priority",
        "actor_rollout_ref.rollout.logprobs_mode": "raw_logits raw_logprobs processed_logits processed_logprobs",
        "actor_rollout_ref.rollout.load_format": "auto dummy safetensors pt hf npcache mistral bitsandbytes "
        "fastsafetensors instanttensor modelexpress runai_streamer runai_streamer_sharded sharded_state tensorizer",
        "transfer_queue.backend.storage_backend": "SimpleStorage MooncakeStore RayStore Yuanrong",
        "algorithm.rollout_correction.rollout_is": "token sequence",
        "algorithm.rollout_correction.loss_type": "ppo_clip reinforce",
    }.items()
}

_RANGES: dict[str, tuple[float, float]] = {
    "actor_rollout_ref.actor.optim.lr": (1e-12, 10.0),
    "actor_rollout_ref.actor.optim.clip_grad": (1e-9, math.inf),
    "actor_rollout_ref.actor.optim.lr_warmup_steps_ratio": (0.0, 1.0),
    "actor_rollout_ref.actor.clip_ratio_low": (0.0, math.inf),
    "actor_rollout_ref.actor.clip_ratio_high": (0.0, math.inf),
    "actor_rollout_ref.actor.clip_ratio_c": (1.000001, math.inf),
    "algorithm.gamma": (0.0, 1.0),
    "algorithm.lam": (0.0, 1.0),
    "actor_rollout_ref.model.lora_rank": (0, 65536),
    "actor_rollout_ref.rollout.gpu_memory_utilization": (0.01, 1.0),
    "actor_rollout_ref.rollout.temperature": (0.01, MOST_TEMPERATURE),
    "actor_rollout_ref.rollout.top_p": (1e-6, 1.0),
    "actor_rollout_ref.rollout.top_k": (-1, math.inf),
    "actor_rollout_ref.rollout.repetition_penalty": (1e-6, math.inf),
    "actor_rollout_ref.rollout.val_kwargs.temperature": (0.0, MOST_TEMPERATURE),
    "actor_rollout_ref.rollout.val_kwargs.top_p": (1e-6, 1.0),
    "actor_rollout_ref.rollout.val_kwargs.top_k": (-1, math.inf),
    "actor_rollout_ref.rollout.val_kwargs.n": (1, 4096),
}


UNREAD = {
    "actor_rollout_ref.actor.grad_clip": "actor_rollout_ref.actor.optim.clip_grad",
    "actor_rollout_ref.actor.freeze_vision_tower": "",
    "actor_rollout_ref.rollout.over_sample_rate": "",
    "actor_rollout_ref.rollout.multi_turn.num_repeat_rollouts": "",
    "critic.grad_clip": "critic.optim.clip_grad",
    "data.return_raw_input_ids": "",
}
"""Keys that nothing in verl 0.9.1 reads -> what it reads instead, if anything."""

_SAME = {
    "actor_rollout_ref.rollout.prompt_length": "data.max_prompt_length",
    "actor_rollout_ref.rollout.response_length": "data.max_response_length",
    "actor_rollout_ref.actor.rollout_n": "actor_rollout_ref.rollout.n",
}
"""Keys that verl copies from others, and that must not differ from them."""

_CONTENTS = ("model", "optimizer", "extra", "hf_model")


def choices(config: Any) -> Iterator[Finding]:
    """Names and numbers that the code reading them would refuse."""
    from omegaconf import OmegaConf

    for key, allowed in _CHOICES.items():
        value = OmegaConf.select(config, key)
        if value is not None and value not in allowed:
            yield _unknown(key, value, allowed)
    for key, (least, most) in _RANGES.items():
        number = OmegaConf.select(config, key)
        if number is not None and not least <= number <= most:
            yield Finding.error(key, f"{number} is out of range: {least:g} to {most:g}")
    for key, other in _SAME.items():
        value, wanted = OmegaConf.select(config, key), OmegaConf.select(config, other)
        if value is not None and value != wanted:
            yield Finding.error(key, f"{value} is not {other} ({wanted}): set that key alone")
    usual = OmegaConf.create(verl_defaults(str(config.model_engine)))
    for key, other in UNREAD.items():
        if OmegaConf.select(config, key) not in (None, OmegaConf.select(usual, key)):
            yield Finding.error(key, "nothing in verl reads it" + (f"; set {other}" if other else ""))
    if config.trainer.default_hdfs_dir and config.actor_rollout_ref.actor.strategy in ("fsdp", "fsdp2"):
        yield Finding.error(
            "trainer.default_hdfs_dir", "verl's FSDP engines do not copy checkpoints there: leave it null"
        )
    yield from _clipping(config.actor_rollout_ref.actor)
    yield from _start_of_ray(config.ray_kwargs.ray_init)
    yield from _contents(config)
    for key, check in _LOOKED_UP.items():
        value = OmegaConf.select(config, key)
        if value is not None and (wrong := check(key, value, config)) is not None:
            yield wrong


def _clipping(actor: Any) -> Iterator[Finding]:
    low, high = actor.clip_ratio_low, actor.clip_ratio_high
    unread = actor.policy_loss.loss_mode == "vanilla" and low is not None and high is not None
    if unread and actor.clip_ratio not in (0.2, low, high):  # 0.2: verl's own
        yield Finding.error(
            "actor_rollout_ref.actor.clip_ratio",
            f"{actor.clip_ratio} is not read: clip_ratio_low ({low}) and clip_ratio_high ({high}) take precedence",
        )


def _start_of_ray(options: Any) -> Iterator[Finding]:
    import ray

    known = [
        name for name, kind in inspect.signature(ray.init).parameters.items() if kind.kind != kind.VAR_KEYWORD
    ]
    for key in options:
        if key not in known and not key.startswith("_"):
            yield _unknown(f"ray_kwargs.ray_init.{key}", key, known)


def _contents(config: Any) -> Iterator[Finding]:
    """What checkpoints hold, and what a resumed run reads of them."""
    if config.trainer.save_freq < 1 and not section(config).get("checkpoint_at_handover", True):
        return
    checkpoint = config.actor_rollout_ref.actor.checkpoint
    saved, loaded = as_list(checkpoint.save_contents), as_list(checkpoint.load_contents)
    for name, contents in (("save_contents", saved), ("load_contents", loaded)):
        key = f"actor_rollout_ref.actor.checkpoint.{name}"
        if unknown := [part for part in contents if part not in _CONTENTS]:
            yield _unknown(key, unknown[0], _CONTENTS)
        elif "model" not in contents:
            yield Finding.error(key, "lacks model: a resumed run would start again from the initial weights")
    if absent := [part for part in loaded if part not in saved]:
        key = "actor_rollout_ref.actor.checkpoint.load_contents"
        yield Finding.error(key, f"{absent[0]} is not saved, so a run could not be resumed")


def _unknown(key: str, value: Any, allowed: Sequence[str]) -> Finding:
    return Finding.error(key, f"{value!r}: expected {', '.join(allowed)}{did_you_mean(value, allowed)}")


def _device(key: str, value: Any, _config: Any) -> Finding | None:
    import torch

    try:
        torch.device(value)
    except (RuntimeError, TypeError):
        return Finding.error(key, f"{value!r} is not a device of torch such as cpu, cuda or cuda:0")
    return None


def _precision(key: str, value: Any, _config: Any) -> Finding | None:
    from verl.utils.torch_dtypes import PrecisionType

    try:
        PrecisionType.to_dtype(value)
    except RuntimeError:
        return _unknown(key, value, ("fp32", "bf16", "fp16"))
    return None


_KINDS = ("param", "reduce", "buffer")
_LOOKED_UP: dict[str, Callable[[str, Any, Any], Finding | None]] = {
    "medr3.reward.encoder.device": _device,
    "medr3.retrieval.search.device": _device,
    "actor_rollout_ref.actor.fsdp_config.model_dtype": _precision,
    **{f"actor_rollout_ref.actor.fsdp_config.mixed_precision.{kind}_dtype": _precision for kind in _KINDS},
}
