"""The fastest number of threads and precision on this machine now, measured by a second of matrix products.

CPU flags (`avx512_bf16`) do not say whether bfloat16 is fast, and beside other work two threads that wait for each
other can be ten times slower than one. So both are measured when a run starts.
`python -m medr3_plugin.platform_cpu.speed` prints the shell variables for a recipe's `run.sh`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from medr3_plugin.errors import counted
from medr3_plugin.platform_cpu.vllm_patches import small_batch_linear

PRECISIONS = ("float32", "bfloat16")
"""Names of the recipe's group `precision`."""
HIDDEN, WIDE = 576, 1536
"""Sizes of SmolLM2-135M's layers."""
ROWS = {"decode": 16, "update": 1024}
"""Rows of a product: sequences that are decoded together, tokens of a micro-batch."""
SECONDS = 0.2
"""For each of the two kinds of product, in each precision, with each number of threads."""
CLEARLY = 1.25
"""Another choice than float32 on all cores has to be this many times faster."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured for a number of threads and a precision; rates are layers a second.

    Attributes:
        precision: `float32` or `bfloat16`, a name of the recipe's group `precision`.
        decode, update: one layer's products in and out, in the sizes of `ROWS`.
    """

    threads: int
    precision: str
    decode: float
    update: float

    @property
    def rate(self) -> float:
        """Both kinds in one number: each takes half of a step's time."""
        return 2 / (1 / self.decode + 1 / self.update)

    def __str__(self) -> str:
        speeds = f"{self.decode:.0f} and {self.update:.1f} layers/s"
        return f"{self.precision} on {counted(self.threads, 'thread')}: {speeds}"


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure(threads: int, precision: str) -> Speed:
    """Measure one choice; sets torch's number of threads in this process."""
    import torch

    torch.set_num_threads(threads)
    dtype = getattr(torch, precision)
    up, down = torch.ones(WIDE, HIDDEN, dtype=dtype), torch.ones(HIDDEN, WIDE, dtype=dtype)
    rates = {}
    for kind, rows in ROWS.items():
        x = torch.full((rows, HIDDEN), 1e-3, dtype=dtype)
        count, start = -1, 0.0  # the first one warms up
        while count < 1 or time.perf_counter() - start < SECONDS:
            small_batch_linear(small_batch_linear(x, up), down)
            count += 1
            if count == 0:
                start = time.perf_counter()
        rates[kind] = count / (time.perf_counter() - start)
    return Speed(threads, precision, **rates)


def choose(measured: list[Speed]) -> Speed:
    """The fastest; the first one, unless another is clearly faster."""
    first = measured[0]
    best = max(measured, key=lambda speed: speed.rate)
    return best if best.rate > CLEARLY * first.rate else first


def choose_in(precision: str | None, measured: list[Speed]) -> tuple[Speed, str]:
    """The choice in a given precision (in any, if None), and a warning if another precision is clearly faster."""
    chosen = choose([speed for speed in measured if precision in {None, speed.precision}])
    best = choose([chosen, *measured])
    if best.precision == chosen.precision:
        return chosen, ""
    return chosen, (
        f"precision={chosen.precision} is {best.rate / chosen.rate:.1f} times slower here than "
        f"precision={best.precision}; precision=auto would choose that for a new run"
    )


def measured_here() -> list[Speed]:
    """All choices on this machine: each precision on all cores, and on one."""
    import torch

    before = torch.get_num_threads()
    try:
        return [
            measure(threads, precision)
            for threads in sorted({1, cores()}, reverse=True)
            for precision in PRECISIONS
        ]
    finally:
        torch.set_num_threads(before)


def precision_of_run(config_file: Path) -> str | None:
    """The precision that an earlier part of a run recorded in its `config.yaml`; None if there is none."""
    from omegaconf import OmegaConf

    if not config_file.is_file():
        return None
    recorded = OmegaConf.select(OmegaConf.load(config_file), "precision")
    return recorded if recorded in PRECISIONS else None


def thread_environment(threads: int) -> dict[str, str]:
    """Variables that give torch and vLLM this many threads; vLLM binds one to each core unless told otherwise."""
    bind = {} if threads == cores() else {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return {"OMP_NUM_THREADS": str(threads), **bind}


def cpu_environment(threads: int) -> dict[str, str]:
    """Variables of a run on the CPU platform; those that the user has set take precedence."""
    wanted = {
        "VERL_PLATFORM": "cpu",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; vLLM would take half of the memory
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",  # rollout and update take turns, so all cores serve each
        **thread_environment(threads),
    }
    return {key: os.environ.get(key, value) for key, value in wanted.items()}


if __name__ == "__main__":
    chosen = choose(measured_here())
    for name, value in thread_environment(chosen.threads).items():
        print(f"{name}={value}")
    print(f"MEDR3_PRECISION={chosen.precision}")
