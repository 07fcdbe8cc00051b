from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("omegaconf")

from omegaconf import OmegaConf

from medr3_plugin.errors import UserError
from medr3_plugin.judge.factory import ROUTER_VARIABLE
from medr3_plugin.stages.judge_model import ask_through_the_manager, never_called


def config(judge: dict[str, Any] | None, manager: str = "medr3", **model: Any) -> Any:
    served = {
        "enable": True,
        "enable_resource_pool": True,
        "model_path": "a/judge",
        "rollout": {"free_cache_engine": False},
        **model,
    }
    reward = {
        "reward_manager": {"name": manager},
        "reward_model": served,
        "custom_reward_function": {"path": None, "name": "compute_score"},
    }
    found = OmegaConf.create({"reward": reward, "medr3": {"reward": {"judge": judge}}})
    OmegaConf.set_struct(found, True)
    return found


def test_verl_is_made_to_ask_the_manager_and_finds_the_function_it_looks_for():
    given = config({"kind": "router"})
    ask_through_the_manager(given)
    function = given.reward.custom_reward_function
    loading = pytest.importorskip("verl.utils.import_utils")
    assert loading.load_extern_object(function.path, function.name) is never_called


def test_a_reward_function_of_ones_own_is_kept():
    given = config({"kind": "router"})
    given.reward.custom_reward_function.path = "mine.py"
    ask_through_the_manager(given)
    assert given.reward.custom_reward_function == {"path": "mine.py", "name": "compute_score"}


@pytest.mark.parametrize(
    ("judge", "model", "message"),
    [
        ({"kind": "router"}, {"enable": False}, r"medr3\.reward\.judge\.kind: router needs a model"),
        ({"kind": "rule"}, {}, r"reward\.reward_model\.enable: .* only as its judge"),
        (None, {}, r"reward\.reward_model\.enable: .* only as its judge"),
        ({"kind": "router"}, {"enable_resource_pool": False}, "enable_resource_pool: must be true"),
        ({"kind": "router"}, {"rollout": {"free_cache_engine": True}}, "free_cache_engine: must be false"),
        ({"kind": "router"}, {"model_path": None}, "model_path: not set"),
    ],
)
def test_a_judge_that_nobody_serves_or_asks_is_a_mistake(monkeypatch, judge, model, message):
    monkeypatch.delenv(ROUTER_VARIABLE, raising=False)
    with pytest.raises(UserError, match=message):
        ask_through_the_manager(config(judge, **model))


def test_nothing_to_do(monkeypatch):
    monkeypatch.setenv(ROUTER_VARIABLE, "127.0.0.1:1")
    for given in (
        config({"kind": "rule"}, enable=False),
        config({"kind": "router"}, enable=False),  # its address is in the environment
        config({"kind": "rule"}, manager="naive"),  # not our reward manager
    ):
        before = OmegaConf.to_container(given)
        ask_through_the_manager(given)
        assert OmegaConf.to_container(given) == before
