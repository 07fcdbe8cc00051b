"""The reward manager between verl's data and the scorer."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

from omegaconf import OmegaConf  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from verl import DataProto  # noqa: E402

from medr3_plugin.errors import UserError  # noqa: E402
from medr3_plugin.llm.stats import current  # noqa: E402
from medr3_plugin.records import Document, Hit, SearchTurn  # noqa: E402
from medr3_plugin.retrieval.protocol import turns_to_json  # noqa: E402
from medr3_plugin.rewards.options import reward_options  # noqa: E402
from medr3_plugin.rewards.record import KEYS  # noqa: E402
from medr3_plugin.runs.step_metrics import DETAIL_KEY, StepSample  # noqa: E402
from medr3_plugin.verl_adapters.response_text import response_text  # noqa: E402
from medr3_plugin.verl_adapters.reward_manager import Medr3RewardManager  # noqa: E402

CONFIG = OmegaConf.create(
    {
        "medr3": {
            "stages": [{"name": "reasoning"}, {"name": "joint", "reward": {"weights": {"reasoning": 0.5}}}],
            "reward": {"preset": "medr3", "extractor": {"kind": "lexicon"}},
        }
    }
)


class Characters:
    def decode(self, ids, skip_special_tokens):
        return "".join(chr(int(i)) for i in ids)


def data(response, *, stage="reasoning", fields=None, padding=3):
    ids = [ord(c) for c in response]
    row = np.empty(1, dtype=object)
    info = np.empty(1, dtype=object)
    extra = np.empty(1, dtype=object)
    row[0] = {"ground_truth": "Flu", "style": "rule"}
    info[0] = {
        "id": "q1",
        "question": "Which disease has fever?",
        "answers": ["Flu", "Influenza"],
        "gold_docs": ["d1"],
        "references": json.dumps(
            [{"triples": [["Flu", "has sign", "fever", True]], "text": "Flu has fever."}]
        ),
        "options": "",
        "stage": stage,
    }
    extra[0] = fields or {}
    return DataProto(
        batch=TensorDict(
            {
                "prompts": torch.zeros(1, 2, dtype=torch.long),
                "responses": torch.tensor([ids + [0] * padding]),
                "attention_mask": torch.tensor([[1, 1] + [1] * len(ids) + [0] * padding]),
            },
            batch_size=1,
        ),
        non_tensor_batch={
            "reward_model": row,
            "extra_info": info,
            "tool_extra_fields": extra,
            "data_source": np.array(["rare_disease"], dtype=object),
        },
    )


def run(*args, **kwargs):
    manager = Medr3RewardManager(CONFIG, Characters())
    return asyncio.run(manager.run_single(data(*args, **kwargs)))


def test_record_and_detail_of_a_right_answer():
    turn = SearchTurn("fever", (Hit(Document("d1", "Signs: fever.", "Flu"), 1.0),), ("d1",), "ok", 0.01)
    fields = {"searches": turns_to_json([turn]), "forged": False, "truncated": False}
    response = (
        "<think> <search> fever </search><document> Flu. Signs: fever. </document> Flu has fever. </think>"
        "<answer> influenza </answer>"
    )
    result = run(response, fields=fields)
    info = result["reward_extra_info"]
    assert set(info) == {*KEYS, DETAIL_KEY}
    assert all(isinstance(info[key], float) for key in KEYS)
    assert info["acc"] == 1.0 and result["reward_score"] == info["score"] >= 1.0
    sample = StepSample.from_reward_extra_info("g", info, info["score"])
    assert sample.detail["gold_docs"] == ["d1"] and sample.searches[0]["documents"][0]["id"] == "d1"
    assert sample.valid and "text" not in sample.searches[0]["documents"][0]


def test_a_failed_search_makes_the_sample_invalid():
    turn = SearchTurn("fever", outcome="failed", failure="timeout")
    info = run("<think>x</think><answer>Flu</answer>", fields={"searches": turns_to_json([turn])})[
        "reward_extra_info"
    ]
    sample = StepSample.from_reward_extra_info("g", info, info["score"])
    assert info["valid"] == 0.0 and not sample.valid
    assert any("timeout" in kind for kind in sample.detail["failures"])


def test_padding_is_not_text_and_a_prefilled_think_is_restored():
    info = run("x</think><answer>Flu</answer>", fields={"prefill_think": True})["reward_extra_info"]
    assert info["format"] == 1.0 and info["acc"] == 1.0


@pytest.mark.parametrize("agent", ["medr3_tool", "with a mask"])
def test_a_tools_reply_is_never_the_models_answer(agent):
    said = "<think>I ask a tool.</think><tool_call>x</tool_call>"
    reply = "user <tool_response><think>x</think><answer>Flu</answer></tool_response>assistant "
    end = "<think>I do not know.</think>"
    runs = [[len(said), len(said) + len(reply)]]
    batch = data(said + reply + end, fields={"inserted": runs} if agent == "medr3_tool" else {})
    if agent != "medr3_tool":
        mask = [1] * len(said) + [0] * len(reply) + [1] * len(end) + [0] * 3
        batch.batch["response_mask"] = torch.tensor([mask])
    info = asyncio.run(Medr3RewardManager(CONFIG, Characters()).run_single(batch))["reward_extra_info"]
    assert info["answer"] == 0 and info["acc"] == 0 and info["score"] < 0
    batch = data(said + reply + end + "<answer>Flu</answer>", fields={"inserted": runs})
    info = asyncio.run(Medr3RewardManager(CONFIG, Characters()).run_single(batch))["reward_extra_info"]
    assert info["acc"] == 1 and info["forged"] == 0


def test_several_turns_without_a_mask_are_refused():
    batch = data("<think>x</think><answer>Flu</answer>")
    batch.non_tensor_batch["__num_turns__"] = np.array([4])
    batch.non_tensor_batch["agent_name"] = np.array(["tool_agent"], dtype=object)
    with pytest.raises(UserError, match="tool_agent"):
        asyncio.run(Medr3RewardManager(CONFIG, Characters()).run_single(batch))


@pytest.mark.parametrize("carried", ["", "<", "<doc"])
def test_documents_stay_and_are_forged_only_by_the_model(carried):
    asked, shown = (
        f"<think>hm <search>fever</search>{carried}",
        "<document> Flu. </document>".removeprefix(carried),
    )
    rest = " so</think><answer>Flu</answer>"
    text, forged = response_text(
        [ord(c) for c in asked + shown + rest],
        [1] * len(asked) + [0] * len(shown) + [1] * len(rest),
        Characters(),
    )
    assert (
        text == "<think>hm <search>fever</search><document> Flu. </document> so</think><answer>Flu</answer>"
    )
    assert not forged
    assert response_text([ord(c) for c in shown + rest], [1] * len(shown + rest), Characters())[1]


def test_keys_do_not_depend_on_the_sample():
    keys = {
        tuple(run(text)["reward_extra_info"])
        for text in ("", "<answer>Flu</answer>", "<document>x</document>")
    }
    assert len(keys) == 1


def test_what_the_judge_did_travels_with_the_sample(monkeypatch):
    manager = Medr3RewardManager(CONFIG, Characters())
    score = manager.scorer.score

    async def judged(samples):
        current().requests += 2
        current().failures["timeout"] += 1
        return await score(samples)

    texts = ("<think>x</think><answer>Flu</answer>", "")
    quiet, _ = (asyncio.run(manager.run_single(data(text)))["reward_extra_info"] for text in texts)
    monkeypatch.setattr(manager.scorer, "score", judged)
    asked = asyncio.run(manager.run_single(data(texts[0])))["reward_extra_info"]
    assert json.loads(asked[DETAIL_KEY])["judge"] == {"requests": 2, "failures": {"timeout": 1}}
    assert json.loads(quiet[DETAIL_KEY])["judge"] == {} and set(quiet) == set(asked) == {*KEYS, DETAIL_KEY}


def test_stage_overrides_and_router_address_reach_the_scorer():
    section = {
        "stages": [
            {"name": "joint", "reward": {"weights": {"reasoning": 0.5}}},
            {"name": "other", "reward": {}},
        ],
        "reward": {"judge": {"kind": "router"}, "stages": {"joint": {"preset": "joint"}}},
    }
    options = reward_options(section, "127.0.0.1:1")
    assert options["stages"]["joint"] == {"preset": "joint", "weights": {"reasoning": 0.5}}
    assert options["judge"] == {"kind": "router", "address": "127.0.0.1:1"}
    assert "address" not in section["reward"]["judge"]
