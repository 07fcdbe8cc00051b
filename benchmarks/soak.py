"""A long run against `medr3 serve`: memory, failures, latency.

    python benchmarks/soak.py [--minutes 30 --clients 32 --pause 0 --index FOLDER]

Serves an index (default: BM25 over 20,000 made-up passages) in a process of its own and asks it, without pause,
queries drawn from the corpus's words, a tenth of them repeated so that the cache turns over. Resident memory is
read every second; its drift is the median of the last tenth of the run against the tenth after the first fifth,
by when the caches are full.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from medr3_plugin.errors import RetrievalFailure
from medr3_plugin.retrieval.client import RetrievalClient
from medr3_plugin.text import listed

SYLLABLES = listed("car dio neph ro gly cae mia itis tox ost eo derm hep ato")


def vocabulary(size: int = 20_000) -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choices(SYLLABLES, k=draw.randint(2, 5))) for _ in range(size)]


def build(folder: Path, words: list[str], passages: int = 20_000) -> Path:
    from medr3_plugin.retrieval.index.build import build_index

    draw = random.Random(1)
    weights = [1 / (rank + 1) for rank in range(len(words))]
    with (folder / "corpus.jsonl").open("w") as file:
        for number in range(passages):
            text = " ".join(draw.choices(words, weights, k=120))
            row = {"id": f"p{number}", "title": f"Passage {number}", "text": text, "source": "made up"}
            meta = {"evidence_type": "other", "evidence_type_method": "none", "license": "CC0"}
            file.write(json.dumps({**row, **meta}) + "\n")
    build_index([str(folder / "corpus.jsonl")], folder / "index", "bm25")
    return folder / "index"


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmRSS")


async def soak(url: str, pid: int, arguments: argparse.Namespace, words: list[str]) -> None:
    clients, seconds = arguments.clients, 60 * arguments.minutes
    client = RetrievalClient(url, timeout_s=60, max_connections=clients, retries=0, breaker_failures=0)
    latencies: list[float] = []
    failures: dict[str, int] = {}
    memory: list[float] = []
    end = time.perf_counter() + seconds

    async def ask(number: int) -> None:
        draw = random.Random(number)
        recent = ["fever"]
        while time.perf_counter() < end:
            query = " ".join(draw.choices(words, k=6)) if draw.random() < 0.9 else draw.choice(recent)
            recent = [query, *recent[:20]]
            start = time.perf_counter()
            try:
                await client.search([query], 5)
            except RetrievalFailure as failure:
                failures[failure.kind] = failures.get(failure.kind, 0) + 1
                await asyncio.sleep(0.1)
            latencies.append(1000 * (time.perf_counter() - start))
            await asyncio.sleep(arguments.pause)

    async def watch() -> None:
        while time.perf_counter() < end:
            memory.append(resident_mb(pid))
            await asyncio.sleep(1)

    await asyncio.gather(watch(), *(ask(number) for number in range(clients)))
    await client.close()
    latencies.sort()
    tenth = max(1, len(memory) // 10)
    early = statistics.median(memory[2 * tenth : 3 * tenth])
    late = statistics.median(memory[-tenth:])
    print(f"\n{seconds / 60:.1f} minutes, {clients} clients\n")
    print(
        "| searches | failed | p50 ms | p99 ms | memory early MB | late MB | drift |\n|---|---|---|---|---|---|---|"
    )
    p50, p99 = latencies[len(latencies) // 2], latencies[int(0.99 * len(latencies))]
    print(
        f"| {len(latencies)} | {sum(failures.values())} | {p50:.1f} | {p99:.1f} | {early:.0f} | {late:.0f} "
        f"| {100 * (late / early - 1):+.1f} % |"
    )
    if failures:
        print(failures)


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two searches of a client")
    parser.add_argument("--index", type=Path)
    arguments = parser.parse_args()
    words = vocabulary()
    with tempfile.TemporaryDirectory() as folder:
        index = arguments.index or build(Path(folder), words)
        command = [sys.executable, "-m", "medr3_plugin.cli", "serve", "--index", str(index), "--port", "0"]
        service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert service.stderr is not None
            url = next(line.split()[-1] for line in service.stderr if line.startswith("serving"))
            first = RetrievalClient(url, retries=200, timeout_s=120, breaker_failures=0)
            await first.search(["ready"], 1)
            await first.close()
            await soak(url, service.pid, arguments, words)
        finally:
            service.terminate()
            service.wait(30)


if __name__ == "__main__":
    asyncio.run(main())
