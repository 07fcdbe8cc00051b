"""The recipe `one_gpu_1_5b` in minutes: its own device settings, with little data and, unless told otherwise, a tiny
model of its architecture."""

from __future__ import annotations

import os
from pathlib import Path

RECIPE = "one_gpu_1_5b"
STAGES, STEPS = ("reasoning", "retrieval", "joint"), 2
LORA = (
    "actor_rollout_ref.model.lora_rank=8",
    "actor_rollout_ref.model.lora_alpha=16",
    "actor_rollout_ref.rollout.load_format=safetensors",
    "actor_rollout_ref.actor.optim.lr=2.0e-5",
)


def overrides(folder: Path) -> list[str]:
    """Write data, index and vocabulary, and a model unless MEDR3_GPU_MODEL names one; the overrides that use them."""
    from medr3_plugin.recipe.rehearsal import stand_ins
    from medr3_plugin.recipe.rehearsal.tiny_model import build_tiny_model

    data = stand_ins.write_data(folder, "search")
    stand_ins.write_index(folder)
    stand_ins.write_vocabulary(folder)
    model = os.environ.get("MEDR3_GPU_MODEL") or tiny(build_tiny_model, folder)
    stages = ", ".join(f"{{name: {name}, until: {{max_steps: {STEPS}}}}}" for name in STAGES)
    return [
        f"paths.data={folder}",
        f"paths.model={model}",
        f"data.val_files={data}",
        "data.train_batch_size=4",
        "data.max_response_length=512",
        "medr3.environment={search_tokens: 192, document_tokens: 64, answer_reserve: 96}",
        "medr3.trajectories_per_step=16",
        "medr3.reward.encoder.path=null",
        "medr3.reward.penalties.overlong={max_tokens: 512, buffer: 128}",
        f"medr3.stages=[{stages}]",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        "actor_rollout_ref.rollout.n=4",
        "actor_rollout_ref.rollout.max_model_len=2064",
        "trainer.val_before_train=false",
        f"trainer.test_freq={STEPS}",
        f"trainer.save_freq={STEPS}",
    ]


def tiny(build_tiny_model, folder: Path) -> Path:
    from medr3_plugin.recipe.rehearsal.stand_ins import rows

    texts = [f"{row['question']} {row['text']}" for row in rows()]
    return build_tiny_model(
        "Qwen/Qwen2.5-1.5B-Instruct", folder / "model", texts=texts, stand_ins=True
    ).folder
