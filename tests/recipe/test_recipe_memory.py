"""The memory arithmetic against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medr3_plugin.recipe.memory import ModelSize, estimate, model_size

GIB = 2**30


class Section(SimpleNamespace):
    """As much of an omegaconf section as the arithmetic reads."""

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)

    def get(self, key: str, default: Any = None) -> Any:
        return getattr(self, key, default)


def config(**changes: Any) -> Section:
    values = {"gpus": 8, "tokens": 8192, "offload": True, "lora": 0, "fused": False, "util": 0.5}
    values |= {"dynamic": True, "micro": None, "dtype": "fp32"} | changes
    return Section(
        data=Section(max_prompt_length=1024, max_response_length=3072),
        trainer=Section(nnodes=1, n_gpus_per_node=values["gpus"]),
        actor_rollout_ref=Section(
            model=Section(
                lora_rank=values["lora"],
                enable_gradient_checkpointing=True,
                use_fused_kernels=values["fused"],
            ),
            actor=Section(
                fsdp_config=Section(
                    param_offload=values["offload"],
                    optimizer_offload=values["offload"],
                    model_dtype=values["dtype"],
                ),
                use_dynamic_bsz=values["dynamic"],
                ppo_max_token_len_per_gpu=values["tokens"],
                ppo_micro_batch_size_per_gpu=values["micro"],
                ulysses_sequence_parallel_size=2,
            ),
            rollout=Section(gpu_memory_utilization=values["util"], tensor_model_parallel_size=2),
        ),
    )


@pytest.fixture
def size() -> ModelSize:
    found = model_size("Qwen/Qwen2.5-7B")
    assert found is not None
    return found


def test_known_hub_names() -> None:
    for name in ("Qwen/Qwen2.5-7B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct", "Qwen/Qwen3-8B"):
        size = model_size(name)
        assert size is not None and size.parameters > 7e9, name
    assert model_size("somebody/unknown-7B") is None


def test_size_from_a_config_file(tmp_path: Path) -> None:
    # SmolLM2-135M: 134.5 million parameters
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "hidden_size": 576,
                "num_hidden_layers": 30,
                "vocab_size": 49152,
                "num_attention_heads": 9,
                "num_key_value_heads": 3,
                "intermediate_size": 1536,
                "tie_word_embeddings": True,
            }
        )
    )
    size = model_size(str(tmp_path))
    assert size is not None
    assert size.parameters == pytest.approx(134.5e6, rel=0.001)
    assert (size.kv_width, size.heads, size.kv_heads, size.positions) == (192, 9, 3, None)


def test_parts_by_hand(size: ModelSize) -> None:
    parts = estimate(config(), size, 80).parts
    assert parts["weights, gradients, optimizer"] == pytest.approx(7.62e9 * 16 / 8 / GIB, rel=0.001)
    # verl packs tokens x sequence parallelism and splits that, so each GPU holds the limit itself
    assert parts["logits"] == pytest.approx(8192 * 152_064 * 8 / GIB)
    assert parts["activations"] == pytest.approx(8192 * 3584 * 28 * 2 / GIB)
    # a micro-batch counted in trajectories is split among the two GPUs
    parts = estimate(config(dynamic=False, micro=3), size, 80).parts
    assert parts["activations"] == pytest.approx(3 * 4096 / 2 * 3584 * 28 * 2 / GIB)


def test_lora_freezes_weights_in_the_dtype_they_are_loaded_in(size: ModelSize) -> None:
    state = "weights, gradients, optimizer"
    assert estimate(config(lora=32), size, 80).parts[state] == pytest.approx(7.62e9 * 4 / 8 / GIB, rel=0.001)
    assert estimate(config(lora=32, dtype="bf16"), size, 80).parts[state] == pytest.approx(
        7.62e9 * 2 / 8 / GIB, rel=0.001
    )


def test_a_checkpoint_is_written_while_vllm_is_awake(size: ModelSize) -> None:
    assert estimate(config(offload=True), size, 80).generating == pytest.approx(
        40 + 7.62e9 * 4 / 8 / GIB + 2.5, rel=0.001
    )


def test_verl_packs_the_limit_times_the_sequence_parallelism() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("verl")
    from tensordict import TensorDict
    from verl.utils import tensordict_utils as tu
    from verl.workers.engine.utils import prepare_micro_batches

    ids = torch.nested.as_nested_tensor([torch.zeros(100, dtype=torch.long)] * 4, layout=torch.jagged)
    data = TensorDict({"input_ids": ids}, batch_size=4)
    tu.assign_non_tensor(data, use_dynamic_bsz=True, max_token_len_per_gpu=100, sp_size=2)
    batches, _ = prepare_micro_batches(data)
    assert [len(batch) for batch in batches] == [2, 2]  # 200 tokens for two GPUs, 100 on each


def test_what_saves_memory_lowers_the_estimate(size: ModelSize) -> None:
    base = estimate(config(), size, 80)
    assert estimate(config(gpus=16), size, 80).training < base.training
    assert estimate(config(lora=32), size, 80).training < base.training
    assert estimate(config(fused=True), size, 80).training < base.training
    assert estimate(config(tokens=4096), size, 80).training < base.training
    assert estimate(config(offload=False), size, 80).generating > base.generating
    assert estimate(config(util=0.8), size, 80).kv_tokens > base.kv_tokens


def test_too_little_memory_is_said_before_a_run_on_this_machine(monkeypatch):
    pytest.importorskip("verl")
    from medr3_plugin.recipe.checks import sizes
    from medr3_plugin.recipe.shipped import compose, find_recipe

    config = compose(find_recipe("medr3_cpu"), ["actor_rollout_ref.model.path=Qwen/Qwen2.5-1.5B-Instruct"])
    for free, said in ((3.0, True), (64.0, False), (None, False)):
        monkeypatch.setattr(sizes, "free_on_this_machine", lambda free=free: free)
        assert bool(list(sizes.memory_of_this_machine(config))) == said
    monkeypatch.setattr(sizes, "free_on_this_machine", lambda: 3.0)
    (finding,) = sizes.memory_of_this_machine(config)
    assert (
        finding.level == "note" and "3.0 GiB are free" in finding.message and "at least 3" in finding.message
    )
    assert not list(sizes.memory_of_this_machine(compose(find_recipe("one_gpu_1_5b"))))
