"""Med-R^3 for verl: progressive reinforcement learning of medical retrieval-augmented reasoning.

The names below, and those that docs/API.md lists, are the public API. Each is imported on first use, so
`import medr3_plugin` is quick and loads nothing that only a trainer needs.

>>> import medr3_plugin
>>> medr3_plugin.parse("<think>Hm.</think><answer>B</answer>").answer
'B'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from medr3_plugin.errors import InfrastructureFailure as InfrastructureFailure
    from medr3_plugin.errors import RowError as RowError
    from medr3_plugin.errors import UserError as UserError
    from medr3_plugin.records import Document as Document
    from medr3_plugin.records import Hit as Hit
    from medr3_plugin.records import Reference as Reference
    from medr3_plugin.records import Sample as Sample
    from medr3_plugin.records import ScoredSample as ScoredSample
    from medr3_plugin.records import SearchTurn as SearchTurn
    from medr3_plugin.records import Triple as Triple
    from medr3_plugin.retrieval.backend import make_backend as make_backend
    from medr3_plugin.retrieval.index.build import build_index as build_index
    from medr3_plugin.rewards.scorer import build_scorer as build_scorer
    from medr3_plugin.stages.schedule import Schedule as Schedule
    from medr3_plugin.trajectory import Trajectory as Trajectory
    from medr3_plugin.trajectory import parse as parse

_HOMES = {
    "Document": "records",
    "Hit": "records",
    "InfrastructureFailure": "errors",
    "Reference": "records",
    "Sample": "records",
    "RowError": "errors",
    "Schedule": "stages.schedule",
    "ScoredSample": "records",
    "SearchTurn": "records",
    "Trajectory": "trajectory",
    "Triple": "records",
    "UserError": "errors",
    "build_index": "retrieval.index.build",
    "build_scorer": "rewards.scorer",
    "make_backend": "retrieval.backend",
    "parse": "trajectory",
}
"""Public name -> module that holds it."""

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 (names of `_HOMES`, all strings)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
