"""What the reward functions for other trainers share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from medr3_plugin.records import Sample, ScoredSample
from medr3_plugin.retrieval.protocol import turns_from_json
from medr3_plugin.rows import sample_of
from medr3_plugin.trajectory import THINK_OPEN, parse


class SampleScorer(Protocol):
    """What scores samples: `build_scorer(options)`, or your own class around it."""

    async def score(self, samples: Sequence[Sample]) -> list[ScoredSample]:
        """Score `samples`, in their order."""
        ...


def recorded(row: Mapping[str, Any], response: str, fields: Mapping[str, Any]) -> Sample:
    """The sample of a training row, with what an environment recorded of its trajectory.

    Args:
        row: verl's columns.
        fields: `searches`, `forged` and `aborted`, as far as they were recorded.

    Raises:
        RowError: the row cannot be read.
    """
    return replace(
        sample_of(row, "the training data's row", response=response),
        searches=turns_from_json(fields.get("searches") or "[]"),
        forged=fields.get("forged"),
        failures=("rollout_aborted",) if fields.get("aborted") else (),
    )


def with_opening_tag(response: str, opened: bool | None) -> str:
    """The response with the `<think>` that the prompt ended with: it opens the model's own reasoning.

    Args:
        opened: whether the prompt ended with `<think>`. None if only the trainer knows (a chat template may add it); it
            did if the response's first think tag is `</think>`, those in queries and documents apart.

    >>> with_opening_tag("Collagen.</think><answer>C</answer>", None)
    '<think>Collagen.</think><answer>C</answer>'
    >>> with_opening_tag("<think>Collagen.</think><answer>C</answer>", None)
    '<think>Collagen.</think><answer>C</answer>'
    >>> with_opening_tag("Hm. <search>a </think> tag</search>", None)
    'Hm. <search>a </think> tag</search>'
    """
    if opened is None:
        spans = parse(response).spans
        opened = bool(spans) and spans[0].in_think and not response.startswith(THINK_OPEN)
    return THINK_OPEN + response if opened else response
