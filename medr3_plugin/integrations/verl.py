"""The rewards as verl's plain reward function, for a recipe that keeps verl's own reward manager::

    reward:
      custom_reward_function:
        path: pkg://medr3_plugin.integrations.verl
        name: compute_score
        reward_kwargs:
          stage: reasoning
          options: {judge: {kind: openai, base_url: "http://127.0.0.1:8000/v1"}}   # as medr3.reward

Prefer the reward manager `medr3` where you can: it knows which tokens the model generated, and leaves samples out whose
judge or search failed. This function sees text only, and cannot leave a sample out. It does not import verl.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from medr3_plugin.errors import InfrastructureFailure, UserError
from medr3_plugin.integrations.common import recorded, with_opening_tag
from medr3_plugin.records import Sample
from medr3_plugin.rewards.scorer import Scorer, build_scorer

_ONE_TURN = 2
"""verl counts the question and the answer."""


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    stage: str = "",
    **_: Any,
) -> dict[str, float]:
    """The reward record of one trajectory; verl trains on its `score` and logs the rest.

    Args:
        data_source: verl's column; names the dataset if `extra_info` does not.
        solution_str: the response, special tokens removed.
        ground_truth: `reward_model.ground_truth` of the row: accepted answers in any form of `medr3_plugin.rows`.
        extra_info: verl's column, with what the environment recorded.
        options: as the yaml section `medr3.reward`.
        stage: whose formula is used; by default the row's, else `joint`.

    Raises:
        UserError: the row has no accepted answer, or the trajectory has several turns and no record of them.
        InfrastructureFailure: the judge, the encoder or a search failed, and a number would train the model.
    """
    sample = make_sample(data_source, solution_str, ground_truth, extra_info or {})
    if stage:
        sample = replace(sample, stage=stage)
    [scored] = await _scorer(json.dumps(options or {}, default=_plain, sort_keys=True)).score([sample])
    if not scored.record["valid"]:
        raise InfrastructureFailure(f"no verdict on sample {sample.id}: {', '.join(scored.failures)}")
    return {key: float(value) for key, value in scored.record.items()}


def make_sample(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any]
) -> Sample:
    """The scorer's view of what verl hands to a plain reward function."""
    if "searches" not in extra_info and int(extra_info.get("num_turns") or 0) > _ONE_TURN:
        raise UserError(
            "a trajectory of several turns comes as one text, in which tool output cannot be told from what the "
            "model wrote: use the reward manager `medr3` (reward.reward_manager.name=medr3)"
        )
    response = extra_info.get("tag_text") or with_opening_tag(
        solution_str, True if extra_info.get("prefill_think") else None
    )
    row = {
        "data_source": data_source,
        "reward_model": {"ground_truth": ground_truth},
        "extra_info": extra_info,
        "prompt": extra_info.get("prompt"),
    }
    return recorded(row, response, extra_info)


@lru_cache(maxsize=8)
def _scorer(options: str) -> Scorer:
    return build_scorer(json.loads(options))


def _plain(container: Any) -> Any:
    """A dict or list for a container of omegaconf."""
    return dict(container) if isinstance(container, Mapping) else list(container)
