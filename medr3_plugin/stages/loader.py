"""The training loader of a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf
from torch.utils.data import Subset
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.trainer.ppo.utils import create_rl_sampler
from verl.utils.dataset.rl_dataset import collate_fn

from medr3_plugin.stages.dataset import mixture


def stage_loader(dataset: Any, weights: Mapping[str, float], data: Any, stage: int) -> StatefulDataLoader:
    """A loader like the one verl builds, in the stage's own order.

    verl seeds the order by `data.seed` alone: every stage would begin with the same questions, and stages shorter than
    an epoch would see no others.

    Args:
        dataset: the stage's training rows.
        weights: of datasets, see `mixture`; empty for all rows.
        data: the config section `data`.
        stage: index of the stage.

    Raises:
        UserError: the weights select nothing.
    """
    seed = (data.get("seed") or 0) + stage
    if weights:
        dataset = Subset(dataset, mixture(dataset.dataframe["data_source"], weights, seed=seed))
    return StatefulDataLoader(
        dataset=dataset,
        batch_size=data.get("gen_batch_size", None) or data.train_batch_size,
        num_workers=data.dataloader_num_workers,
        drop_last=True,
        collate_fn=collate_fn,
        sampler=create_rl_sampler(OmegaConf.merge(data, {"seed": seed}), dataset),
    )
