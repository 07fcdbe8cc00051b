"""Retrieval servers beside each other, under the same load: Search-R1's `/retrieve`, or rLLM's with `--rllm NAME`.

    python benchmarks/peers.py --server ours=http://127.0.0.1:8765 --server other=http://127.0.0.1:8000 \
        --queries questions.txt [--clients 1 64 200 --seconds 15 --rounds 2]

Each client sends one query per request and waits for the answer, as a rollout does. Queries are lines of the file
with a number behind them, so that none comes twice and no cache answers. Servers take turns within a round; a 429 is
counted apart and tried again after its Retry-After. Clients and servers share the machine: trust the ratios of one run,
and start each server as its own documentation says, over the same corpus, index and encoder. On a machine that others
use, a server of many threads gets more of it than one of few; with `--pid NAME=PID` the table has the CPU time that
each server spends per answer, which does not depend on that (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

TIMEOUT_S = 60


@dataclass
class Load:
    """What one server did under one load, all rounds together."""

    latencies: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    cpu_s: float = 0.0

    @property
    def throughput(self) -> float:
        return self.outcomes["answered"] / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        return 1000 * statistics.quantiles(self.latencies, n=100)[round(100 * share) - 1]


def cpu_seconds(pid: int | None) -> float:
    """What a process has used so far, all its threads; 0 without one."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(session: aiohttp.ClientSession, url: str, query: str, topk: int, rllm: bool) -> str:
    search_r1 = {"queries": [query], "topk": topk, "return_scores": True}
    body = {"query": query, "top_k": topk} if rllm else search_r1
    try:
        async with session.post(f"{url}/retrieve", json=body) as response:
            if response.status == 429:
                await response.read()
                await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
                return "429"
            answer = await response.json() if response.status == 200 else {}
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError, KeyError) as error:
        return type(error).__name__
    result = [answer["results"]] if rllm and "results" in answer else answer.get("result", [])
    return "answered" if len(result) == 1 and len(result[0]) == topk else f"status {response.status}"


async def load(  # noqa: PLR0917
    url: str,
    queries: itertools.count[int],
    texts: list[str],
    clients: int,
    seconds: float,
    topk: int,
    rllm: bool,
    into: Load,
) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        begun = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() - begun < seconds:
                number = next(queries)
                query = f"{texts[number % len(texts)]} {number}"
                asked, outcome = time.perf_counter(), "429"
                while outcome == "429":
                    outcome = await ask(session, url, query, topk, rllm)
                    into.outcomes[outcome] += 1
                if outcome == "answered":
                    into.latencies.append(time.perf_counter() - asked)

        await asyncio.gather(*(client() for _ in range(clients)))
        into.seconds += time.perf_counter() - begun


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", action="append", required=True, metavar="NAME=URL")
    parser.add_argument("--pid", action="append", default=[], metavar="NAME=PID")
    parser.add_argument("--rllm", action="append", default=[], metavar="NAME", help="speaks rLLM's protocol")
    parser.add_argument("--queries", type=Path, required=True, help="a query per line")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64, 200])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--topk", type=int, default=3)
    given = parser.parse_args()
    servers = dict(server.split("=", 1) for server in given.server)
    pids = {name: int(pid) for name, pid in (one.split("=", 1) for one in given.pid)}
    texts = [line.strip() for line in given.queries.read_text().splitlines() if line.strip()]
    counters = {name: itertools.count() for name in servers}  # the same queries for each
    for name, url in servers.items():
        await load(url, counters[name], texts, 1, 1, given.topk, name in given.rllm, Load())  # warm up
    columns = (
        "clients",
        "server",
        "answered per s",
        "p50 ms",
        "p95 ms",
        "CPU ms per answer",
        "errors",
        "429",
    )
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for clients in given.clients:
        found = {name: Load() for name in servers}
        for _ in range(given.rounds):
            for name, url in servers.items():
                before = cpu_seconds(pids.get(name))
                spoken = name in given.rllm
                await load(
                    url, counters[name], texts, clients, given.seconds, given.topk, spoken, found[name]
                )
                found[name].cpu_s += cpu_seconds(pids.get(name)) - before
        for name, done in found.items():
            errors = {kind: count for kind, count in done.outcomes.items() if kind not in ("answered", "429")}
            answered = done.outcomes["answered"]
            cpu = f"{1000 * done.cpu_s / answered:.0f}" if name in pids and answered else "-"
            times = (
                "- | -"
                if len(done.latencies) < 2
                else f"{done.percentile(0.5):.0f} | {done.percentile(0.95):.0f}"
            )
            rate, refused = f"{done.throughput:.1f}", done.outcomes["429"]
            cells = (clients, name, rate, times, cpu, errors or 0, refused)
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
