"""The trajectories of a step as verl keeps them in TransferQueue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import transfer_queue as tq

from medr3_plugin.runs.step_metrics import StepSample


class ScoredBatch:
    """The scored trajectories of a batch, without the rows that verl added to fill it up.

    Attributes:
        rows: their places in the batch.
        keys: their keys in TransferQueue.
        samples: what is known of each; same order.
    """

    def __init__(self, batch: Any) -> None:
        self.rows = [i for i, tag in enumerate(batch.tags) if not tag.get("is_padding", False)]
        self.keys = [batch.keys[i] for i in self.rows]
        self._partition = batch.partition_id
        data = self._columns(self.keys, "extra_fields", "uid", "rm_scores")
        # what TransferQueue returns for non-tensor fields depends on its backend; iterating works for all
        columns = (list(data[key]) for key in ("uid", "extra_fields", "rm_scores"))
        self.samples = [
            StepSample.from_reward_extra_info(str(uid), field["reward_extra_info"], float(score.sum()))
            for uid, field, score in zip(*columns, strict=True)
        ]

    def responses(self, places: Sequence[int], tokenizer: Any) -> list[str]:
        """The responses of these `samples`, special tokens left out."""
        if not places:
            return []
        responses = self._columns([self.keys[i] for i in places], "responses")["responses"]
        return [tokenizer.decode(ids, skip_special_tokens=True) for ids in responses.unbind()]

    def _columns(self, keys: Sequence[str], *fields: str) -> Any:
        return tq.kv_batch_get(keys=list(keys), partition_id=self._partition, select_fields=list(fields))
