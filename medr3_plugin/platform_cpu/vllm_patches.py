"""vLLM's side of the CPU platform, loaded through the plugin group `vllm.general_plugins`.

vLLM's CPU backend repacks linear weights at load and drops the originals, so the weight sync of the next
training step fails with "'Parameter' object has no attribute 'weight_loader'". Plain weights keep it working, and the
order of the product makes up for the packing (`small_batch_linear`).
"""

from __future__ import annotations

import functools
import inspect
import timeit
from types import ModuleType
from typing import TYPE_CHECKING, Any

from medr3_plugin.platform_cpu import is_chosen

if TYPE_CHECKING:
    import torch

MODULE = "vllm.model_executor.layers.utils"


def needed(module: ModuleType) -> bool:
    """Whether the installed vLLM still repacks weights through this function."""
    dispatch = getattr(module, "dispatch_cpu_unquantized_gemm", None)
    return dispatch is not None and "remove_weight" in inspect.signature(dispatch).parameters


SMALL_BATCH = 64
"""Rows up to which the weight-first product is tried: decoding has one row a sequence."""


def small_batch_linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """`torch.nn.functional.linear`, computed as (weight @ x^T)^T for few rows where that is faster.

    For x @ weight^T, MKL repacks the whole weight in every call: at 8 rows, 2 to 4 times slower on AMD Zen.

    Args:
        x: `[..., in]`.
        weight: `[out, in]`.
        bias: `[out]`.

    Returns:
        `[..., out]`, contiguous.
    """
    import torch

    rows = x.numel() // x.shape[-1]
    if not (1 < rows <= SMALL_BATCH and x.dtype == torch.float32 and weight_first_is_faster()):
        return torch.nn.functional.linear(x, weight, bias)
    product = torch.mm(weight, x.reshape(rows, -1).t()).t().contiguous()
    if bias is not None:
        product = product + bias
    return product.view(*x.shape[:-1], weight.shape[0])


@functools.cache
def weight_first_is_faster() -> bool:
    """Measured once in a process, in some milliseconds: it depends on the CPU and the BLAS library."""
    import torch

    weight, x = torch.ones(3072, 576), torch.ones(8, 576)  # no random numbers: sampling has the generator

    weight_first = timeit.repeat(lambda: torch.mm(weight, x.t()).t(), number=1, repeat=6)
    return min(weight_first) < min(
        timeit.repeat(lambda: torch.nn.functional.linear(x, weight), number=1, repeat=6)
    )


def _keep_plain_weights(layer: Any, remove_weight: bool) -> None:  # the name is vLLM's
    layer.cpu_linear = small_batch_linear


def _on_import(module: ModuleType) -> None:
    if needed(module):
        module.dispatch_cpu_unquantized_gemm = _keep_plain_weights  # type: ignore[attr-defined]


def register() -> None:
    """Called by vLLM in each of its processes; does nothing unless the CPU platform was chosen."""
    if not is_chosen():
        return
    from wrapt import register_post_import_hook

    register_post_import_hook(_on_import, MODULE)
