"""A small real engine, and servers on real sockets, for tests of the service, the client and the batcher."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from index_helpers import write_jsonl

from medr3_plugin.errors import RetrievalFailure
from medr3_plugin.records import Document, Hit
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.serve.server import listen

CORPUS = (
    Document("d1", "Metformin lowers glucose in type 2 diabetes.", "Metformin", "trials", "RCT", 6, 2001),
    Document("d2", "Statins lower cholesterol; “naïve” users vary.", "Statins", "reviews", "meta", 9, 2015),
    Document("d3", "Fever and cough suggest influenza.", "Influenza", "notes", "", 1, None, {"pmid": "12"}),
    Document("d4", "Insulin is given in type 1 diabetes.", "Insulin", "trials", "RCT", 6, 1999),
)


def small_index(folder: Path) -> str:
    """A BM25 index of `CORPUS` in `folder`, beside its `corpus.jsonl`."""
    corpus = write_jsonl(folder / "corpus.jsonl", map(Document.row, CORPUS))
    build_index([str(corpus)], folder / "index", "bm25")
    return str(folder / "index")


class OverlapEngine:
    """Ranks `CORPUS` by shared words. `gate` holds the engine back; `calls` is what it was asked."""

    def __init__(self) -> None:
        self.closed = False
        self.calls: list[tuple[tuple[str, ...], int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def search(self, queries: Sequence[str], topk: int, filters: object = None) -> list[list[Hit]]:
        self.calls.append((tuple(queries), topk))
        self.entered.set()
        assert self.gate.wait(20)
        if "poison" in queries:
            raise ValueError("poison")
        return [self._one(query, topk) for query in queries]

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def _one(query: str, topk: int) -> list[Hit]:
        words = set(query.lower().split())
        scored = [
            Hit(document, float(len(words & set(f"{document.title} {document.text}".lower().split()))))
            for document in CORPUS
        ]
        return sorted((hit for hit in scored if hit.score), key=lambda hit: -hit.score)[:topk]


class SlowEngine(OverlapEngine):
    """Takes `seconds` for each query, and nothing for a call."""

    seconds = 0.02

    def search(self, queries: Sequence[str], topk: int, filters: object = None) -> list[list[Hit]]:
        time.sleep(self.seconds * len(queries))
        return super().search(queries, topk, filters)


async def outcomes_of(search: Callable[[list[str], int], Awaitable[object]], searches: int) -> Counter[str]:
    """How many of so many searches at a time were answered, and how the others failed."""
    tasks = (search([f"q{number}"], 1) for number in range(searches))
    found = await asyncio.gather(*tasks, return_exceptions=True)
    return Counter(one.kind if isinstance(one, RetrievalFailure) else "answered" for one in found)


@contextlib.contextmanager
def running(app: object, **settings: object) -> Iterator[str]:
    """`app` under uvicorn on a free port, in a thread; yields its address."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_level="error", **settings))  # type: ignore[arg-type]
    listening = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class SocketServer:
    """A TCP server whose every connection `handler` treats as it likes; `requests` is what arrived."""

    def __init__(self, *handlers: Handler) -> None:
        self._handlers = handlers
        self.requests: list[bytes] = []
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:  # keep-alive: one handler a request, the last one for all further
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                handler = self._handlers[min(len(self.requests), len(self._handlers) - 1)]
                self.requests.append(head + body)
                await handler(reader, writer)
                await writer.drain()
                if writer.is_closing():
                    return


@contextlib.asynccontextmanager
async def serving(*handlers: Handler) -> AsyncIterator[SocketServer]:
    """A `SocketServer` on a free port."""
    wild = SocketServer(*handlers)
    server = await asyncio.start_server(wild, "127.0.0.1", 0)
    wild.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wild
    finally:
        server.close()
        if hasattr(server, "close_clients"):
            server.close_clients()


def answers(status: int, body: bytes, headers: str = "") -> Handler:
    """A handler that sends a complete HTTP response."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)

    return handler


def sends(raw: bytes, *, close: bool = True) -> Handler:
    """A handler that writes `raw` and closes, or falls silent."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if close:
            writer.close()
        else:
            await asyncio.sleep(3600)

    return handler
