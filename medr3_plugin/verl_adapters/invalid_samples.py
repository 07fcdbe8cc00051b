"""Invalid samples never train, whatever the advantage estimator.

They leave the batch before verl computes anything from it: no log-probs, no baseline, no value target, no loss.
verl fills the batch up with rows of its own (`verl.trainer.ppo.padding_utils`, mask 0), which no estimator sees
either: some of them count rows, divide by the tokens of a group, or refuse groups of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from medr3_plugin.errors import UserError
from medr3_plugin.registered_names import ADVANTAGE_ESTIMATOR, REWARD_MANAGER, TRAINER_MODE, TRAINER_MODES
from medr3_plugin.runs.step_metrics import StepSample

WITHOUT_GROUP_BASELINE = ("gae", "reinforce_plus_plus")
"""Estimators whose baseline is not the group's."""

NOT_IN_V1 = ("remax", "gdpo", "optimal_token_baseline", "tir_optimal_token_baseline")
"""Estimators of verl 0.9.1 that its v1 trainer cannot feed: it hands over neither `reward_baselines`, the parts of the
reward nor `sum_pi_squared` (`PPOTrainer._compute_advantage`)."""

_WRITTEN = ("advantages", "returns", "token_level_rewards", "rollout_is_weights")
"""What `PPOTrainer._compute_advantage` writes for each row, as far as the run uses it; masks aside."""


def check_estimator(config: Any) -> None:
    """Refuse what could let an invalid sample train.

    Args:
        config: the run's whole configuration.

    Raises:
        UserError: naming the yaml path and the remedy.
    """
    mode = OmegaConf.select(config, "trainer.v1.trainer_mode")
    manager = OmegaConf.select(config, "reward.reward_manager.name")
    if manager == REWARD_MANAGER and mode not in (*TRAINER_MODES, None):
        raise UserError(
            f"trainer.v1.trainer_mode: {mode!r} would train on samples whose judge or search failed, as if their "
            f"reward were 0; with reward.reward_manager.name={REWARD_MANAGER} set it to {TRAINER_MODE}, which leaves "
            "them out (one stage in medr3.stages is enough)"
        )
    estimator = str(OmegaConf.select(config, "algorithm.adv_estimator"))
    weight = OmegaConf.select(config, "medr3.wrong_group_weight", default=1)
    if weight != 1 and estimator != ADVANTAGE_ESTIMATOR:
        raise UserError(
            f"medr3.wrong_group_weight: {weight} has no effect on {estimator!r}; set algorithm.adv_estimator to "
            f"{ADVANTAGE_ESTIMATOR}, or leave the weight at 1"
        )
    if mode in TRAINER_MODES and estimator in NOT_IN_V1:
        raise UserError(
            f"algorithm.adv_estimator: verl's v1 trainer does not give {estimator!r} what it needs; "
            "use medr3_grpo, grpo, rloo, reinforce_plus_plus or gae"
        )


def training_rows(samples: Sequence[StepSample], estimator: str, group_size: int) -> list[bool]:
    """Which samples train: the valid ones, unless all others of their group are gone.

    A sample alone in its group has no baseline: verl would train it on its raw reward, or stop.

    Args:
        estimator: `algorithm.adv_estimator`.
        group_size: samples that were drawn for each prompt.
    """
    left = Counter(sample.group for sample in samples if sample.valid)
    least = 1 if estimator in WITHOUT_GROUP_BASELINE or group_size < 2 else 2
    return [sample.valid and left[sample.group] >= least for sample in samples]


def too_few(
    samples: Sequence[StepSample], trains: Sequence[bool], lost: int, max_invalid_share: float
) -> str | None:
    """Why a step cannot continue, or None.

    Args:
        trains: which samples train, see `training_rows`.
        lost: trajectories that raised an exception, and so are not among the samples.
        max_invalid_share: `medr3.max_invalid_share`.
    """
    invalid = 1.0 - sum(sample.valid for sample in samples) / (len(samples) + lost)
    if invalid > max_invalid_share:
        return f"{invalid:.0%} of the samples are invalid, more than medr3.max_invalid_share={max_invalid_share:.0%}"
    return None if any(trains) else "no sample is left to train on"


def no_advantage_for_padding(batch: KVBatchMeta, estimated: KVBatchMeta) -> KVBatchMeta:
    """`batch` with zeros in its padding rows for whatever was written to the others, as verl's next calls want it.

    Args:
        batch: rows with and without samples, in the order of the workers.
        estimated: what verl returned for the rows with samples.
    """
    seen = set(estimated.keys)
    padding = [key for key in batch.keys if key not in seen]
    if not padding:
        return estimated
    written = tq.kv_batch_get(
        keys=estimated.keys[:1], partition_id=batch.partition_id, select_fields=list(_WRITTEN)
    )
    one = torch.zeros(1)  # the response of a padding row has one token
    zeros = {
        name: torch.nested.as_nested_tensor([one] * len(padding), layout=torch.jagged)
        for name in written.keys()  # noqa: SIM118 (a TensorDict iterates over its rows)
    }
    tq.kv_batch_put(
        keys=padding, partition_id=batch.partition_id, fields=TensorDict(zeros, batch_size=len(padding))
    )
    return KVBatchMeta(
        partition_id=batch.partition_id,
        keys=batch.keys,
        tags=batch.tags,
        fields=estimated.fields,
        extra_info=estimated.extra_info,
    )
