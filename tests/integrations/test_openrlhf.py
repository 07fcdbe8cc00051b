"""The rewards as OpenRLHF's reward function."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from medr3_plugin import InfrastructureFailure, ScoredSample, UserError
from medr3_plugin.integrations.openrlhf import make_reward_func, make_sample

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "openrlhf_reward.py"


def test_as_openrlhf_calls_it() -> None:
    """From its path, a sample a call, positional, in threads; the prompt cut from the left, special tokens kept."""
    pytest.importorskip("torch")
    spec = importlib.util.spec_from_file_location("my_reward", EXAMPLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
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
    with pytest.raises(UserError):
        module.reward_func(["something else"], [prompt], [label])


@pytest.mark.parametrize(
    ("label", "answers"),
    [
        ("vitamin C", ("vitamin C",)),
        ("3", ("3",)),
        ('["A", "B"]', ("A", "B")),
        ('{"target": ["A"]}', ("A",)),
        ('{"answers": ["A"], "question": "Q?"}', ("A",)),
    ],
)
def test_labels(label: str, answers: tuple[str, ...]) -> None:
    sample = make_sample("Which?x", "Which?", label, "joint")
    assert sample.answers == answers and sample.stage == "joint"
    assert sample.question == ("Q?" if "question" in label else "Which?")


def test_a_label_without_an_answer_is_refused() -> None:
    with pytest.raises(UserError, match="answer"):
        make_sample("px", "p", '{"question": "Q?"}', "reasoning")


def test_no_number_is_made_of_a_failure() -> None:
    pytest.importorskip("torch")

    class Failing:
        async def score(self, samples):
            return [ScoredSample("", {"score": 0.0, "valid": 0.0}, {}, ("judge_timeout",)) for _ in samples]

    with pytest.raises(InfrastructureFailure, match="judge_timeout"):
        make_reward_func(Failing())(["p<think>"], ["p"], ["x"])
