"""`medr3 serve` as a process of its own."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from service_helpers import CORPUS, small_index

pytest.importorskip("fastapi")

from medr3_plugin.retrieval.serve.server import listen

COMMAND = [sys.executable, "-m", "medr3_plugin.cli", "serve"]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return small_index(tmp_path_factory.mktemp("server"))


@contextlib.contextmanager
def serve(*options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*COMMAND, *options], stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        process.stderr.close()


def line_with(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"the process ended without {pattern!r}")


def ask(url: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{url}{path}", data, timeout=20) as response:  # noqa: S310
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait_until_ready(url: str) -> None:
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if ask(url, "/health")[0] == 200:
                return
        time.sleep(0.05)


def test_serves_and_ends_in_peace(index):
    with serve("--index", index, "--port", "0") as process:
        url = line_with(process, r"at (http://127\.0\.0\.1:\d+)")[1]
        wait_until_ready(url)
        health = json.loads(ask(url, "/health")[1])
        assert (health["documents"], health["engine"]) == (len(CORPUS), "bm25")
        (hits,) = json.loads(ask(url, "/retrieve", {"queries": ["statins"]})[1])["result"]
        assert hits[0]["id"] == "d2"
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert "Traceback" not in rest
        assert "Application shutdown complete" in rest
        assert process.wait(30) in (0, -signal.SIGTERM)


def test_serves_a_milvus_collection(index, tmp_path):
    pytest.importorskip("milvus_lite")
    corpus, uri = f"{index}/../corpus.jsonl", str(tmp_path / "milvus.db")
    at = ("--uri", uri, "--collection", "c")
    build = [*COMMAND[:-1], "index", "build", "--engine", "milvus", "--corpus", corpus, *at]
    subprocess.run(build, check=True, capture_output=True)
    with serve(*at, "--port", "0") as process:
        url = line_with(process, r"at (http://127\.0\.0\.1:\d+)")[1]
        wait_until_ready(url)
        health = json.loads(ask(url, "/health")[1])
        assert (health["documents"], health["engine"]) == (len(CORPUS), "milvus")
        query = {"queries": ["statins", "no such wrds"], "filters": {"min_evidence_level": 7}}
        hits, none = json.loads(ask(url, "/retrieve", query)[1])["result"]
        assert hits[0]["id"] == "d2" and none == []
        assert ask(url, "/retrieve", {"queries": ["statins"], "filters": {"sources": ["nowhere"]}})[0] == 422
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.stderr.read()
    with serve("--uri", uri, "--collection", "other", "--port", "0") as process:
        assert line_with(process, "no collection 'other'")
        assert process.wait(60) == 2


def test_answers_are_not_held_back_by_nagle():
    # asyncio forgets TCP_NODELAY on such sockets: every answer took 44 ms instead of 1.4
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.slow
def test_several_workers_answer_and_their_metrics_add_up(index):
    with serve("--index", index, "--port", "0", "--workers", "2") as process:
        url = line_with(process, r"at (http://127\.0\.0\.1:\d+)")[1]
        wait_until_ready(url)
        for number in range(20):
            status = 503
            while status == 503:  # the other worker may still be loading
                status = ask(url, "/retrieve", {"queries": [f"statins {number}"]})[0]
            assert status == 200
        text = ask(url, "/metrics")[1].decode()
        answered = re.search(r'medr3_requests_total\{status="200"\} (\d+)', text)
        assert int(answered[1]) == 20
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--index", "/nowhere"], "/nowhere: no such folder"),
        (["--index", "HERE"], "HERE"),
        (["--index", "HERE", "--workers", "2"], "HERE"),
    ],
)
def test_a_wrong_index_is_one_line_and_exit_code_2(tmp_path, options, says):
    options = [option.replace("HERE", str(tmp_path)) for option in options]
    done = subprocess.run(
        [*COMMAND, *options, "--port", "0"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert says.replace("HERE", str(tmp_path)) in last
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_the_users_mistake(index):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "--index", index, "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
