"""verl's platform interface over host memory."""

from __future__ import annotations

import platform

import pytest

pytest.importorskip("verl")
import torch

from medr3_plugin.platform_cpu.platform import PlatformCPU


@pytest.mark.skipif("glibc" not in platform.libc_ver()[0], reason="only glibc can give memory back")
def test_emptying_the_cache_gives_freed_memory_back_to_the_system():
    device = PlatformCPU().device_module
    blocks = [torch.zeros(4096) for _ in range(10_000)]  # 160 MB in pieces that are not mapped one by one
    kept = blocks[::100]  # between the others, so that freeing those gives nothing back by itself
    del blocks
    before = device.memory_allocated()
    device.empty_cache()
    assert device.memory_allocated() < before - 80e6
    assert len(kept) == 100
