"""The order of a stage's questions, in verl's loader."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("verl")

import pandas as pd
import torch
from omegaconf import OmegaConf

from medr3_plugin.stages.loader import stage_loader


class Rows(torch.utils.data.Dataset):
    """A dataset as verl has it: rows, and their columns as a frame."""

    dataframe = pd.DataFrame({"data_source": ["a"] * 12 + ["b"] * 4})

    def __len__(self) -> int:
        return len(self.dataframe)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"row": torch.tensor(row)}


def order(stage: int, *, weights: dict[str, float] | None = None, **data: Any) -> list[int]:
    section = {"seed": 1, "shuffle": True, "train_batch_size": 4, "dataloader_num_workers": 0, **data}
    config = OmegaConf.create(section)
    OmegaConf.set_struct(config, True)
    loader = stage_loader(Rows(), weights or {}, config, stage)
    assert config.seed == section["seed"]
    return [int(row) for batch in loader for row in batch["row"]]


@pytest.mark.parametrize("seed", [1, None])
def test_each_stage_has_an_order_of_its_own_that_comes_back_on_resume(seed: int | None) -> None:
    orders = [order(stage, seed=seed) for stage in range(3)]
    assert all(sorted(rows) == list(range(16)) for rows in orders)
    assert len({tuple(rows[:8]) for rows in orders}) == 3
    assert order(2, seed=seed) == orders[2]


def test_without_shuffling_rows_come_as_they_are() -> None:
    assert order(2, shuffle=False) == list(range(16))


def test_a_mixture_has_its_share_in_every_stage() -> None:
    for stage in range(2):
        rows = order(stage, weights={"a": 1, "b": 1})
        assert sum(row >= 12 for row in rows) == len(rows) / 2
