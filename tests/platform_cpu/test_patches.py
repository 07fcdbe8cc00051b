"""The CPU platform, in processes of its own: patches change other packages for good."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

pytest.importorskip("verl")


def run(code: str, **environment: str) -> str:
    env = {key: value for key, value in os.environ.items() if key != "VERL_PLATFORM"} | environment
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=env, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


PARTS = {
    "platform": """
import verl
from verl.plugin.platform import get_platform
from medr3_plugin.platform_cpu.patches import PATCHES
platform = get_platform()
print(platform.device_name, platform.communication_backend_name(), platform.current_device())
import importlib.metadata as metadata
print(metadata.version("vllm"))
import verl.utils.distributed as distributed
import torch.distributed as dist, os
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0", RANK="0", WORLD_SIZE="1")
distributed.initialize_global_process_group_ray()
print(dist.get_backend_config())
dist.destroy_process_group()
import verl.workers.engine
from verl.workers.engine.base import EngineRegistry
print(EngineRegistry.get_engine_cls("language_model", "fsdp2").__name__)
print(sorted(type(p).__name__ + "=" + p.state for p in PATCHES))
import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.workers.engine.fsdp import transformer_impl
for samples in (24, 12, 15, 7, 3):
    data = TensorDict({"x": torch.arange(samples)}, batch_size=[samples])
    tu.assign_non_tensor(data, use_dynamic_bsz=False, micro_batch_size_per_gpu=8)
    parts, _ = transformer_impl.prepare_micro_batches(data=data, dp_group=None, same_micro_num_in_dp=True)
    assert torch.cat([part["x"] for part in parts]).tolist() == list(range(samples))
    print("micro-batches of", samples, [len(part) for part in parts])
""",
    "critic": """
import tempfile, torch
import verl.utils.model as model
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM
sizes = dict(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
with tempfile.TemporaryDirectory() as folder:
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(folder)
    config = AutoConfig.from_pretrained(folder, num_labels=1)
    critic = model.load_valuehead_model(folder, torch.float32, config, False)
print(tuple(critic(torch.tensor([[1, 2, 3]])).logits.shape))
""",
    "weights": """
import torch
import verl.workers.rollout.vllm_rollout.bucketed_weight_transfer as transfer
buffer = torch.zeros(2)

def fake(self, callback):
    callback([("w", buffer[:1])], True)
from medr3_plugin.platform_cpu.patches import SharedMemoryWeights
class Module:
    class BucketedWeightReceiver:
        receive_weights = fake
patch = SharedMemoryWeights(); patch.apply(Module)
got = []
Module.BucketedWeightReceiver().receive_weights(lambda weights, last: got.extend(weights))
buffer += 1
print(got[0][1].item(), hasattr(transfer.BucketedWeightReceiver.receive_weights, "__wrapped__"))
""",
    "log": """
import logging
logging.basicConfig(stream=sys.stdout, format="logged %(message)s", force=True)
import verl.trainer.ppo.v1.trainer_separate_async as module
module.logger.info("once", flush=True)
module.logger.warning("twice %s", "over")
""",
    "vllm": """
from medr3_plugin.platform_cpu import vllm_patches
vllm_patches.register()
import torch, vllm.model_executor.layers.utils as utils
layer = torch.nn.Linear(4, 4)
utils.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
x = torch.randn(3, 4)
print(layer.weight.shape == (4, 4), torch.allclose(layer.cpu_linear(x, layer.weight, layer.bias), layer(x)))
""",
}


@pytest.fixture(scope="module")
def printed() -> Mapping[str, str]:
    """What each part prints, one after the other in a process with the CPU platform."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vllm is not installed")
    parts = "".join(f"print('part {name}'){code}" for name, code in PARTS.items())
    out = run(f"import sys\n{parts}", VERL_PLATFORM="cpu")
    _, *found = re.split(r"^part (\w+)$", out, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(found[::2], found[1::2], strict=True)}


def test_chosen_platform_and_patches(printed):
    out = printed["platform"]
    lines = out.splitlines()
    assert "cpu gloo cpu" in lines
    assert any("+cpu" in line for line in lines) or "VllmDistributionName=not needed" in out
    assert any("cpu:gloo" in line and line.count("cpu:") == 1 for line in lines)
    assert "SharedPrefixEngine" in lines
    for patch in ("FsdpEngineOnCpu", "MicroBatchesThatDivide", "UnpinnedOffload", "ProcessGroupBackend"):
        assert f"{patch}=applied" in out
    sizes = {24: [8, 8, 8], 12: [6, 6], 15: [5, 5, 5], 7: [7], 3: [3]}
    for samples, parts in sizes.items():  # at most 8
        assert f"micro-batches of {samples} {parts}" in lines


def test_a_critic_loads_without_flash_attention(printed):
    assert printed["critic"].endswith("(1, 3, 1)")


def test_weights_are_copied_out_of_shared_memory(printed):
    assert printed["weights"].endswith("0.0 True")


def test_a_log_call_that_flushes_is_a_log_call(printed):
    assert "logged once" in printed["log"] and "logged twice over" in printed["log"]


def test_vllm_keeps_plain_weights(printed):
    assert printed["vllm"].endswith("True True")


@pytest.mark.slow
def test_nothing_happens_unless_the_platform_is_chosen():
    out = run(
        """
import verl, sys
print("medr3_plugin.plugin" in sys.modules, "medr3_plugin.platform_cpu.patches" in sys.modules)
import verl.utils.distributed as distributed
print(hasattr(distributed.initialize_global_process_group_ray, "__wrapped__"))
"""
    )
    assert out.splitlines()[-2:] == ["True False", "False"]


@pytest.mark.parametrize("faster", [True, False])
@pytest.mark.parametrize("shape", [(1, 5), (7, 5), (2, 3, 5), (64, 5), (65, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_small_batch_linear_is_linear(monkeypatch, shape, faster, bias):
    torch = pytest.importorskip("torch")
    from medr3_plugin.platform_cpu import vllm_patches

    monkeypatch.setattr(vllm_patches, "weight_first_is_faster", lambda: faster)
    layer = torch.nn.Linear(5, 9, bias=bias)
    x = torch.randn(*shape)
    found = vllm_patches.small_batch_linear(x, layer.weight, layer.bias)
    assert found.is_contiguous() and found.shape == (*shape[:-1], 9)
    assert torch.allclose(found, layer(x), atol=1e-6)
    half = vllm_patches.small_batch_linear(x.bfloat16(), layer.weight.bfloat16())
    assert half.dtype == torch.bfloat16


def test_the_faster_product_is_measured_once():
    pytest.importorskip("torch")
    from medr3_plugin.platform_cpu import vllm_patches

    assert vllm_patches.weight_first_is_faster() is vllm_patches.weight_first_is_faster()
