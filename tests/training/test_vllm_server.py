"""vLLM's own OpenAI-compatible server with a real small model: references, and an evaluation over chat.

The model is too small for a trajectory worth keeping: what counts is the protocol.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from training_runs import clean_environment, command, lines, medr3, needs_trainer

pytestmark = pytest.mark.slow

needs_trainer()

QUESTIONS = [
    {
        "id": "1",
        "question": "A man has a hot swollen big toe with urate crystals. Which disease is most likely?",
        "options": ["Gout", "Cellulitis", "Rheumatoid arthritis"],
        "answer": "Gout",
    },
    {
        "id": "2",
        "question": "A child has salty sweat and meconium ileus. Which disease is most likely?",
        "options": ["Cystic fibrosis", "Asthma", "Coeliac disease"],
        "answer": "Cystic fibrosis",
    },
]


@pytest.fixture(scope="module")
def paths(prepared: list[str]) -> dict[str, str]:
    """Folders of the model and of the data."""
    return {name: value for name, _, value in (override[6:].partition("=") for override in prepared)}


@pytest.fixture(scope="module")
def url(paths: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address, up to and with `/v1`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--model", paths["model"], "--served-model-name", "smol", "--host", "127.0.0.1"]
    arguments += ["--port", str(port), "--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"]
    # as in `VllmPolicy`: CPU generators cannot be rewound
    arguments += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "2048"]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments],
            stdout=stream,
            stderr=stream,
            env=clean_environment({"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}),
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 600
        while not _is_up(f"http://127.0.0.1:{port}/health"):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # the server has an engine process of its own
        server.wait()


def _is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):  # noqa: S310 (loopback)
            return True
    except (urllib.error.URLError, OSError):
        return False


def served(url: str) -> int:
    """Replies that the server finished since it started, as it counts them."""
    with urllib.request.urlopen(url.replace("/v1", "/metrics"), timeout=30) as page:  # noqa: S310 (loopback)
        text = page.read().decode()
    counts = re.findall(r'^vllm:request_success_total\{.*finished_reason="(\w+)".*\} (\S+)$', text, re.M)
    return int(sum(float(count) for reason, count in counts if reason in ("stop", "length")))


def paid(journal: Path) -> int:
    if not journal.is_file():
        return 0
    with sqlite3.connect(journal) as database:
        try:
            return int(database.execute("SELECT count(*) FROM reply WHERE text IS NOT NULL").fetchone()[0])
        except sqlite3.OperationalError:  # the table is being made
            return 0


def test_references_are_paid_once_over_a_kill(url: str, paths: dict[str, str], tmp_path: Path) -> None:
    source, prepared, out = tmp_path / "q.jsonl", tmp_path / "q.parquet", tmp_path / "r.parquet"
    source.write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS))
    done = medr3("data", "prepare", "generic", "--source", str(source), "--out", str(prepared))
    assert done.returncode == 0, done.stderr
    build = ["data", "build-references", "--in", str(prepared), "--out", str(out)]
    build += ["--index", f"{paths['data']}/index", "--references", "1", "--max-trajectories", "2"]
    build += ["--max-searches", "1", "--max-tokens", "64"]
    journal, report = tmp_path / "r.parquet.journal", tmp_path / "r.parquet.report.json"
    before = served(url)

    running = subprocess.Popen(command(*build, "--base-url", url), env=clean_environment())
    while paid(journal) < 2 and running.poll() is None:
        time.sleep(0.05)
    running.kill()
    running.wait()
    kept = paid(journal)
    assert kept >= 2

    def run(base_url: str, *more: str) -> dict[str, int]:
        """Calls that were made and calls that the journal knew."""
        done = medr3(*build, "--base-url", base_url, *more)
        assert "Traceback" not in done.stderr, done.stderr
        found = json.loads(report.read_text())
        assert sum(found["items"].values()) == 2 and not found["failures"], found
        steps = found["steps"].values()
        # decoded by schema; what a small model quotes may look like a second reply, and its texts differ by CPU
        asked = sum(step["calls"] + step["replayed"] for step in steps)
        assert sum(step["bad_replies"] for step in steps) <= asked / 2, found
        assert {item["reason"].partition(":")[0] for item in found["not_built"]} <= {
            "unsuitable",
            "no trajectory of 2 was graded 5 or better",
        }
        if not out.is_file():
            assert done.returncode == 2 and "no item was built" in done.stderr
        return {
            "calls": sum(step["calls"] for step in steps),
            "replayed": sum(step["replayed"] for step in steps),
        }

    second = run(url)
    assert second["replayed"] == kept and second["calls"] == paid(journal) - kept
    # at most the two questions in work had a reply on the way when the run was killed
    assert paid(journal) <= served(url) - before <= paid(journal) + 2
    # a third run needs no server at all
    assert run("http://127.0.0.1:9/v1", "--model", "smol") == {"calls": 0, "replayed": paid(journal)}


def test_a_chat_evaluation_of_the_real_server(
    url: str, paths: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from medr3_plugin.data.questions.example_turns import load_tokenizer
    from medr3_plugin.evaluation.chat_policy import find_api
    from medr3_plugin.evaluation.policy import EndpointPolicy

    async def find(*, chat_alone: bool) -> str:
        policy = EndpointPolicy(url, "smol", load_tokenizer(paths["model"]))
        if chat_alone:
            probe = policy.probe
            monkeypatch.setattr(
                policy, "probe", lambda path, **m: _no() if path == "/completions" else probe(path, **m)
            )
        try:
            return await find_api(policy)
        finally:
            await policy.close()

    async def _no() -> None:
        return None

    assert asyncio.run(find(chat_alone=False)) == "completions"
    assert asyncio.run(find(chat_alone=True)) == "chat"  # vLLM continues a message: shorter by its end mark

    answered = {}
    for api in ("completions", "chat", "chat-turns"):
        out = tmp_path / api
        done = medr3(
            *("eval", "--model", url, "--api", api, "--tokenizer", paths["model"], "--out", str(out)),
            *("--benchmark", f"rare_disease={paths['data']}/val.parquet", "--limit", "3"),
            *("--index", f"{paths['data']}/index", "--recipe", "medr3_cpu", "--temperature", "0"),
            f"paths.data={paths['data']}",
        )
        assert done.returncode == 0, done.stderr[-3000:]
        rows = lines(out / "trajectories.jsonl")
        assert len(rows) == 3 and all(row["reward"]["valid"] for row in rows)
        answered[api] = {row["id"]: row["response"] for row in rows}
    # greedy, the same prompt: the first segments are the same text whatever way it is asked
    first = {api: {i: r.partition("</search>")[0] for i, r in rows.items()} for api, rows in answered.items()}
    assert first["completions"] == first["chat"] == first["chat-turns"]
    assert any("</document>" in response for response in answered["chat"].values())
