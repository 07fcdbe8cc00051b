"""Tests for one GPU: `python -m pytest -m gpu tests/gpu`, about ten minutes; real weights with MEDR3_GPU_MODEL=NAME."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no GPU here; on one: python -m pytest -m gpu tests/gpu")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
