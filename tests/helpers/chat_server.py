"""A chat server on a real socket that behaves as badly as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from medr3_plugin.judge.base import AnswerJudge
from medr3_plugin.judge.factory import make_judge
from medr3_plugin.llm import transport


def verdict_text(score: Any, reason: str = "because") -> str:
    return json.dumps({"reason": reason, "score": score})


def completion(content: str | None, finish_reason: str | None = "stop") -> str:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 300, "completion_tokens": 20}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})


class Cut(str):
    """A reply that is cut off by the limit of tokens."""


class Refused(str):
    """What the server says with status 400."""


class Raw(str):
    """The body of a reply, with its status."""

    def __new__(cls, body: str, status: int = 200) -> Raw:
        made = super().__new__(cls, body)
        made.status = status
        return made

    status: int


class ChatServer:
    """Answers request after request by the next step of `script` (the last step repeats).

    A step is a status code, the content of a good reply (`verdict_text(2)`), a `Cut`, `Refused` or `Raw` one, a
    function from the request to any of these, or one of: `close` (hang up after reading), `half` (hang up in the
    middle of the reply), `slow` (longer than any test), `trickle` (a byte now and then), `not-json`, `not-chat`,
    `no-choices`, `empty`.
    """

    def __init__(self) -> None:
        self.script: list[int | str | Callable[[dict[str, Any]], int | str]] = [verdict_text(2)]
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.delay_s = 0.0
        self.url = ""
        self.model = "served-model"

    def asked(self) -> int:
        return sum(path.endswith("/chat/completions") for path in self.paths)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.paths.append(first.split()[1])
        self.headers.append(headers)
        if self.paths[-1].endswith("/models"):
            models = {"object": "list", "data": [{"id": self.model, "object": "model"}]}
            return self._send(writer, 200, json.dumps(models))
        request = json.loads(body)
        self.requests.append(request)
        step = self.script[min(len(self.requests) - 1, len(self.script) - 1)]
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.delay_s)
            return await self._answer(step, request, writer)
        finally:
            self.in_flight -= 1

    async def _answer(self, step: Any, request: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        if callable(step):
            step = step(request)
        if isinstance(step, int | Refused):
            status, said = (step, "no") if isinstance(step, int) else (400, str(step))
            return self._send(writer, status, json.dumps({"error": {"message": said}}))
        if isinstance(step, Raw):
            return self._send(writer, step.status, step)
        if step == "close":
            return False
        if step == "half":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{")
            await writer.drain()
            return False
        if step == "slow":
            await asyncio.sleep(30)
            return False
        if step == "trickle":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n")
            for _ in range(500):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        bodies = {
            "not-json": "<html>gateway</html>",
            "not-chat": '{"content_type": "text/plain", "text": "oops"}',
            "no-choices": '{"id": "1", "object": "chat.completion", "choices": []}',
            "empty": completion(None),
        }
        ended = "length" if isinstance(step, Cut) else "stop"
        return self._send(writer, 200, bodies.get(step) or completion(str(step), ended))

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: int, body: str) -> bool:
        data = body.encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        return True


def judge_of(server: ChatServer, **options: Any) -> AnswerJudge:
    """A judge that asks `server`, at most twice for one verdict."""
    judge = make_judge({"kind": "openai", "base_url": server.url, "model": "m", "attempts": 2, **options})
    assert judge is not None
    return judge


@pytest.fixture
async def chat_server() -> AsyncIterator[ChatServer]:
    server = ChatServer()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    yield server
    listener.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries happen as configured, without the pause between them."""
    monkeypatch.setattr(transport, "BACKOFF_S", (0.0, 0.0))
