"""The data of a stage: rows that carry the stage they are drawn in, and mixtures of datasets by weight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from medr3_plugin.errors import UserError
from medr3_plugin.stages.schedule import StageSpec


def mixture(sources: Sequence[str], weights: Mapping[str, float], seed: int) -> list[int]:
    """Row numbers of one epoch in which each dataset has its share of `weights`.

    The epoch is as long as the data. A dataset that is too small for its share repeats its rows, each
    equally often (give or take one); a larger one is cut to a random part. The same seed gives the same rows.

    Args:
        sources: `data_source` of each row.
        weights: weight of each dataset, >= 0; those not named are left out.

    Raises:
        UserError: a named dataset has no row, or no weight is positive.

    >>> [["a", "a", "a", "b"][i] for i in mixture(["a", "a", "a", "b"], {"a": 1, "b": 1}, seed=0)]
    ['a', 'a', 'b', 'b']
    """
    rows: dict[str, list[int]] = defaultdict(list)
    for number, source in enumerate(sources):
        rows[source].append(number)
    for name in weights:
        if name not in rows:
            raise UserError(
                f"medr3.stages[].mixture.{name}: no row has this data_source (there are: {', '.join(sorted(rows))})"
            )
    total = sum(weights.values())
    if total <= 0:
        raise UserError("medr3.stages[].mixture: no weight is above 0")
    generator = np.random.default_rng(seed)
    epoch: list[int] = []
    for name, weight in sorted(weights.items()):
        count = round(len(sources) * weight / total)
        while count > 0:
            taken = generator.permutation(rows[name])[:count]
            epoch.extend(int(i) for i in taken)
            count -= len(taken)
    return epoch


class StampedLoader:
    """verl's stateful data loader, with the stage put into each row's `extra_info`.

    The stamp makes reward workers stateless, and samples in flight over a hand-over are scored by the stage
    they were drawn in.

    Args:
        loader: yields batches, dicts of arrays; its state is saved and restored through this object.
        stage: stamped as `stage`, with `max_searches` and, for training rows, `sampling` where set.
        progress: how far the stage is, 0 to 1, asked at every batch; stamped as `stage_progress` for weights
            that change over a stage.
        training: whether the rows are for training; validation keeps its own sampling.
    """

    def __init__(
        self, loader: Any, stage: StageSpec, progress: Callable[[], float], *, training: bool
    ) -> None:
        self.loader = loader
        self.progress = progress
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
            stamp = {**self.stamp, "stage_progress": self.progress()}
            stamped = np.empty(rows, dtype=object)
            for i in range(rows):
                stamped[i] = {**((infos[i] if infos is not None else None) or {}), **stamp}
            yield {**batch, "extra_info": stamped}

    def state_dict(self) -> dict[str, Any]:
        """Position in the data; verl stores it in the checkpoint."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the position."""
        self.loader.load_state_dict(state)
