"""Every Python example runs as a user would run it, and says what it promises."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from medr3_plugin import make_backend
from medr3_plugin.retrieval.index.filters import Filters

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, *arguments: str, folder: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert {path.name for path in EXAMPLES.glob("*.py")} <= set(re.findall(r'"(\w+\.py)"', text))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_score_trajectories(tmp_path: Path) -> None:
    lines = run("score_trajectories.py", folder=tmp_path).splitlines()[1:]
    scores = {line.split()[0]: float(line.split()[1]) for line in lines}
    assert scores["right"] > 1 and scores["hedged"] <= 0.3 and scores["wrong"] <= 0.3


def test_add_reward_part(tmp_path: Path) -> None:
    right, wrong = run("add_reward_part.py", folder=tmp_path).splitlines()
    assert "citation 1.00" in right and float(right.split()[2]) > 1 and float(wrong.split()[2]) <= 0.3


def test_retrieval_service(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    out = run("retrieval_service.py", str(free_port()), folder=tmp_path).splitlines()
    assert "Scurvy" in out[1] and "level 7" in out[1]
    assert "Beriberi" in out[out.index("thiamine") + 1]


def test_add_benchmark(tmp_path: Path) -> None:
    out = run("add_benchmark.py", "mine.jsonl", folder=tmp_path)
    assert "own:1: accepted ['vitamin C', 'ascorbic acid']" in out
    assert "A. lorazepam" in out and "--benchmark generic=mine.jsonl" in out


async def test_add_engine() -> None:
    pytest.importorskip("fastapi")
    port = free_port()
    server = subprocess.Popen([sys.executable, str(EXAMPLES / "add_engine.py"), str(port)])
    backend = make_backend({"url": f"http://127.0.0.1:{port}"})
    try:
        [hits] = await backend.search(["skurvy"], 2)  # the client waits until the server is there
        assert hits[0].document.title == "Scurvy" and hits[0].score > 0
        assert await backend.search(["", "xyz"], 2) == [[], []]
        [strong] = await backend.search(["deficiency"], 5, Filters(min_evidence_level=6))
        assert {hit.document.id for hit in strong} == {"1", "2"}
    finally:
        await backend.close()
        server.terminate()
        server.wait(timeout=30)


def test_add_layout(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    arguments = ["data", "prepare", "quiz", "--source", "quiz.jsonl", "--out", "quiz.parquet"]
    (tmp_path / "quiz.jsonl").write_text('{"nr": 1, "stem": "Scurvy?", "choices": "A|C;B|D", "key": "A"}\n')
    assert "quiz.parquet: 1 row" in run("add_layout.py", *arguments, folder=tmp_path)
    out = run("add_layout.py", folder=tmp_path, code=3)
    assert "quiz.parquet: 2 rows" in out and "left out: 1 rejected" in out
    assert "quiz.jsonl:3" in (tmp_path / "quiz.parquet.rejected.jsonl").read_text()


@pytest.mark.slow
def test_add_recipe(tmp_path: Path) -> None:
    pytest.importorskip("verl")
    (tmp_path / "medr3").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m medr3_plugin "$@"\n')
    (tmp_path / "medr3").chmod(0o755)
    out = subprocess.run(
        ["bash", str(EXAMPLES / "add_recipe.sh"), "mine"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(EXAMPLES.parent)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert out.returncode == 0, out.stdout + out.stderr
    assert not any(kind in out.stderr for kind in ("Warning", "WARNING"))  # what verl says on import
    assert out.stdout.count("at most 300 steps") == 2 and "one_gpu" not in out.stdout.split("./mine")[1]


def test_two_stage_schedule(tmp_path: Path) -> None:
    out = run("two_stage_schedule.py", folder=tmp_path)
    assert re.search(r"search_first ends after step \d\d: plateau: acc", out)
    assert "reason_with_it ends after step 120: max_steps 120" in out
    assert "reason_with_it: reasoning 0.2 to 0.8, retrieval 0.8 to 0.2" in out


def test_openrlhf_reward(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert "rewards [1.0, 0.1]" in run("openrlhf_reward.py", folder=tmp_path)


def test_trl_reward(tmp_path: Path) -> None:
    assert "rewards [1.0, 0.1, 0.1]" in run("trl_reward.py", folder=tmp_path)
