"""vLLM's side of the CPU platform, loaded through the plugin group `vllm.general_plugins`.

vLLM's CPU backend repacks linear weights at load and drops the originals, so the weight sync of the next
training step fails with "'Parameter' object has no attribute 'weight_loader'". Plain weights keep it working.
"""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

from medr3_plugin.platform_cpu import is_chosen

MODULE = "vllm.model_executor.layers.utils"


def needed(module: ModuleType) -> bool:
    """Whether the installed vLLM still repacks weights through this function."""
    dispatch = getattr(module, "dispatch_cpu_unquantized_gemm", None)
    return dispatch is not None and "remove_weight" in inspect.signature(dispatch).parameters


def _keep_plain_weights(layer: Any, remove_weight: bool) -> None:  # the name is vLLM's
    import torch

    layer.cpu_linear = torch.nn.functional.linear


def _on_import(module: ModuleType) -> None:
    if needed(module):
        module.dispatch_cpu_unquantized_gemm = _keep_plain_weights  # type: ignore[attr-defined]


def register() -> None:
    """Called by vLLM in each of its processes; does nothing unless the CPU platform was chosen."""
    if not is_chosen():
        return
    from wrapt import register_post_import_hook

    register_post_import_hook(_on_import, MODULE)
