"""Values that verl, torch, transformers or vLLM look up when they are about to use them, minutes after a start."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from medr3_plugin.recipe.checks.finding import Finding

_KL = ("kl", "k1", "abs", "mse", "k2", "low_var_kl", "k3", "full")

_CHOICES: dict[str, Sequence[str]] = {
    "medr3.platform": ("cpu",),
    "trainer.device": ("cuda", "cpu", "npu"),
    "trainer.resume_mode": ("auto", "disable", "resume_path"),
    "data.truncation": ("error", "left", "right", "middle"),
    "algorithm.kl_ctrl.type": ("fixed", "adaptive"),
    "algorithm.kl_penalty": (*_KL, *(f"{name}+" for name in _KL)),
    "actor_rollout_ref.actor.kl_loss_type": (*_KL, *(f"{name}+" for name in _KL)),
    "actor_rollout_ref.actor.strategy": ("fsdp", "fsdp2", "megatron", "veomni", "torchtitan"),
    "actor_rollout_ref.actor.optim.lr_scheduler_type": (
        "constant",
        "cosine",
        "linear",
        "inverse-square-root",
    ),
    "actor_rollout_ref.rollout.name": ("vllm", "sglang", "trtllm"),
    "actor_rollout_ref.rollout.dtype": ("auto", "half", "float16", "bfloat16", "float", "float32"),
}

_RANGES: dict[str, tuple[float, float]] = {
    "actor_rollout_ref.actor.optim.lr": (1e-12, 10.0),
    "actor_rollout_ref.model.lora_rank": (0, 65536),
    "actor_rollout_ref.rollout.gpu_memory_utilization": (0.01, 1.0),
    "actor_rollout_ref.rollout.temperature": (0.0, 100.0),
    "actor_rollout_ref.rollout.top_p": (1e-6, 1.0),
    "actor_rollout_ref.rollout.val_kwargs.n": (1, 4096),
}


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
    for key, check in _LOOKED_UP.items():
        value = OmegaConf.select(config, key)
        if value is not None and (wrong := check(key, value, config)) is not None:
            yield wrong


def _unknown(key: str, value: Any, allowed: Sequence[str]) -> Finding:
    close = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return Finding.error(key, f"{value!r}: expected {', '.join(allowed)}{hint}")


def _device(key: str, value: Any, _config: Any) -> Finding | None:
    import torch

    try:
        torch.device(value)
    except (RuntimeError, TypeError):
        return Finding.error(key, f"{value!r} is no device of torch: cpu, cuda, cuda:0, ...")
    return None


def _precision(key: str, value: Any, _config: Any) -> Finding | None:
    from verl.utils.torch_dtypes import PrecisionType

    try:
        PrecisionType.to_dtype(value)
    except RuntimeError:
        return _unknown(key, value, ("fp32", "bf16", "fp16"))
    return None


def _attention(key: str, value: Any, _config: Any) -> Finding | None:
    from transformers import AttentionInterface

    known = ["eager", *AttentionInterface().valid_keys()]
    return None if value in known or "/" in str(value) else _unknown(key, value, known)


def _loss(key: str, value: Any, _config: Any) -> Finding | None:
    from verl.trainer.ppo.core_algos import POLICY_LOSS_REGISTRY

    return None if value in POLICY_LOSS_REGISTRY else _unknown(key, value, sorted(POLICY_LOSS_REGISTRY))


def _optimizer(key: str, value: Any, config: Any) -> Finding | None:
    actor = config.actor_rollout_ref.actor
    if actor.strategy not in ("fsdp", "fsdp2"):
        return None
    place = actor.optim.get("optimizer_impl") or "torch.optim"
    try:
        module = importlib.import_module(place)
    except ImportError as error:
        return Finding.missing(key.replace("optimizer", "optimizer_impl"), f"{place}: {error}")
    return (
        None if hasattr(module, value) else _unknown(key, value, [n for n in dir(module) if n[0].isupper()])
    )


_LOOKED_UP: dict[str, Callable[[str, Any, Any], Finding | None]] = {
    "medr3.reward.encoder.device": _device,
    "medr3.retrieval.search.device": _device,
    "actor_rollout_ref.actor.fsdp_config.model_dtype": _precision,
    "actor_rollout_ref.actor.optim.optimizer": _optimizer,
    "actor_rollout_ref.actor.policy_loss.loss_mode": _loss,
    "actor_rollout_ref.model.override_config.attn_implementation": _attention,
}
