"""A chat server on a real socket that behaves as badly as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any


def verdict_text(score: Any, reason: str = "because") -> str:
    return json.dumps({"reason": reason, "score": score})


def completion(content: str | None) -> str:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    )


class ChatServer:
    """Answers request after request by the next step of `script` (the last step repeats).

    A step is a status code, the content of a good reply (`verdict_text(2)`), a function from the request to
    such a content, or one of: `close` (hang up after reading), `half` (hang up in the middle of the reply),
    `slow` (longer than any test), `trickle` (a byte now and then), `not-json`, `not-chat`, `no-choices`,
    `empty`.
    """

    def __init__(self) -> None:
        self.script: list[int | str | Callable[[dict[str, Any]], str]] = [verdict_text(2)]
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
            return self._send(writer, 200, completion(step(request)))
        if isinstance(step, int):
            return self._send(writer, step, json.dumps({"error": {"message": "no"}}))
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
        return self._send(writer, 200, bodies.get(step) or completion(step))

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: int, body: str) -> bool:
        data = body.encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        return True
