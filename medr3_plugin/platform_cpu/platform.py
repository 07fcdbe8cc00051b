"""verl's platform interface over host memory and gloo."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import types
from collections.abc import Iterator
from typing import Any

import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry


def _rss_bytes(_device: object = None) -> int:
    """Resident memory of this process in bytes: what "device memory" means here."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def _peak_rss_bytes(_device: object = None) -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


class _Event:
    """Stands in for `torch.cuda.Event`: work on the CPU is done when the call returns."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...
    def record(self, *_args: Any) -> None: ...
    def wait(self, *_args: Any) -> None: ...
    def synchronize(self) -> None: ...


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _empty_cache() -> None:
    """Give freed memory back to the system: glibc keeps what an update needed, gigabytes that the rollout could use."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _mem_get_info(_device: object = None) -> tuple[int, int]:
    import psutil

    memory = psutil.virtual_memory()
    return memory.available, memory.total


def _make_device_module() -> types.ModuleType:
    """A module with the part of `torch.cuda` that verl calls, over host memory."""
    module = types.ModuleType("medr3_cpu_device", "torch.cuda's interface over host memory")
    nothing = (
        "set_device", "synchronize", "ipc_collect", "reset_peak_memory_stats", "set_per_process_memory_fraction",
    )  # fmt: skip
    functions: dict[str, Any] = {
        **dict.fromkeys(nothing, _nothing),
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: "cpu",
        "get_device_name": lambda _device=None: "CPU",
        "memory_allocated": _rss_bytes,
        "memory_reserved": _rss_bytes,
        "max_memory_allocated": _peak_rss_bytes,
        "max_memory_reserved": _peak_rss_bytes,
        "mem_get_info": _mem_get_info,
        "empty_cache": _empty_cache,
        "get_rng_state": lambda _device=None: torch.get_rng_state(),
        "set_rng_state": lambda state, _device=None: torch.set_rng_state(state),
        "manual_seed": torch.manual_seed,
        "manual_seed_all": torch.manual_seed,
        "current_stream": torch.cpu.current_stream,
        "stream": lambda _stream: contextlib.nullcontext(),
        "Stream": torch.cpu.Stream,
        "Event": _Event,
    }
    vars(module).update(functions)
    return module


_DEVICE_MODULE = _make_device_module()


@PlatformRegistry.register(platform="cpu")
class PlatformCPU(PlatformBase):
    """One logical device per node: the host. Collectives over gloo, no IPC, no profiler.

    Ray schedules verl's workers by the resource "GPU", so a CPU run gives Ray one logical GPU
    (`ray_kwargs.ray_init.num_gpus: 1`); nothing ever touches a real one.
    """

    device_name = vendor_name = "cpu"
    device_module = _DEVICE_MODULE

    def is_available(self) -> bool:  # noqa: D102
        return True

    def current_device(self) -> Any:
        """The string "cpu": verl hands the value to `Tensor.to`, which takes an index only for a GPU."""
        return "cpu"

    def device_count(self) -> int:  # noqa: D102
        return 1

    def set_device(self, device_index: int) -> None: ...  # noqa: D102
    def synchronize(self, device_index: int | None = None) -> None: ...  # noqa: D102

    def manual_seed(self, seed: int) -> None:  # noqa: D102
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def set_allocator_settings(self, settings: str) -> None: ...  # noqa: D102
    def empty_cache(self) -> None:  # noqa: D102
        _empty_cache()

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:  # noqa: D102
        return None, None

    def communication_backend_name(self) -> str:  # noqa: D102
        return "gloo"

    def visible_devices_envvar(self) -> str:  # noqa: D102
        return "CUDA_VISIBLE_DEVICES"

    @contextlib.contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:  # noqa: D102
        yield

    def profiler_start(self) -> None: ...  # noqa: D102
    def profiler_stop(self) -> None: ...  # noqa: D102

    def ray_resource_name(self) -> str:  # noqa: D102
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:  # noqa: D102
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:  # noqa: D102
        return False

    def cudart(self) -> Any:  # noqa: D102
        return None
