"""Every Python example runs as a user would run it, and says what it promises."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from medr3_plugin.records import ScoredSample

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


@pytest.fixture
def trl_reward() -> ModuleType:
    return load("trl_reward.py")


def load(name: str) -> ModuleType:
    """An example as the module that another framework loads from its path."""
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), EXAMPLES / name)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def test_openrlhf_reward_as_openrlhf_calls_it() -> None:
    """From its path, a sample a call, positional, in threads; the prompt cut from the left, special tokens kept."""
    pytest.importorskip("torch")
    module = load("openrlhf_reward.py")
    prompt = "<|im_start|>user\nEnd with <answer>D</answer>. " + "long " * 200 + "<|im_end|>\n<think>"
    label = json.dumps({"question": "Which vitamin?", "answers": ["vitamin C"]})
    queries = [
        f"{prompt[500:]}Scurvy is a lack of collagen.</think><answer>{a}</answer><|im_end|>"
        for a in ("vitamin C", "D")
    ]

    async def call() -> list[dict[str, Any]]:
        calls = [asyncio.to_thread(module.reward_func, [query], [prompt], [label]) for query in queries]
        return await asyncio.gather(*calls)

    right, wrong = asyncio.run(call())
    assert right["rewards"].tolist() == [1.0] and right["scores"].tolist() == [1.0]
    assert wrong["rewards"].item() < 0.4 and wrong["scores"].tolist() == [0.0]
    assert right["extra_logs"]["medr3_format"].tolist() == [1.0]
    assert not {"score", "reward"} & right["extra_logs"].keys()  # OpenRLHF's own logs
    with pytest.raises(ValueError, match="end of the prompt"):
        module.reward_func(["something else"], [prompt], [label])


def test_openrlhf_reward_makes_no_number_of_a_failure() -> None:
    pytest.importorskip("torch")
    module = load("openrlhf_reward.py")

    class Failing:
        async def score(self, samples):
            return [ScoredSample("", {"score": 0.0, "valid": 0.0}, {}, ("judge_timeout",)) for _ in samples]

    module.SCORER = Failing()
    with pytest.raises(RuntimeError, match="judge_timeout"):
        module.reward_func(["p<think>"], ["p"], ["x"])


def test_trl_reward(tmp_path: Path) -> None:
    assert "rewards [1.0, 0.1, 0.1]" in run("trl_reward.py", folder=tmp_path)


def test_trl_reward_keeps_failed_samples_and_tools_out(trl_reward: ModuleType) -> None:
    class Failing:
        async def score(self, samples):
            scored = await original.score(samples)
            return [replace(scored[0], record=scored[0].record | {"valid": 0.0}), *scored[1:]]

    original = trl_reward.SCORER
    trl_reward.SCORER = Failing()
    thought = "Scurvy is a lack of collagen.</think><answer>A</answer>"
    logged: dict[str, float] = {}
    rewards = asyncio.run(
        trl_reward.medr3_reward(
            prompts=["<think>"] * 2,
            completions=[thought, thought],
            completion_ids=[[1], [1]],
            trainer_state=None,
            question=["Which vitamin prevents scurvy?"] * 2,
            answers=[["vitamin C"]] * 2,
            options=[{"A": "vitamin C", "B": "vitamin D", "C": None}] * 2,
            log_metric=logged.__setitem__,
        )
    )
    assert rewards == [None, 1.0] and logged["medr3/valid"] == 0.5
    messages = [
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "<answer>A</answer>"},
        {"role": "assistant", "content": "x"},
    ]
    assert trl_reward.response_of([], messages) == "x"


@pytest.mark.slow
@pytest.mark.parametrize("data", ["plain", "conversational"])
def test_trl_trains_with_the_reward(tmp_path: Path, data: str) -> None:
    """Two real steps of GRPOTrainer with a tiny random model: the calling convention is TRL's own."""
    trl = Path(sys.prefix) / "trl"  # see requirements/trl.txt
    if not trl.is_dir():
        pytest.skip("no TRL beside the environment: tests/run.sh installs it")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "trl_training.py"), str(tmp_path), data],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(trl), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout.splitlines()[-1])
    assert len(steps) == 2
    assert all(step["medr3/valid"] == 1.0 and -1.0 <= step["reward"] <= 1.8 for step in steps)
