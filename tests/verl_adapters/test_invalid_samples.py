"""Nothing of an invalid sample trains: verl's own steps from the drawn batch to the advantages, for each estimator."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

import transfer_queue  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from transfer_queue import KVBatchMeta  # noqa: E402
from verl.trainer.ppo import core_algos  # noqa: E402
from verl.trainer.ppo.v1 import PPOTrainerSync  # noqa: E402
from verl.utils.tensordict_utils import list_of_dict_to_tensordict  # noqa: E402

from medr3_plugin.errors import UserError  # noqa: E402
from medr3_plugin.runs.step_metrics import DETAIL_KEY, StepSample  # noqa: E402
from medr3_plugin.stages.trainer import ProgressiveTrainer  # noqa: E402
from medr3_plugin.verl_adapters.invalid_samples import (  # noqa: E402
    NOT_IN_V1,
    check_estimator,
    training_rows,
)

ESTIMATORS = sorted({*core_algos.ADV_ESTIMATOR_REGISTRY, "medr3_grpo"} - set(NOT_IN_V1))

SAMPLES = [
    # group, reward, valid, tokens
    ("a", 1.0, True, 3),
    ("a", 0.0, False, 6),
    ("a", 0.1, True, 5),
    ("a", 0.4, True, 4),
    ("b", 1.4, True, 6),
    ("b", 0.3, True, 2),
    ("b", 0.0, False, 3),
    ("b", -0.4, True, 5),
]
ALONE = [("c", 0.7, True, 4), ("c", 0.0, False, 4)]


class Queue:
    """TransferQueue's key-value calls in this process, as far as verl's trainer uses them."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def get(self, keys, partition_id, select_fields=None):
        rows = [self.rows[key] for key in keys]
        fields = select_fields or list(rows[0])
        return list_of_dict_to_tensordict([{f: row[f] for f in fields if f in row} for row in rows])

    def put(self, keys, partition_id, fields=None, tags=None):
        for name in fields.keys() if fields is not None else ():
            values = fields[name].unbind() if isinstance(fields[name], torch.Tensor) else list(fields[name])
            for key, value in zip(keys, values, strict=True):
                self.rows.setdefault(key, {})[name] = value
        return KVBatchMeta(
            keys=list(keys), tags=[{} for _ in keys], partition_id=partition_id, fields=["all"]
        )


@pytest.fixture
def queue(monkeypatch):
    held = Queue()
    monkeypatch.setattr(transfer_queue, "kv_batch_get", held.get)
    monkeypatch.setattr(transfer_queue, "kv_batch_put", held.put)
    return held


def draw(queue, samples) -> KVBatchMeta:
    keys, tags = [], []
    for session, (group, reward, valid, tokens) in enumerate(samples):
        mask = torch.ones(tokens, dtype=torch.int64)
        mask[0] = 0  # a document's token
        scores = torch.zeros(tokens)
        scores[-1] = reward
        info = {
            "score": reward,
            "acc": float(reward >= 1),
            "valid": float(valid),
            DETAIL_KEY: json.dumps({"failures": []}),
        }
        key = f"{group}_{session}_0"
        queue.rows[key] = {
            "uid": group,
            "prompts": torch.ones(2, dtype=torch.int64),
            "responses": torch.ones(tokens, dtype=torch.int64),
            "response_mask": mask,
            "loss_mask": mask,
            "input_ids": torch.ones(2 + tokens, dtype=torch.int64),
            "position_ids": torch.arange(2 + tokens),
            "rm_scores": scores,
            "rollout_log_probs": torch.full((tokens,), -0.5),
            "old_log_probs": torch.full((tokens,), -0.5),
            "values": torch.linspace(0, 0.3 * (session + 1), tokens),
            "extra_fields": {"reward_extra_info": info},
        }
        keys.append(key)
        tags.append({"seq_len": 2 + tokens, "prompt_len": 2, "response_len": tokens})
    return KVBatchMeta(partition_id="train", keys=keys, tags=tags)


def trainer(cls, estimator: str, mini_batch: int, wrong_group_weight: float = 1.0) -> Any:
    class WithoutWorkers(cls):
        def __init__(self) -> None:
            pass

    made = WithoutWorkers()
    made.on_step_begin()
    made.parameter_sync_step = 1
    made.config = OmegaConf.create(
        {
            "algorithm": {
                "adv_estimator": estimator,
                "gamma": 1.0,
                "lam": 0.95,
                "use_kl_in_reward": False,
                "norm_adv_by_std_in_grpo": True,
                "rollout_correction": {"bypass_mode": True},
            },
            "actor_rollout_ref": {"rollout": {"n": 4}, "actor": {"ppo_mini_batch_size": mini_batch}},
            "data": {"train_batch_size": 2},
            "trainer": {"critic_warmup": 0},
            "critic": {"ppo_mini_batch_size": mini_batch},
        }
    )
    made.use_critic, made.global_steps, made.timing_raw = estimator == "gae", 3, {}
    made.settings = SimpleNamespace(max_invalid_share=0.5, wrong_group_weight=wrong_group_weight)
    made.tokenizer = SimpleNamespace(eos_token_id=0)
    made.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0]})
    return made


def estimated(queue, estimator: str, samples, **settings) -> tuple[KVBatchMeta, dict[str, Any]]:
    """A step of the staged trainer up to the advantages, which are told by sample; padding rows under `pad…`."""
    ours = trainer(ProgressiveTrainer, estimator, mini_batch=2, **settings)
    batch = ours._balance_batch(draw(queue, samples), {})
    for key in batch.keys:  # what verl computes in between
        queue.rows[key]["old_log_probs"] = queue.rows[key]["rollout_log_probs"]
        queue.rows[key]["values"] = queue.rows[key]["values"][: len(queue.rows[key]["responses"])]
    batch = ours._compute_advantage(batch, {})
    return batch, {key: queue.rows[key] for key in batch.keys}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_others_get_what_they_would_get_without_the_invalid_ones(queue, estimator):
    batch, rows = estimated(queue, estimator, SAMPLES)
    padding = [key for key in batch.keys if key.startswith("pad")]
    assert len(batch) == 8 and len(padding) == 2  # a whole mini-batch, and no row of an invalid sample in it
    assert {key.split("_")[1] for key in batch.keys if key not in padding} == set("023457")
    for key in padding:  # nothing in loss, baseline or value target
        for name in ("response_mask", "loss_mask", "advantages", "returns"):
            assert not rows[key][name].any()

    reduced = Queue()
    reduced.rows = {}
    theirs = [sample for sample in SAMPLES if sample[2]]
    alone = draw(reduced, SAMPLES)
    kept = [key for key, sample in zip(alone.keys, SAMPLES, strict=True) if sample[2]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer_queue, "kv_batch_get", reduced.get)
        patch.setattr(transfer_queue, "kv_batch_put", reduced.put)
        trainer(PPOTrainerSync, estimator, 2)._compute_advantage(alone.select_keys(kept), {})
    assert len(kept) == len(theirs) == 6
    for key in kept:
        for name in ("advantages", "returns"):
            torch.testing.assert_close(rows[key][name], reduced.rows[key][name], atol=1e-6, rtol=1e-6)
    assert any(reduced.rows[key]["advantages"].any() for key in kept)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_sample_that_lost_its_group_trains_only_without_a_group_baseline(queue, estimator):
    batch, _ = estimated(queue, estimator, SAMPLES + ALONE)
    assert any(key.startswith("c_8") for key in batch.keys) is (estimator in ("gae", "reinforce_plus_plus"))


def test_training_rows():
    samples = [StepSample(group, {"valid": float(valid)}) for group, _, valid, _ in SAMPLES + ALONE]
    valid = [sample.valid for sample in samples]
    assert training_rows(samples, "gae", 4) == valid
    assert training_rows(samples, "grpo", 4) == [*valid[:-2], False, False]
    assert training_rows(samples[-2:], "grpo", 1) == [True, False]  # one sample a prompt was asked for


def test_every_estimator_of_verl_is_decided():
    names = {estimator.value for estimator in core_algos.AdvantageEstimator}
    assert names <= {*ESTIMATORS, *NOT_IN_V1}


def run_config(**changes: str) -> Any:
    config = OmegaConf.create(
        {
            "trainer": {"v1": {"trainer_mode": "medr3_progressive"}},
            "reward": {"reward_manager": {"name": "medr3"}},
            "algorithm": {"adv_estimator": "medr3_grpo"},
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    return config


@pytest.mark.parametrize("estimator", NOT_IN_V1)
def test_what_verls_trainer_cannot_feed_is_refused(estimator):
    with pytest.raises(UserError, match=r"algorithm\.adv_estimator"):
        check_estimator(run_config(algorithm__adv_estimator=estimator))


def test_a_trainer_that_would_train_on_failures_is_refused():
    with pytest.raises(UserError, match=r"trainer\.v1\.trainer_mode"):
        check_estimator(run_config(trainer__v1__trainer_mode="sync", algorithm__adv_estimator="grpo"))
    check_estimator(run_config(trainer__v1__trainer_mode="sync", reward__reward_manager__name="naive"))


def test_groups_without_a_right_answer_train_as_far_as_told(queue):
    wrong = [("w", 0.1, True, 3), ("w", 0.3, True, 4), *SAMPLES[4:]]
    _, rows = estimated(queue, "medr3_grpo", wrong, wrong_group_weight=0.0)
    trained = {key.split("_")[0] for key, row in rows.items() if row["advantages"].any()}
    assert trained == {"b"}
    with pytest.raises(UserError, match=r"medr3\.wrong_group_weight"):
        check_estimator(run_config(algorithm__adv_estimator="grpo", medr3__wrong_group_weight=0.5))


def test_padding_rows_of_verl_reach_no_estimator(queue):
    """Why they are taken out: with them, OPO divides by no token and Pass@k stops."""
    whole = copy.deepcopy([sample for sample in SAMPLES if sample[2]])
    ours = trainer(ProgressiveTrainer, "opo", mini_batch=2)
    batch = ours._balance_batch(draw(queue, whole), {})
    scores = {key: float(queue.rows[key]["rm_scores"].sum()) for key in batch.keys}
    mask = [queue.rows[key]["response_mask"] for key in batch.keys if key.startswith("pad")]
    assert len(mask) == 2 and not any(part.any() for part in mask)
    width = torch.nn.utils.rnn.pad_sequence
    rewards = width([queue.rows[key]["rm_scores"] for key in batch.keys], batch_first=True)
    masks = width([queue.rows[key]["response_mask"] for key in batch.keys], batch_first=True)
    index = np.array([queue.rows[key]["uid"] for key in batch.keys], dtype=object)
    advantages, _ = core_algos.compute_opo_outcome_advantage(rewards, masks, index)
    assert torch.isnan(advantages).any() and len(scores) == 8
    ours._compute_advantage(batch, {})
    assert all(torch.isfinite(queue.rows[key]["advantages"]).all() for key in batch.keys)
