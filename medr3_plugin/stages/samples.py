"""The trajectories of a step as verl keeps them in TransferQueue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import transfer_queue as tq

from medr3_plugin.runs.step_metrics import StepSample


def scored_samples(batch: Any) -> tuple[list[StepSample], list[int]]:
    """The scored samples of `batch` without the rows that verl added to fill it up, and their places in it."""
    rows = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
    data = _columns(batch, rows, "extra_fields", "uid", "rm_scores")
    # what TransferQueue returns for non-tensor fields depends on its backend; iterating works for all
    uids, fields, scores = (list(data[key]) for key in ("uid", "extra_fields", "rm_scores"))
    samples = [
        StepSample.from_reward_extra_info(str(uid), field["reward_extra_info"], float(score.sum()))
        for uid, field, score in zip(uids, fields, scores, strict=True)
    ]
    return samples, rows


def response_texts(batch: Any, rows: Sequence[int], tokenizer: Any) -> list[str]:
    """The responses in these places of `batch`, special tokens left out."""
    responses = _columns(batch, rows, "responses")["responses"]
    return [tokenizer.decode(ids, skip_special_tokens=True) for ids in responses.unbind()]


def _columns(batch: Any, rows: Sequence[int], *fields: str) -> Any:
    keys = [batch.keys[i] for i in rows]
    return tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=list(fields))
