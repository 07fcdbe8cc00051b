"""How much GPU memory a recipe will need, by arithmetic. An estimate, not a measurement.

verl's hybrid engine uses a GPU for two things in turn: vLLM generates (weights, KV cache), sleeps and frees
its memory, then FSDP trains. The larger of the two phases, plus what stays resident in both, must fit.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

_GIB = 2**30
_OVERHEAD_GIB = 5.0
"""CUDA context, NCCL buffers, fragmentation, CUDA graphs: typical, not derived."""


class ModelSize(NamedTuple):
    """Dimensions that memory and parallelism depend on; `kv_width` is key-value heads x head size."""

    parameters: float
    hidden: int
    layers: int
    vocabulary: int
    kv_width: int
    heads: int
    kv_heads: int
    positions: int | None


class Estimate(NamedTuple):
    """GiB on each GPU while training and while generating, and the tokens whose KV cache then fits."""

    training: float
    generating: float
    kv_tokens: int
    parts: Mapping[str, float]


_PUBLISHED = Path(__file__).with_name("published_models.json")
"""Configurations of the models that shipped recipes name, in Hugging Face's form; positions are the base model's."""


def model_size(path: str) -> ModelSize | None:
    """Dimensions of a model: from `config.json` of a local folder, else for well-known hub names.

    None when neither knows it, or the file cannot be read.
    """
    config_file = Path(path).expanduser() / "config.json"
    if config_file.is_file():
        try:
            return _from_config(json.loads(config_file.read_text(encoding="utf-8")))
        except (ValueError, OSError):
            return None
    published = published_config(path)
    return _from_config(published) if published else None


def published_config(path: str) -> dict[str, Any] | None:
    """The configuration of a well-known hub name (`Qwen/Qwen2.5-7B-Instruct` is `qwen2.5-7b`); None for any other."""
    last = path.rstrip("/").rpartition("/")[2].lower()
    family_and_size = re.sub(r"-(instruct|base)\b.*$", "", last).replace("meta-", "")
    found: dict[str, Any] | None = json.loads(_PUBLISHED.read_text(encoding="utf-8")).get(family_and_size)
    return found


def _from_config(config: Mapping[str, Any]) -> ModelSize | None:
    """Parameters of a llama-shaped decoder: attention, gated MLP, embeddings (norms and biases neglected)."""
    try:
        keys = ("hidden_size", "num_hidden_layers", "vocab_size")
        hidden, layers, vocabulary = (int(config[key]) for key in keys)
        heads = int(config["num_attention_heads"])
        head = int(config.get("head_dim") or hidden // heads)
        kv_heads = int(config.get("num_key_value_heads") or heads)
        kv_width = kv_heads * head
        positions = config.get("max_position_embeddings")
        layer = (
            2 * hidden * heads * head + 2 * hidden * kv_width + 3 * hidden * int(config["intermediate_size"])
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return ModelSize(
        layers * layer + embeddings, hidden, layers, vocabulary, kv_width, heads, kv_heads, positions
    )


def sequence_parallel(actor: Any) -> int:
    """GPUs that share one sequence; verl takes the engine's own key where the actor's is 1."""
    own = int(actor.get("ulysses_sequence_parallel_size", 1))
    return own if own > 1 else int((actor.get("fsdp_config") or {}).get("ulysses_sequence_parallel_size", 1))


def estimate(config: Any, size: ModelSize, gpu_memory_gib: float) -> Estimate:
    """Memory of each GPU for a composed verl configuration.

    Training: master weights, gradients and Adam moments in fp32 (4 + 4 + 8 bytes per parameter), sharded over
    all GPUs; with LoRA only the frozen weights count. Two layers' weights gathered in bf16. Activations with
    gradient checkpointing: one bf16 hidden state per layer and token. Logits, unless fused kernels avoid them:
    at most 8 bytes each, bf16 and the three bf16 copies of the entropy (old log-probabilities); the update
    itself holds 2 with flash-attn, which writes the gradient in place, and 6 without. The one layer that is
    being recomputed (about 60 bytes per hidden unit and token) comes after the logits are gone. Offloading moves
    the sharded state to the host between the phases, not during the update.

    Tokens on a GPU: `ppo_max_token_len_per_gpu`, whatever the sequence parallelism: verl packs a micro-batch
    of that many times `ulysses_sequence_parallel_size` and splits it.

    Generating: `gpu_memory_utilization` of the card for vLLM, plus the sharded weights (they stay, or come
    back while a checkpoint is written, which happens when vLLM is awake) and the optimizer's if it stays.
    """
    actor, rollout, model = (config.actor_rollout_ref[key] for key in ("actor", "rollout", "model"))
    gpus = int(config.trainer.nnodes) * int(config.trainer.n_gpus_per_node)
    fsdp = actor.fsdp_config
    lora = int(model.get("lora_rank", 0) or 0) > 0
    weight_bytes = 2 if str(fsdp.get("model_dtype", "fp32")) in ("bf16", "bfloat16") else 4
    state = size.parameters * (weight_bytes if lora else weight_bytes * 2 + 8) / gpus
    if actor.use_dynamic_bsz:
        tokens = float(actor.ppo_max_token_len_per_gpu)
    else:
        whole = int(config.data.max_prompt_length) + int(config.data.max_response_length)
        tokens = whole * int(actor.ppo_micro_batch_size_per_gpu or 1) / sequence_parallel(actor)
    # without checkpointing 34 bytes per hidden unit (Korthikanti 2022)
    per_token_layers = 1 if model.enable_gradient_checkpointing else 17
    parts = {
        "weights, gradients, optimizer": state / _GIB,
        "gathered layers": 2 * 2 * (size.parameters / size.layers) / _GIB,
        "activations": tokens * size.hidden * size.layers * 2 * per_token_layers / _GIB,
        "logits": 0.0 if model.use_fused_kernels else tokens * size.vocabulary * 8 / _GIB,
        "overhead": _OVERHEAD_GIB,
    }
    resident = size.parameters * weight_bytes / gpus / _GIB
    resident += 0.0 if fsdp.optimizer_offload or lora else size.parameters * 8 / gpus / _GIB
    vllm = float(rollout.gpu_memory_utilization) * gpu_memory_gib
    tensor_parallel = int(rollout.tensor_model_parallel_size)
    # 3: vLLM's own activations and graphs
    kv_cache = vllm - size.parameters * 2 / tensor_parallel / _GIB - 3.0
    kv_bytes = 2 * 2 * size.kv_width * size.layers / tensor_parallel
    return Estimate(
        training=sum(parts.values()),
        generating=vllm + resident + _OVERHEAD_GIB / 2,
        kv_tokens=max(0, int(kv_cache * _GIB / kv_bytes)),
        parts=parts,
    )


def least_on_cpu(config: Any, size: ModelSize | None) -> float:
    """GiB that a run on a CPU needs at the least, all of its processes together.

    What each process's libraries take, 1 GiB of KV cache per rank, and 20 bytes per parameter of the model: weights,
    gradients and Adam moments in fp32, and the rollout's weights. The CPU recipe with SmolLM2-135M was seen
    to need 12 to 13 GiB, of which this finds 8.
    """
    ranks = int(config.trainer.nnodes) * int(config.trainer.n_gpus_per_node)
    workers = int(config.actor_rollout_ref.rollout.agent.num_workers) + int(config.reward.num_workers)
    processes = 2 + 4 * ranks + workers  # the trainer and its driver; of a rank the actor and three of vLLM
    model = 0.0 if size is None else size.parameters * 20 / _GIB
    return 0.6 * processes + ranks + model


def free_on_this_machine() -> float | None:
    """GiB that new processes can have here; None if that is not known."""
    try:
        import psutil
    except ImportError:
        return None
    free = float(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # a container may have less
        free = min(free, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return free / _GIB
