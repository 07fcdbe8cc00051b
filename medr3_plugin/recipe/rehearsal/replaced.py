"""The values that a rehearsal replaces in a recipe: devices and sizes, and nothing else.

The list is shown to the user, because whatever was replaced was *not* rehearsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medr3_plugin.recipe.checks.finding import needs_critic, verl_mode

GROUP = 4
"""Samples of a question: one of each kind of `environment.scripted`."""
QUESTIONS = 4
RESPONSE = 640
DOCUMENT, SEARCH, RESERVE = 96, 192, 128
"""Tokens of a rehearsal's response, of one document in it, of one search, and of what is kept for the answer."""


class Replaced(NamedTuple):
    """One key of the configuration, its value in the recipe and in the rehearsal."""

    key: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {_short(self.was)} -> {_short(self.now)}"


def _short(value: Any) -> str:
    text = "(unset)" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def replace(config: Any, wanted: Mapping[str, Any]) -> list[Replaced]:
    """Set each key of `wanted` in `config` (an omegaconf `DictConfig`); what changed by it."""
    from omegaconf import OmegaConf, open_dict

    changed = []
    for key, now in wanted.items():
        was = OmegaConf.select(config, key, default=None)
        was = OmegaConf.to_container(was, resolve=True) if OmegaConf.is_config(was) else was
        if was != now:
            with open_dict(config):
                OmegaConf.update(config, key, now, merge=False, force_add=True)
            changed.append(Replaced(key, was, now))
    return changed


def devices(config: Any, ranks: int) -> dict[str, Any]:
    """A CPU instead of GPUs: precision, attention, memory, parallelism."""
    fp32 = {"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
    wanted: dict[str, Any] = {
        "medr3.platform": "cpu",
        "trainer.device": "cpu",
        "trainer.nnodes": 1,
        "trainer.n_gpus_per_node": ranks,
        "ray_kwargs.ray_init.num_cpus": 64,  # logical: enough for every actor that the recipe asks for
        "ray_kwargs.ray_init.num_gpus": ranks,
        "ray_kwargs.ray_init.include_dashboard": False,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
        "actor_rollout_ref.model.use_remove_padding": False,
        "actor_rollout_ref.model.use_fused_kernels": False,
        "actor_rollout_ref.model.override_config.attn_implementation": "sdpa",
        "actor_rollout_ref.rollout.dtype": "float32",
        "actor_rollout_ref.rollout.tensor_model_parallel_size": 1,
        "actor_rollout_ref.rollout.enforce_eager": True,
        "actor_rollout_ref.rollout.free_cache_engine": False,
        "actor_rollout_ref.rollout.enable_sleep_mode": False,
        "actor_rollout_ref.rollout.gpu_memory_utilization": 0.2 / ranks,
    }
    for role in ("actor", "ref"):
        own = config.actor_rollout_ref[role]
        at = f"actor_rollout_ref.{role}"
        wanted |= {
            f"{at}.use_torch_compile": False,
            f"{at}.ulysses_sequence_parallel_size": 1,
            f"{at}.fsdp_config.model_dtype": "fp32",
            f"{at}.fsdp_config.mixed_precision": fp32,
            f"{at}.fsdp_config.use_torch_compile": False,
            f"{at}.fsdp_config.ulysses_sequence_parallel_size": 1,
        }
        if own.get("strategy", "fsdp2") == "fsdp":
            wanted[f"{at}.strategy"] = "fsdp2"
    if needs_critic(config):
        wanted |= {
            "critic.strategy": "fsdp2",
            "critic.ulysses_sequence_parallel_size": 1,
            "critic.model.use_remove_padding": False,
            "critic.fsdp.model_dtype": "fp32",
            "critic.fsdp.mixed_precision": fp32,
            "critic.fsdp.use_torch_compile": False,
            "critic.fsdp.ulysses_sequence_parallel_size": 1,
        }
    for key in ("medr3.reward.encoder.device", "medr3.retrieval.search.device"):
        if _select(config, key):
            wanted[key] = "cpu"
    if verl_mode(config) == "separate_async":  # the rollout has ranks of its own
        wanted |= {
            "actor_rollout_ref.rollout.nnodes": 1,
            "actor_rollout_ref.rollout.n_gpus_per_node": 1,
            "actor_rollout_ref.rollout.checkpoint_engine.backend": "medr3_gloo",
            "actor_rollout_ref.rollout.checkpoint_engine.custom_backend_module": (
                "medr3_plugin.platform_cpu.gloo_weights"
            ),
            "ray_kwargs.ray_init.num_gpus": ranks + 1,
        }
    return wanted


def sizes(config: Any, prompt_tokens: int) -> dict[str, Any]:
    """Few and short samples; the recipe's own lengths and budgets are checked by arithmetic beforehand."""
    data, rollout, actor = config.data, config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor
    prompt = min(int(data.max_prompt_length), prompt_tokens)
    response = min(int(data.max_response_length), RESPONSE)
    # several updates a step stay several
    several = data.train_batch_size > actor.ppo_mini_batch_size
    mini = QUESTIONS // 2 if several else QUESTIONS
    wanted: dict[str, Any] = {
        "data.train_batch_size": QUESTIONS,
        "data.val_max_samples": QUESTIONS,
        "data.max_prompt_length": prompt,
        "data.max_response_length": response,
        "data.dataloader_num_workers": 0,
        "actor_rollout_ref.actor.ppo_mini_batch_size": mini,
        "actor_rollout_ref.rollout.n": GROUP,
        "actor_rollout_ref.rollout.val_kwargs.n": 1,
        "actor_rollout_ref.rollout.max_model_len": prompt + response + 16,
        "actor_rollout_ref.rollout.max_num_batched_tokens": max(2048, prompt + response + 16),
        "actor_rollout_ref.rollout.max_num_seqs": min(32, int(rollout.max_num_seqs or 32)),
        "actor_rollout_ref.rollout.agent.num_workers": min(2, int(rollout.agent.num_workers)),
        "reward.num_workers": min(2, int(config.reward.num_workers)),
    }
    if verl_mode(config) == "separate_async":
        wanted["trainer.v1.separate_async.parameter_sync_step"] = QUESTIONS // mini
    if data.get("gen_batch_size"):
        wanted["data.gen_batch_size"] = QUESTIONS
    for key in (
        "critic.ppo_mini_batch_size",
        "critic.ppo_micro_batch_size_per_gpu",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu",
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu",
    ):
        part, _, name = key.rpartition(".")
        if (_select(config, part) or {}).get(name):
            wanted[key] = mini if name == "ppo_mini_batch_size" else 1
    environment = config.medr3.get("environment") or {}
    for name, most in (("document_tokens", DOCUMENT), ("search_tokens", SEARCH), ("answer_reserve", RESERVE)):
        if (environment.get(name) or 0) > most:
            wanted[f"medr3.environment.{name}"] = most
    overlong = _select(config, "medr3.reward.penalties.overlong") or {}
    if (overlong.get("max_tokens") or 0) > response:
        wanted["medr3.reward.penalties.overlong.max_tokens"] = response
        wanted["medr3.reward.penalties.overlong.buffer"] = response // 4
    return wanted


def schedule(config: Any, run_dir: Path) -> dict[str, Any]:
    """Each stage one step (two, if it is the only one), with hand-overs, validation and a checkpoint a step."""
    from omegaconf import OmegaConf

    stages: list[dict[str, Any]] = OmegaConf.to_container(config.medr3.stages, resolve=True)  # type: ignore[assignment]
    steps = 2 if len(stages) == 1 else 1
    return {
        "medr3.stages": [{**stage, "until": {"max_steps": steps}} for stage in stages],
        "medr3.run_dir": str(run_dir),
        "medr3.trajectories_per_step": QUESTIONS * GROUP,
        "medr3.validate_at_handover": True,
        "medr3.checkpoint_at_handover": True,
        "trainer.default_local_dir": str(run_dir / "checkpoints"),
        "trainer.default_hdfs_dir": None,
        "trainer.total_training_steps": None,
        "trainer.logger": ["console"],
        "trainer.val_before_train": False,
        "trainer.test_freq": -1,
        "trainer.save_freq": 1,
        "trainer.resume_mode": "auto",
        "trainer.critic_warmup": 0,
        "actor_rollout_ref.actor.optim.lr_warmup_steps": -1,
    }


def scripted(config: Any, file: Path) -> dict[str, Any]:
    """The agent loops of `environment.scripted` under the names of the real ones, listed in `file`."""
    from omegaconf import OmegaConf

    from medr3_plugin.registered_names import AGENT_LOOP, TOOL_LOOP

    place = "medr3_plugin.environment.scripted"
    loops = {AGENT_LOOP: f"{place}.ScriptedSearchLoop", TOOL_LOOP: f"{place}.ScriptedToolLoop"}
    listed: list[Any] = [{"name": name, "_target_": target} for name, target in loops.items()]
    given = config.actor_rollout_ref.rollout.agent.agent_loop_config_path
    if given:  # the user's own loops stay
        own: Sequence[Any] = OmegaConf.to_container(OmegaConf.load(given), resolve=True)  # type: ignore[assignment]
        listed = [*own, *listed]
    OmegaConf.save(OmegaConf.create(listed), file)
    return {"actor_rollout_ref.rollout.agent.agent_loop_config_path": str(file)}


def _select(config: Any, key: str) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.select(config, key, default=None)
