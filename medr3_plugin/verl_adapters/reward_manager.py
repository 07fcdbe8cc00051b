"""verl reward manager `medr3`: hands one trajectory to the scorer, hands its record back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf
from verl.experimental.reward_loop.reward_manager import register
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from medr3_plugin.integrations.common import recorded
from medr3_plugin.llm.stats import LLMStats, collected
from medr3_plugin.records import Sample, ScoredSample
from medr3_plugin.registered_names import REWARD_MANAGER
from medr3_plugin.rewards.options import reward_options
from medr3_plugin.rewards.scorer import build_scorer, collect_garbage_seldom
from medr3_plugin.runs.step_metrics import DETAIL_KEY
from medr3_plugin.trajectory import THINK_OPEN
from medr3_plugin.verl_adapters.invalid_samples import check_estimator
from medr3_plugin.verl_adapters.response_text import response_mask, response_text


@register(REWARD_MANAGER)
class Medr3RewardManager(RewardManagerBase):
    """Scores trajectories by the yaml section `medr3.reward`, each by the stage it was drawn in.

    verl calls `run_single` for each trajectory as soon as it is rolled out, many at a time in one event loop,
    so that judge calls of different trajectories overlap.
    """

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Any = None,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        check_estimator(config)
        section: Any = OmegaConf.to_container(config.medr3, resolve=True)
        self.scorer = build_scorer(reward_options(section, reward_router_address))
        collect_garbage_seldom()  # verl gives reward managers processes of their own

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Score the last sequence of `data`; returns verl's `reward_score` and `reward_extra_info`."""
        item = data[-1:][0]
        response_ids = item.batch["responses"]
        length = int(item.batch["attention_mask"][-response_ids.shape[-1] :].sum())
        fields = dict(item.non_tensor_batch.get("tool_extra_fields") or {})
        shown = self.tokenizer.decode(response_ids[:length], skip_special_tokens=True)
        response = fields.get("tag_text")  # of tool calls; made of what the model generated
        if response is None:
            mask = response_mask(item, length)
            if mask is None:
                response = shown
            else:
                response, own_documents = response_text(response_ids[:length].tolist(), mask, self.tokenizer)
                fields["forged"] = bool(fields.get("forged")) or own_documents
            if fields.get("prefill_think"):
                response = THINK_OPEN + response
                shown = THINK_OPEN + shown
        if response != shown:
            fields["tag_text"] = response
        sample = replace(recorded(item.non_tensor_batch, response, fields), response_tokens=length)
        with collected() as judged:
            scored = (await self.scorer.score([sample]))[0]
        return {
            "reward_score": float(scored.record["score"]),
            "reward_extra_info": {
                **{key: float(value) for key, value in scored.record.items()},
                DETAIL_KEY: json.dumps(detail(sample, scored, fields, judged), ensure_ascii=False),
            },
        }


def detail(
    sample: Sample, scored: ScoredSample, fields: Mapping[str, Any], judged: LLMStats
) -> dict[str, Any]:
    """What logs and the report show of a sample beside its numbers; JSON-able."""
    return {
        **sample.row(),
        "searches": [turn.row() for turn in sample.searches],
        "query_gain": list(fields.get("query_gain") or ()),
        "reasons": dict(scored.reasons),
        "failures": list(scored.failures),
        **{key: bool(fields.get(key)) for key in ("truncated", "aborted", "prefill_think")},
        "forged": bool(scored.record["forged"]),
        "tag_text": fields.get("tag_text") or "",
        "judge": judged.row(),
    }
