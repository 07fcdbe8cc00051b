"""Every Python example runs as a user would run it, and says what it promises."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert {path.name for path in EXAMPLES.glob("*.py")} <= set(re.findall(r'"(\w+\.py)"', text))


def test_score_trajectories(tmp_path: Path) -> None:
    lines = run("score_trajectories.py", folder=tmp_path).splitlines()[1:]
    scores = {line.split()[0]: float(line.split()[1]) for line in lines}
    assert scores["right"] > 1 and scores["hedged"] <= 0.3 and scores["wrong"] <= 0.3


def test_add_reward_part(tmp_path: Path) -> None:
    right, wrong = run("add_reward_part.py", folder=tmp_path).splitlines()
    assert "citation 1.00" in right and float(right.split()[2]) > 1 and float(wrong.split()[2]) <= 0.3


def test_retrieval_service(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = run("retrieval_service.py", str(port), folder=tmp_path).splitlines()
    assert "Scurvy" in out[1] and "level 7" in out[1]
    assert "Beriberi" in out[out.index("thiamine") + 1]


def test_add_benchmark(tmp_path: Path) -> None:
    out = run("add_benchmark.py", "mine.jsonl", folder=tmp_path)
    assert "own:1: accepted ['vitamin C', 'ascorbic acid']" in out
    assert "A. lorazepam" in out and "--benchmark generic=mine.jsonl" in out


def test_two_stage_schedule(tmp_path: Path) -> None:
    out = run("two_stage_schedule.py", folder=tmp_path)
    assert re.search(r"search_first ends after step \d\d: plateau: acc", out)
    assert "reason_with_it ends after step 120: max_steps 120" in out
    assert "from (0.2, 0.8, 0.0) to (0.8, 0.2, 0.0)" in out


def test_openrlhf_reward(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert "rewards [1.0, 0.1]" in run("openrlhf_reward.py", folder=tmp_path)


def test_trl_reward(tmp_path: Path) -> None:
    assert "rewards [1.0, 0.1, 0.1]" in run("trl_reward.py", folder=tmp_path)
