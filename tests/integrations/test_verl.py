"""The rewards as verl's plain reward function, loaded and called as verl does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medr3_plugin import InfrastructureFailure, SearchTurn, UserError, build_scorer
from medr3_plugin.integrations import verl as plain
from medr3_plugin.retrieval.protocol import turns_to_json
from medr3_plugin.rows import sample_of

RIGHT = "<think>Scurvy is a lack of collagen.</think><answer>vitamin C</answer>"
INFO = {"question": "Which vitamin prevents scurvy?", "index": 7, "num_turns": 2}


async def score(
    response: str = RIGHT, truth: Any = "vitamin C", info: Any = None, **more: Any
) -> dict[str, float]:
    return await plain.compute_score("mine", response, truth, info or INFO, stage="reasoning", **more)


async def test_the_record_is_the_scorers() -> None:
    got = await score(truth={"target": np.array(["vitamin C", "ascorbic acid"])})
    sample = sample_of({"answer": "vitamin C", "extra_info": INFO}, "x", response=RIGHT)
    [expected] = await build_scorer({}).score([replace(sample, stage="reasoning")])
    assert got == expected.record and got["score"] == 1.0
    assert (await score(RIGHT.replace("vitamin C", "vitamin D")))["acc"] == 0.0


async def test_a_thought_that_the_prompt_opened_counts_as_opened() -> None:
    assert (await score(RIGHT.removeprefix("<think>")))["score"] == 1.0


async def test_options_are_those_of_the_yaml() -> None:
    with pytest.raises(UserError):
        await score(options={"presett": "paper"})
    assert (await score(options={"preset": "paper"}))["score"] != 0.0


async def test_what_tools_inserted_is_never_taken_for_the_models_text() -> None:
    with pytest.raises(UserError, match="medr3"):
        await score(info={**INFO, "num_turns": 4})
    recorded = {**INFO, "num_turns": 4, "searches": "[]", "forged": True}
    assert (await score(info=recorded))["forged"] == 1.0


async def test_a_failed_search_is_no_reward() -> None:
    failed = turns_to_json([SearchTurn("scurvy", outcome="failed", failure="timeout")])
    with pytest.raises(InfrastructureFailure, match="timeout"):
        await plain.compute_score("mine", RIGHT, "vitamin C", {**INFO, "searches": failed, "stage": "joint"})
    with pytest.raises(InfrastructureFailure, match="aborted"):
        await score(info={**INFO, "searches": "[]", "aborted": True})


@pytest.mark.filterwarnings("ignore")
async def test_verl_loads_it_by_name() -> None:
    pytest.importorskip("verl")
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    section = {
        "path": "pkg://medr3_plugin.integrations.verl",
        "name": "compute_score",
        "reward_kwargs": {"stage": "reasoning", "options": {"weights": {"reasoning": 0.5}}},
    }
    function = get_custom_reward_fn(OmegaConf.create({"reward": {"custom_reward_function": section}}))
    assert function is not None
    got = await function(data_source="mine", solution_str=RIGHT, ground_truth="vitamin C", extra_info=INFO)
    assert got["score"] == 1.0


def test_verl_itself_is_not_imported() -> None:
    code = "import sys, medr3_plugin.integrations.verl; assert 'verl' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
