"""The retrieval service under load: batching on and off, and what a lone query pays for HTTP.

    python benchmarks/service.py [--passages 60000 --dimension 384 --clients 64 --seconds 10 --rounds 3]

A dense Flat index of random unit vectors (speed does not depend on their meaning), passages of 1,000
characters, a new query every time and no cache, so that every query reaches the engine. The service runs in a
process of its own; the load generator, the package's client, shares the machine with it. Rounds with batching
on and off alternate, medians are reported; trust the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import time
import urllib.request
import zlib
from collections.abc import Sequence

import numpy as np

from medr3_plugin.records import Document, Hit
from medr3_plugin.retrieval.client import RetrievalClient
from medr3_plugin.retrieval.index import faiss_library
from medr3_plugin.retrieval.serve.server import listen


class FlatEngine:
    """FAISS `IndexFlatIP` behind `retrieval.engine.Engine`; a query's vector is drawn from its checksum."""

    def __init__(self, passages: int, dimension: int) -> None:
        faiss = faiss_library.faiss_module()
        vectors = _unit(np.random.default_rng(0).standard_normal((passages, dimension), dtype=np.float32))
        self.index = faiss.IndexFlatIP(dimension)
        self.index.add(vectors)
        self.text = "The trial compared two treatments in adults with the disease. " * 16

    def search(
        self,
        queries: Sequence[str],
        topk: int,
        filters: object = None,  # noqa: ARG002 (the engine protocol)
    ) -> list[list[Hit]]:
        vectors = np.stack([self._vector(query) for query in queries])
        scores, rows = faiss_library.search(self.index, vectors, topk)
        return [
            [
                Hit(Document(f"p{row}", self.text[:1000], "Title"), float(score))
                for row, score in zip(*found, strict=True)
            ]
            for found in zip(rows, scores, strict=True)
        ]

    def _vector(self, query: str) -> np.ndarray:
        return _unit(
            np.random.default_rng(zlib.crc32(query.encode())).standard_normal(self.index.d, np.float32)
        )

    def warm_up(self) -> None:
        self.search(["warm"], 5)

    def close(self) -> None:
        pass


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def run_service(passages: int, dimension: int, max_batch: int, listening: socket.socket) -> None:
    import uvicorn

    from medr3_plugin.retrieval.serve.service import ServiceOptions, create_app

    options = ServiceOptions(max_batch=max_batch, cache_hits=0, timeout_s=120)
    app = create_app(options, lambda: FlatEngine(passages, dimension))
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])


class Service:
    """The service in a child process."""

    def __init__(self, passages: int, dimension: int, max_batch: int) -> None:
        with listen("127.0.0.1", 0) as listening:
            self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            context = multiprocessing.get_context("spawn")
            self._process = context.Process(
                target=run_service, args=(passages, dimension, max_batch, listening)
            )
            self._process.start()

    async def ready(self) -> None:
        client = RetrievalClient(self.url, retries=100, timeout_s=120, breaker_failures=0)
        await client.search(["ready?"], 1)
        await client.close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.join(20)


async def load(url: str, clients: int, seconds: float, tag: str) -> tuple[float, list[float]]:
    """Searches a second, and the latency of each in ms, with `clients` that ask one after another."""
    client = RetrievalClient(url, timeout_s=120, max_connections=clients)
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def ask(number: int) -> None:
        asked = 0
        while time.perf_counter() < end:
            start = time.perf_counter()
            await client.search([f"{tag} {number} {asked}"], 5)
            latencies.append(1000 * (time.perf_counter() - start))
            asked += 1

    start = time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(clients)))
    rate = len(latencies) / (time.perf_counter() - start)
    await client.close()
    return rate, latencies


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, default=60_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lone", type=int, default=200, help="searches of a lone client")
    arguments = parser.parse_args()

    services = {
        name: Service(arguments.passages, arguments.dimension, max_batch)
        for name, max_batch in (("off", 1), ("on", 256))
    }
    try:
        for service in services.values():
            await service.ready()
        rates: dict[str, list[float]] = {"off": [], "on": []}
        tails: dict[str, list[tuple[float, float]]] = {"off": [], "on": []}
        for number in range(arguments.rounds):
            for name, service in services.items():
                rate, latencies = await load(
                    service.url, arguments.clients, arguments.seconds, f"{name}{number}"
                )
                rates[name].append(rate)
                tails[name].append((percentile(latencies, 0.5), percentile(latencies, 0.95)))
        print(f"\n{arguments.passages} x {arguments.dimension} Flat, {arguments.clients} clients\n")
        print("| batching | searches/s | p50 ms | p95 ms |\n|---|---|---|---|")
        for name in services:
            p50, p95 = (statistics.median(column) for column in zip(*tails[name], strict=True))
            print(f"| {name} | {statistics.median(rates[name]):.0f} | {p50:.0f} | {p95:.0f} |")
        ratios = [on / off for on, off in zip(rates["on"], rates["off"], strict=True)]
        spread = f"rounds: {min(ratios):.2f} to {max(ratios):.2f}"
        print(f"\nthroughput, on / off: {statistics.median(ratios):.2f} ({spread})")
        services["off"].stop()
        await lone(services["on"], arguments)
    finally:
        for service in services.values():
            service.stop()


async def lone(service: Service, arguments: argparse.Namespace) -> None:
    """What one client sees, and what of it the engine took: the service's own clock around the same calls.

    The engine's clock gives sums only, so single searches are taken apart by asking for them one by one.
    """
    client = RetrievalClient(service.url)
    extra: list[float] = []
    engine: list[float] = []
    before = engine_seconds(service.url)
    for number in range(arguments.lone):
        start = time.perf_counter()
        await client.search([f"lone {number}"], 5)
        seen = time.perf_counter() - start
        after = engine_seconds(service.url)
        engine.append(1000 * (after - before))
        extra.append(1000 * (seen - (after - before)))
        before = after
    await client.close()
    print(
        f"a lone query: engine {statistics.median(engine):.2f} ms, HTTP, batching and JSON "
        f"{statistics.median(extra):.2f} ms more (medians of {arguments.lone}; "
        f"a tenth below {percentile(extra, 0.1):.2f} ms, a tenth above {percentile(extra, 0.9):.2f} ms)"
    )


def engine_seconds(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics") as response:  # noqa: S310
        text = response.read().decode()
    return next(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith("medr3_engine_seconds_sum")
    )


if __name__ == "__main__":
    asyncio.run(main())
