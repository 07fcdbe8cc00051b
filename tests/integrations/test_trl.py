"""The rewards as TRL's reward function: called as TRL calls it, and in two real steps of its trainer (slow)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medr3_plugin import RowError, build_scorer
from medr3_plugin.integrations.trl import make_reward_func, medr3_reward, response_of

QUESTION = "Which vitamin prevents scurvy?"
THOUGHT = "Scurvy is a lack of collagen.</think><answer>A</answer>"
MESSAGES = [{"role": "user", "content": QUESTION}]
ROW = {"answers": [["vitamin C"]], "options": [{"A": "vitamin C", "B": "vitamin D", "C": None}]}


def said(content: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": content}]


def rewards(function: Any = medr3_reward, **given: Any) -> list[float | None]:
    return asyncio.run(function(completion_ids=[[1]], trainer_state=None, **{**ROW, **given}))


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [
        (f"{QUESTION} <think>", THOUGHT),
        (QUESTION, "<think>" + THOUGHT),
        (MESSAGES, said("<think>" + THOUGHT)),
        (MESSAGES, said(THOUGHT)),  # the chat template opened <think>
    ],
)
def test_the_form_of_the_prompt_changes_nothing(prompt: Any, completion: Any) -> None:
    assert rewards(prompts=[prompt], completions=[completion]) == [1.0]


def test_an_answer_in_reasoning_that_never_closes_is_none_in_either_form() -> None:
    cut = "Scurvy is a lack of collagen, and thus <answer>A</answer>"
    [plain] = rewards(prompts=[f"{QUESTION} <think>"], completions=[cut])
    [chat] = rewards(make_reward_func(opens_think=True), prompts=[MESSAGES], completions=[said(cut)])
    assert plain == chat and chat is not None and chat < 0


def test_the_columns_are_read_like_any_row() -> None:
    given = {"prompts": [MESSAGES], "completions": [said("<think>" + THOUGHT)]}
    assert rewards(**given, answers=['{"target": ["vitamin C"]}']) == [1.0]
    with pytest.raises(RowError, match=r"row 1 of the batch.*answer"):
        rewards(**given, answers=[None])


def test_failed_samples_have_no_reward() -> None:
    scorer = build_scorer({})

    class Failing:
        async def score(self, samples):
            scored = await scorer.score(samples)
            return [replace(scored[0], record={**scored[0].record, "valid": 0.0}), *scored[1:]]

    logged: dict[str, float] = {}
    got = rewards(
        make_reward_func(Failing()),
        prompts=["<think>"] * 2,
        completions=[THOUGHT] * 2,
        question=[QUESTION] * 2,
        answers=[["vitamin C"]] * 2,
        options=ROW["options"] * 2,
        log_metric=logged.__setitem__,
    )
    assert got == [None, 1.0] and logged["medr3/valid"] == 0.5


def test_messages_of_tools_are_not_the_models() -> None:
    messages = [
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "content": "<answer>A</answer>"},
        {"role": "assistant", "content": "x"},
    ]
    assert response_of([], messages) == "x"


@pytest.mark.slow
def test_trl_trains_with_the_reward(tmp_path: Path) -> None:
    """Two real steps of GRPOTrainer a form of data with a tiny random model: the calling convention is TRL's own."""
    trl = Path(sys.prefix) / "trl"  # see requirements/trl.txt
    if not trl.is_dir():
        pytest.skip("no TRL beside the environment: tests/run.sh installs it")
    root = Path(__file__).resolve().parents[2]
    paths = [str(trl), str(root), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, str(root / "tests" / "trl_training.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    logged = json.loads(done.stdout.splitlines()[-1])
    assert [len(steps) for steps in logged.values()] == [2, 2], logged
    for steps in logged.values():
        assert all(step["medr3/valid"] == 1.0 and -1.0 <= step["reward"] <= 1.8 for step in steps)
