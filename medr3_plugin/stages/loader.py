"""verl's training loader over a mixture of data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.data import Subset
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.trainer.ppo.utils import create_rl_sampler
from verl.utils.dataset.rl_dataset import collate_fn

from medr3_plugin.stages.dataset import mixture


def mixed_loader(dataset: Any, weights: Mapping[str, float], data: Any) -> StatefulDataLoader:
    """A loader like the one verl builds from the config section `data`, over data sets by weight (`mixture`).

    Raises:
        UserError: the weights select nothing.
    """
    mixed = Subset(dataset, mixture(dataset.dataframe["data_source"], weights, seed=data.get("seed") or 0))
    return StatefulDataLoader(
        dataset=mixed,
        batch_size=data.get("gen_batch_size", None) or data.train_batch_size,
        num_workers=data.dataloader_num_workers,
        drop_last=True,
        collate_fn=collate_fn,
        sampler=create_rl_sampler(data, mixed),
    )
