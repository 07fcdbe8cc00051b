"""How much time the judge client adds to the judge.

    python benchmarks/judge.py [--samples 1024] [--in-flight 256] [--latency 1.0]

A fake chat server in a process of its own answers every request after `latency` seconds, however many there
are. With n samples and m in flight the ideal is ceil(n / m) * latency; the table shows the ratio to it, for the
LLM judge alone, for the whole scorer with it, and with the replies stored, none known and warm. CPU seconds are the
client's own; on a busy machine they say more than the wall clock. A second table compares the client's CPU time
for one request with that of the openai package, if it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from medr3_plugin.judge.factory import make_judge
from medr3_plugin.records import Sample

REPLY = json.dumps({"reason": "the same disease", "score": 2})
BODY = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": REPLY}}
        ],
    }
).encode()
HEAD = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
THINKING = "The signs fit a crystal arthropathy; the joint fluid shows needles that are birefringent. " * 20


def serve(latency: float, port: Connection) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                await asyncio.sleep(latency)
                writer.write(HEAD + BODY)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def main() -> None:
        listener = await asyncio.start_server(connection, "127.0.0.1", 0, backlog=1024)
        port.send(listener.sockets[0].getsockname()[1])
        await listener.serve_forever()

    asyncio.run(main())


def samples_of(count: int) -> list[Sample]:
    return [
        Sample(
            id=str(i),
            question=f"Case {i}: a man of {20 + i % 60} years has a hot, swollen joint. What is the diagnosis?",
            response=f"<think>{THINKING}</think><answer>A crystal arthropathy of kind {i}</answer>",
            answers=("gout",),
        )
        for i in range(count)
    ]


async def timed(run: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """(wall-clock, CPU) seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    await run()
    return time.perf_counter() - start, time.process_time() - cpu


async def measure(options: dict[str, object], samples: list[Sample]) -> list[tuple[str, tuple[float, float]]]:
    from medr3_plugin.rewards.scorer import build_scorer

    async def judge_alone(cache: str | None) -> tuple[float, float]:
        judge = make_judge({**options, "cache": cache})
        assert judge is not None

        async def one(sample: Sample) -> None:
            answer = sample.response.split("<answer>")[1].split("</answer>")[0]
            verdict = await judge.verdict(
                question=sample.question, answer=answer, answers=sample.answers, options=None, dataset=""
            )
            assert verdict.level == 2

        seconds = await timed(lambda: asyncio.gather(*map(one, samples)))
        judge.close()  # type: ignore[attr-defined]  # of LLMJudge
        return seconds

    async def whole_scorer() -> tuple[float, float]:
        scorer = build_scorer({"judge": options})
        scored: list[object] = []

        async def run() -> None:
            scored.extend(await scorer.score(samples))

        seconds = await timed(run)
        assert all(item.record["acc"] == 1.0 for item in scored)  # type: ignore[attr-defined]
        return seconds

    with tempfile.TemporaryDirectory() as folder:
        cache = str(Path(folder) / "verdicts.sqlite")
        return [
            ("judge", await judge_alone(None)),
            ("judge, replies stored, none known", await judge_alone(cache)),
            ("judge, replies stored, all known", await judge_alone(cache)),
            ("scorer with judge", await whole_scorer()),
        ]


async def client_costs(url: str, requests: int = 256) -> list[tuple[str, float]]:
    """CPU milliseconds for one chat request, all at the same time, by client."""
    from medr3_plugin.judge.prompt import messages
    from medr3_plugin.llm.client import ChatClient

    prompt = messages(question="?" * 600, answer="gout", answers=("gout",), options=None, rare_disease=False)
    clients: dict[str, Callable[[], Awaitable[object]]] = {}
    chat = ChatClient(url, model="m")
    clients["ours (aiohttp)"] = lambda: chat.complete(prompt)
    try:
        import openai
    except ImportError:
        print("openai is not installed: no comparison")
    else:
        sdk = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=60.0)
        clients[f"openai {openai.__version__}"] = lambda: sdk.chat.completions.create(
            model="m", messages=prompt
        )
    costs = []
    for name, ask in clients.items():
        await ask()  # imports, connections
        _, cpu = await timed(lambda ask=ask: asyncio.gather(*(ask() for _ in range(requests))))
        costs.append((name, 1000 * cpu / requests))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--latency", type=float, default=1.0, help="seconds")
    arguments = parser.parse_args()

    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(arguments.latency, there), daemon=True)
    server.start()
    try:
        options: dict[str, Any] = {
            "kind": "openai",
            "base_url": f"http://127.0.0.1:{here.recv()}/v1",
            "model": "m",
            "max_in_flight": arguments.in_flight,
        }
        ideal = math.ceil(arguments.samples / arguments.in_flight) * arguments.latency
        rows = asyncio.run(measure(options, samples_of(arguments.samples)))
        costs = asyncio.run(client_costs(options["base_url"]))
    finally:
        server.terminate()
        server.join()
    print(f"{arguments.samples} samples, {arguments.in_flight} in flight, {arguments.latency:g} s each")
    print(
        f"\n| what | seconds | ratio to the ideal {ideal:g} s | CPU seconds of the client |\n|---|---|---|---|"
    )
    for name, (seconds, cpu) in rows:
        print(f"| {name} | {seconds:.2f} | {seconds / ideal:.2f} | {cpu:.2f} |")
    print("\n| client | CPU ms for one request |\n|---|---|")
    for name, milliseconds in costs:
        print(f"| {name} | {milliseconds:.2f} |")


if __name__ == "__main__":
    main()
