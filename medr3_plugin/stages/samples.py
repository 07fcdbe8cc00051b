"""The trajectories of a step as verl keeps them in TransferQueue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import transfer_queue as tq

from medr3_plugin.runs.step_metrics import StepSample

TRAIN = "train"
"""TransferQueue's partition of training samples."""


class ScoredBatch:
    """The scored trajectories of a batch.

    Attributes:
        keys: their keys in TransferQueue.
        samples: what is known of each; same order.
    """

    def __init__(self, batch: Any) -> None:
        self.keys: list[str] = list(batch.keys)
        data = _columns(self.keys, "extra_fields", "uid", "rm_scores")
        # what TransferQueue returns for non-tensor fields depends on its backend; iterating works for all
        columns = (list(data[key]) for key in ("uid", "extra_fields", "rm_scores"))
        self.samples = [
            StepSample.from_reward_extra_info(str(uid), field["reward_extra_info"], float(score.sum()))
            for uid, field, score in zip(*columns, strict=True)
        ]


def response_texts(keys: Sequence[str], tokenizer: Any) -> list[str]:
    """The responses of these trajectories, special tokens left out."""
    if not keys:
        return []
    responses = _columns(keys, "responses")["responses"]
    return [tokenizer.decode(ids, skip_special_tokens=True) for ids in responses.unbind()]


def _columns(keys: Sequence[str], *fields: str) -> Any:
    return tq.kv_batch_get(keys=list(keys), partition_id=TRAIN, select_fields=list(fields))


def prompts_in_flight() -> dict[str, str]:
    """Training prompts that were drawn and not yet trained on: key -> status in TransferQueue."""
    return {key: tag["status"] for key, tag in _tags().items() if tag.get("is_prompt", False)}


def forget_prompts(keys: Collection[str]) -> None:
    """Remove prompts and all of their trajectories."""
    _clear([key for key in _tags() if key.partition("_")[0] in keys])


def forget_strays() -> None:
    """Remove trajectories whose prompt is gone, which belong to the step in which a checkpoint was written."""
    listed = _tags()
    _clear([key for key in listed if key.partition("_")[0] not in listed])


def _tags() -> dict[str, dict[str, Any]]:
    return (tq.kv_list(TRAIN) or {}).get(TRAIN, {})


def _clear(keys: list[str]) -> None:
    if keys:
        tq.kv_clear(keys=keys, partition_id=TRAIN)
