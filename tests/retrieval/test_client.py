"""The client against servers on real sockets that fail in every way we could think of."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys

import pytest
from service_helpers import CORPUS, answers, sends, serving

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.records import Hit
from medr3_plugin.retrieval import client as client_module
from medr3_plugin.retrieval.client import CircuitBreaker, RetrievalClient
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.protocol import response_to_wire

GOOD = answers(200, json.dumps(response_to_wire([[Hit(CORPUS[0], 2.5)]], return_scores=True)).encode())
EXPECTED = [[Hit(CORPUS[0], 2.5)]]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(client_module, "BACKOFF_S", (0.001, 0.002))


@pytest.fixture
async def connect():
    clients = []

    def build(url: str, **options) -> RetrievalClient:
        clients.append(RetrievalClient(url, **{"timeout_s": 20, "retries": 2, **options}))
        return clients[-1]

    yield build
    for client in clients:
        await client.close()


async def failure_of(client: RetrievalClient) -> RetrievalFailure:
    with pytest.raises(RetrievalFailure) as caught:
        await client.search(["fever"], 3)
    return caught.value


async def test_a_good_answer(connect):
    async with serving(GOOD) as server:
        client = connect(server.url)
        assert await client.search(["fever"], 3) == EXPECTED
        assert await client.search([], 3) == []
        assert await client.search(["fever"], 3, Filters(min_year=2000)) == EXPECTED
    first, second = (request.partition(b"\r\n\r\n") for request in server.requests)
    assert first[0].startswith(b"POST /retrieve HTTP/1.1")
    assert json.loads(first[2]) == {"queries": ["fever"], "topk": 3, "return_scores": True}
    assert json.loads(second[2])["filters"] == {"min_year": 2000}


async def test_half_a_surrogate_pair_and_other_scripts(connect):
    async with serving(GOOD) as server:
        assert await connect(server.url).search(["a\ud800 Fieber über 39 発熱 \U0001f912"], 3) == EXPECTED
    body = server.requests[0].partition(b"\r\n\r\n")[2]
    assert json.loads(body)["queries"] == ["a? Fieber über 39 発熱 \U0001f912"]
    assert b"ud800" not in body


@pytest.mark.parametrize(
    ("handler", "kind", "tries"),
    [
        (answers(500, b"broken"), "status_500", 3),
        (answers(503, b"loading"), "status_503", 3),
        (answers(408, b"slow"), "status_408", 3),
        (answers(429, b"busy", "Retry-After: 0\r\n"), "status_429", 3),
        (answers(429, b"busy", "Retry-After: tomorrow\r\n"), "status_429", 3),
        (answers(400, b"no"), "status_400", 1),
        (answers(401, b"who"), "status_401", 1),
        (answers(404, b"where"), "status_404", 1),
        (answers(422, b"what"), "status_422", 1),
        (answers(302, b"", "Location: http://127.0.0.1:9/\r\n"), "status_302", 1),
        (answers(200, b"<html>not json</html>"), "bad_response", 1),
        (answers(200, b""), "bad_response", 1),
        (answers(200, b"\xff\xfe\x00"), "bad_response", 1),
        (answers(200, b"[" * 100_000), "bad_response", 1),
        (answers(200, b'{"result": []}'), "bad_response", 1),
        (answers(200, b'{"result": [[{"document": 1}]]}'), "bad_response", 1),
        (sends(b""), "connection", 3),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"), "connection", 3),
        (sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), "connection", 3),
        (sends(b"\x00\x01garbage\r\n\r\n" * 50), "bad_response", 1),
        (sends(b"SSH-2.0-OpenSSH_9.6\r\n"), "bad_response", 1),
    ],
)
async def test_each_failure_has_its_kind_and_only_some_are_tried_again(connect, handler, kind, tries):
    async with serving(handler) as server:
        failure = await failure_of(connect(server.url))
        assert (failure.kind, len(server.requests)) == (kind, tries)
        assert server.url in str(failure)


@pytest.mark.parametrize(
    "raw", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
async def test_a_silent_server_meets_the_deadline(connect, raw):
    async with serving(sends(raw, close=False)) as server:
        assert (await failure_of(connect(server.url, timeout_s=0.2))).kind == "timeout"
        assert len(server.requests) == 1


async def test_a_server_that_drips_meets_the_deadline(connect):
    async def drip(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as server:
        assert (await failure_of(connect(server.url, timeout_s=0.3))).kind == "timeout"


async def test_a_service_that_stays_away_is_tried_until_the_deadline(connect, monkeypatch):
    monkeypatch.setattr(client_module, "BACKOFF_S", (0.01, 0.02))
    loading = answers(503, b"the index is loading")
    async with serving(loading) as server:
        began = asyncio.get_running_loop().time()
        failure = await failure_of(connect(server.url, timeout_s=0.5, retries=None))
        assert asyncio.get_running_loop().time() - began < 5
        # the kind says what was wrong, and not that the time was over
        assert failure.kind == "status_503"
        assert len(server.requests) > 2
    async with serving(answers(500, b"broken")) as server:
        assert (await failure_of(connect(server.url, retries=None))).kind == "status_500"
        assert len(server.requests) == 5


async def test_no_pause_reaches_beyond_the_deadline(connect):
    async with serving(answers(503, b"", "Retry-After: 30\r\n")) as server:
        failure = await failure_of(connect(server.url, timeout_s=5, retries=None))
        assert (failure.kind, len(server.requests)) == ("status_503", 1)


SERVER = """
import asyncio, sys

async def answer(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    size = next(int(l.split(b":")[1]) for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length"))
    await reader.readexactly(size)
    body = sys.argv[2].encode()
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % len(body) + body)
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
    print("listening", flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def start_server(port: int) -> subprocess.Popen:
    body = json.dumps(response_to_wire([[Hit(CORPUS[0], 2.5)]], return_scores=True))
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port), body], stdout=subprocess.PIPE, text=True
    )


async def test_a_restart_of_the_service_costs_no_search(monkeypatch):
    """The service is killed under a batch of searches and comes back 3 seconds later; the options are the defaults."""
    monkeypatch.undo()  # the real pauses
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = RetrievalClient(f"http://127.0.0.1:{port}")
    first = start_server(port)
    again = None
    try:
        assert first.stdout.readline()
        assert await client.search(["fever"], 3) == EXPECTED
        first.kill()
        first.wait()
        batch = asyncio.gather(*(client.search(["fever"], 3) for _ in range(200)))
        await asyncio.sleep(3)
        assert not batch.done()
        again = start_server(port)
        assert await batch == [EXPECTED] * 200
    finally:
        await client.close()
        for process in (first, again):
            if process is not None:
                process.kill()
                process.communicate()


async def test_waiting_for_this_clients_own_connection_is_no_failure(connect):
    async def slow(reader, writer):
        await asyncio.sleep(0.2)
        await GOOD(reader, writer)

    async with serving(slow) as server:
        # one after another they take five times the deadline of one
        client = connect(server.url, max_connections=1, timeout_s=0.9, breaker_failures=1)
        assert await asyncio.gather(*(client.search(["fever"], 3) for _ in range(20))) == [EXPECTED] * 20


async def test_those_who_wait_for_a_connection_learn_that_the_service_is_dead(connect):
    async with serving(sends(b"", close=False)) as server:
        client = connect(
            server.url, max_connections=2, timeout_s=2, breaker_failures=2, breaker_cooldown_s=60
        )
        kinds = [
            failure.kind
            for failure in await asyncio.gather(
                *(client.search(["fever"], 3) for _ in range(50)), return_exceptions=True
            )
        ]
        assert sorted(set(kinds)) == ["circuit_open", "timeout"]
        assert kinds.count("timeout") == len(server.requests) == 2


async def test_a_caller_that_gives_up_leaves_its_connection_to_the_next(connect):
    async with serving(sends(b"", close=False), GOOD) as server:
        client = connect(server.url, max_connections=1)
        gone = asyncio.create_task(client.search(["fever"], 3))
        while not server.requests:
            await asyncio.sleep(0.01)
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone
        assert await client.search(["fever"], 3) == EXPECTED


async def test_nobody_listens(connect):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert (await failure_of(connect(f"http://127.0.0.1:{port}"))).kind == "connection"


async def test_a_passing_fault_is_not_noticed(connect):
    async with serving(answers(500, b""), sends(b""), GOOD) as server:
        # the second handler closes: that connection's successor is the third request
        assert await connect(server.url).search(["fever"], 3) == EXPECTED
        assert len(server.requests) == 3


async def test_an_endless_answer_is_cut_off(connect, monkeypatch):
    monkeypatch.setattr("medr3_plugin.retrieval.client._MOST_BYTES", 1 << 20)

    async def endless(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()

    async with serving(endless) as server:
        failure = await failure_of(connect(server.url))
        assert failure.kind == "bad_response"


async def test_breaker_opens_after_failures_in_a_row_and_closes_by_itself(connect):
    async with serving(answers(500, b"")) as server:
        client = connect(server.url, retries=0, breaker_failures=3, breaker_cooldown_s=1000)
        kinds = [(await failure_of(client)).kind for _ in range(5)]
        assert kinds == ["status_500"] * 3 + ["circuit_open"] * 2
        assert len(server.requests) == 3
    async with serving(answers(500, b""), answers(500, b""), GOOD) as server:
        client = connect(server.url, retries=0, breaker_failures=2, breaker_cooldown_s=0)
        assert [(await failure_of(client)).kind for _ in range(2)] == ["status_500"] * 2
        assert await client.search(["fever"], 3) == EXPECTED  # the probe
        assert await client.search(["fever"], 3) == EXPECTED


async def test_being_refused_does_not_open_the_breaker(connect):
    async with serving(answers(422, b"")) as server:
        client = connect(server.url, breaker_failures=2)
        assert [(await failure_of(client)).kind for _ in range(4)] == ["status_422"] * 4


def test_an_open_breaker_lets_one_probe_pass():
    now = [0.0]
    breaker = CircuitBreaker(2, 10.0, clock=lambda: now[0])
    breaker.failed()
    assert breaker.allow()
    breaker.failed()
    assert not breaker.allow()
    now[0] = 10.0
    assert [breaker.allow(), breaker.allow()] == [True, False]
    breaker.failed()
    now[0] = 19.0
    assert not breaker.allow()
    now[0] = 20.0
    assert breaker.allow()
    breaker.succeeded()
    assert not breaker.open
    assert breaker.allow()
    off = CircuitBreaker(0, 10.0)
    for _ in range(100):
        off.failed()
    assert off.allow()


async def test_the_token_comes_from_the_environment(connect, monkeypatch):
    monkeypatch.setenv("SEARCH_TOKEN", "s3cret")
    async with serving(GOOD) as server:
        await connect(server.url, token_env="SEARCH_TOKEN").search(["fever"], 3)
        await connect(server.url, token_env="UNSET_TOKEN").search(["fever"], 3)
    with_token, without = (request.lower() for request in server.requests)
    assert b"authorization: bearer s3cret" in with_token
    assert b"authorization" not in without


async def test_connections_are_reused_and_bounded(connect):
    peers = set()

    async def remember(reader, writer):
        peers.add(writer.get_extra_info("peername"))
        await asyncio.sleep(0.01)
        await GOOD(reader, writer)

    async with serving(remember) as server:
        client = connect(server.url, max_connections=3)
        await asyncio.gather(*(client.search(["fever"], 3) for _ in range(20)))
    assert len(server.requests) == 20
    assert len(peers) <= 3


def test_one_client_serves_one_event_loop_after_another():
    async def ask(client: RetrievalClient, url: str) -> object:
        found = await client.search(["fever"], 3)
        await client.close()
        return found

    async def serve_and_ask(clients: list[RetrievalClient]) -> object:
        async with serving(GOOD) as server:
            client = clients[0] if clients else RetrievalClient(server.url)
            client.url = f"{server.url}/retrieve"
            clients[:] = [client]
            return await ask(client, server.url)

    clients: list[RetrievalClient] = []
    assert asyncio.run(serve_and_ask(clients)) == EXPECTED
    assert asyncio.run(serve_and_ask(clients)) == EXPECTED


def test_address_forms():
    assert RetrievalClient("http://h:1/").url == "http://h:1/retrieve"
    assert RetrievalClient("http://h:1/retrieve").url == "http://h:1/retrieve"
    with pytest.raises(UserError, match="localhost:8765"):
        RetrievalClient("localhost:8765")
