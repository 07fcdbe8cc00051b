"""A data loader whose rows carry the stage they are drawn in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from medr3_plugin.stages.schedule import StageSpec


class StampedLoader:
    """verl's stateful data loader, with the stage put into each row's `extra_info`.

    The stamp makes reward workers stateless, and samples in flight over a hand-over are scored by the stage
    they were drawn in.

    Args:
        loader: yields batches, dicts of arrays; its state is saved and restored through this object.
        stage: stamped as `stage`, with `max_searches` and, for training rows, `sampling` where set.
        training: whether the rows are for training; validation keeps its own sampling.
    """

    def __init__(self, loader: Any, stage: StageSpec, *, training: bool) -> None:
        self.loader = loader
        self.stamp: dict[str, Any] = {"stage": stage.name}
        if stage.max_searches is not None:
            self.stamp["max_searches"] = stage.max_searches
        if training and stage.sampling:
            self.stamp["sampling"] = stage.sampling

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self.loader:
            rows = len(batch["raw_prompt"])
            infos = batch.get("extra_info")
            stamped = np.empty(rows, dtype=object)
            for i in range(rows):
                stamped[i] = {**((infos[i] if infos is not None else None) or {}), **self.stamp}
            yield {**batch, "extra_info": stamped}

    def state_dict(self) -> dict[str, Any]:
        """Position in the data; verl stores it in the checkpoint."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the position."""
        self.loader.load_state_dict(state)
