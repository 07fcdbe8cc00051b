"""Weights from trainer to rollout over gloo: verl's mode `separate_async` on machines without a GPU.

verl's own transports need CUDA, CuPy or an NPU. This one is chosen by verl's own keys, and imported by verl, in every
process that sends or receives, because the second names it:

    actor_rollout_ref:
      rollout:
        checkpoint_engine: {backend: medr3_gloo, custom_backend_module: medr3_plugin.platform_cpu.gloo_weights}

The trainer's first worker broadcasts one tensor after the other to all rollout workers: the length of a JSON header,
the header, the bytes. The group is made for each transfer and dropped after it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from verl.checkpoint_engine.base import CheckpointEngine, CheckpointEngineRegistry
from verl.workers.rollout.utils import ensure_async_iterator

BACKEND = "medr3_gloo"

_ALONE = -1
"""Rank of the trainer's other workers, which only take part in producing the weights."""


@CheckpointEngineRegistry.register(BACKEND)
class GlooCheckpointEngine(CheckpointEngine):
    """verl's interface of a transport over a gloo group of its own.

    Args:
        bucket_size: verl's; tensors are sent one by one.
        is_master: whether this is the trainer's first worker.
        timeout_s: longest wait for the others, for each tensor.
    """

    def __init__(self, bucket_size: int, is_master: bool = False, timeout_s: float = 600.0) -> None:
        self._is_master = is_master
        self._timeout = timedelta(seconds=timeout_s)
        self._store: Any = None
        self._group: Any = None

    def prepare(self) -> dict[str, Any]:
        """The address at which the workers meet, from the trainer's first one; nothing from the others."""
        if not self._is_master:
            return {}
        import ray

        host = ray.util.get_node_ip_address().strip("[]")
        self._store = dist.TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=self._timeout)
        return {"host": host, "port": self._store.port}

    @classmethod
    def build_topology(
        cls, actor_wg_world_size: int, rollout_world_size: int, metadata: list[dict[str, Any]]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """The trainer's first worker is rank 0, the rollout workers come after it."""
        world = 1 + rollout_world_size

        def arguments(ranks: list[int]) -> dict[str, list[Any]]:
            return {"rank": ranks, "world_size": [world] * len(ranks), "meeting": [metadata[0]] * len(ranks)}

        others = [_ALONE] * (actor_wg_world_size - 1)
        return arguments([0, *others]), arguments(list(range(1, world)))

    def init_process_group(self, rank: int, world_size: int, meeting: dict[str, Any]) -> None:
        """Meet the others; returns when all are there."""
        if rank == _ALONE:
            return
        store = self._store or dist.TCPStore(
            meeting["host"], meeting["port"], is_master=False, timeout=self._timeout
        )
        self._group = dist.ProcessGroupGloo(dist.PrefixStore(BACKEND, store), rank, world_size, self._timeout)

    def finalize(self) -> None:
        """Drop group and store."""
        self._group = self._store = None

    @torch.no_grad()
    async def send_weights(
        self, weights: Iterable[tuple[str, torch.Tensor]], global_steps: int | None = None
    ) -> None:
        """Broadcast the weights; a worker outside the group only produces its share of them."""
        async for name, weight in ensure_async_iterator(weights):
            if self._group is None:
                continue
            values = weight.detach().cpu().contiguous()
            header = {
                "name": name,
                "dtype": str(values.dtype).removeprefix("torch."),
                "shape": list(values.shape),
            }
            await self._send(json.dumps(header).encode())
            if values.numel():
                await self._broadcast(values.reshape(-1).view(torch.uint8))
        if self._group is not None:
            await self._send(b"")

    @torch.no_grad()
    async def receive_weights(
        self, global_steps: int | None = None
    ) -> AsyncIterator[tuple[str, torch.Tensor]]:
        """The weights in the order they were sent, each in memory of its own."""
        while text := await self._received():
            header = json.loads(text)
            values = torch.empty(header["shape"], dtype=getattr(torch, header["dtype"]))
            if values.numel():
                await self._broadcast(values.reshape(-1).view(torch.uint8))
            yield header["name"], values

    async def _send(self, text: bytes) -> None:
        await self._broadcast(torch.tensor([len(text)]))
        if text:
            await self._broadcast(torch.frombuffer(bytearray(text), dtype=torch.uint8))

    async def _received(self) -> bytes:
        length = torch.zeros(1, dtype=torch.int64)
        await self._broadcast(length)
        text = torch.empty(int(length), dtype=torch.uint8)
        if len(text):
            await self._broadcast(text)
        return text.numpy().tobytes()

    async def _broadcast(self, values: torch.Tensor) -> None:
        """From rank 0, in place; the worker's other calls continue meanwhile."""
        await asyncio.to_thread(lambda: self._group.broadcast(values, 0).wait())
