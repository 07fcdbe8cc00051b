"""The logged metrics of a step from its scored samples: pure functions.

verl v1 logs neither reward parts nor searches during training; the trainer mode adds what is computed here,
under the keys of a run folder's `metrics.jsonl`.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medr3_plugin.records import canonical_id, gold_found
from medr3_plugin.rewards.verdict import UNDECIDED

DETAIL_KEY = "detail"
"""Key of the JSON string in verl's `reward_extra_info` that holds what is not a number."""

JUDGE_COUNTS = ("verdicts", "cache_hits", "shared", "requests", "retries", "asked_again", "repaired")
"""Fields of `llm.stats.LLMStats` that are logged as `judge/<field>`."""


@dataclass(frozen=True)
class StepSample:
    """One scored trajectory as the trainer sees it.

    Attributes:
        group: id of the prompt's group.
        record: the reward record, floats.
        detail: id, question, answer, dataset, gold documents, searches, reasons, failures, what the judge did.
    """

    group: str
    record: Mapping[str, float]
    detail: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_reward_extra_info(cls, group: str, info: Mapping[str, Any], score: float) -> StepSample:
        """Split verl's `reward_extra_info`, of any reward manager, into numbers and detail.

        Args:
            group: id of the prompt's group.
            info: what the reward manager returned beside the reward.
            score: the reward; the record's `score` unless the manager gives its own.
        """
        numbers = {
            key: float(value) for key, value in info.items() if isinstance(value, int | float | np.number)
        }
        return cls(group, {"score": score, **numbers}, json.loads(info.get(DETAIL_KEY) or "{}"))

    @property
    def valid(self) -> bool:
        """Whether the sample may train (no infrastructure failure)."""
        return self.record.get("valid", 1.0) > 0

    @property
    def searches(self) -> Sequence[Mapping[str, Any]]:
        """The recorded searches, executed or not."""
        return self.detail.get("searches", ())


NOT_IN_EVERY_STEP = re.compile(
    r"search/(hit_at_k|query_gain|latency_p\d+)|failures/.+|judge/.+|zero_variance_groups|reward/[^/]+/.+"
)
"""Metrics that a step may lack although they exist."""

LOST = "trajectory_lost"
"""Kind of failure of a trajectory that raised an exception: verl logs it and leaves it out of its group."""


def step_metrics(samples: Sequence[StepSample], lost: int = 0) -> dict[str, float]:
    """Means of every reward part, search and failure metrics, group statistics.

    Args:
        lost: trajectories that were asked for and are not among them; they count as invalid.

    A metric without a value is left out: no value is not a value of 0. Means of reward parts are over the valid
    samples.
    Shares are in [0, 1], latencies in seconds, `failures/<kind>` are counts.

    `search/hit_at_k` is the share of trajectories with known gold documents that retrieved one of them,
    or a passage of one. It is there only if gold documents are known, and `search/latency_p50` and
    `search/latency_p95` only if a search was executed.
    `search/query_gain` is the mean, over the searches of trajectories with known gold documents, of the query's nDCG
    minus that of the bare question (`environment.query_gain`): above 0, the policy asks better than its prompt.
    `undecided_share` is the share of answers that count as wrong because no rule decides them and there is no judge.
    `zero_variance_groups` is the share of groups whose valid samples all have the same score, or that have fewer than
    two (no gradient from them).
    `judge/<count>`, `judge/latency_p50` and `judge/latency_p95` (see `llm.stats.LLMStats`) and
    `judge/failures/<kind>` (requests given up) are there in steps in which a judge model was asked.
    """
    if not samples:
        return {}
    valid = [sample for sample in samples if sample.valid]
    metrics: dict[str, float] = {"samples": float(len(valid))}
    for key in dict.fromkeys(key for sample in valid for key in sample.record):
        # a custom reward function need not give the same keys for every sample
        values = [sample.record[key] for sample in valid if key in sample.record]
        metrics[f"reward/{key}"] = float(np.mean(values))
    metrics.update(_search_metrics(samples))
    metrics.update(_judge_metrics(samples))
    metrics.update(
        {f"failures/{kind}": float(count) for kind, count in sorted(_failures(samples, lost).items())}
    )
    metrics["invalid_share"] = 1.0 - len(valid) / (len(samples) + lost)
    if len({sample.group for sample in samples}) < len(samples):  # validation may have one sample per prompt
        groups = group_scores(samples).values()
        metrics["zero_variance_groups"] = float(np.mean([len(s) < 2 or s[0] - s[-1] < 1e-9 for s in groups]))
    verdicts = [verdict for s in samples if (verdict := (s.detail.get("reasons") or {}).get("answer"))]
    if verdicts:
        undecided = [verdict.get("source") == UNDECIDED for verdict in verdicts]
        metrics["undecided_share"] = float(np.mean(undecided))
    metrics["truncated_share"] = float(np.mean([bool(sample.detail.get("truncated")) for sample in samples]))
    return metrics


def by_dataset(samples: Sequence[StepSample]) -> dict[str, float]:
    """Means of score and accuracy for each dataset, as `reward/<key>/<dataset>`, when there is more than one."""
    groups: dict[str, list[StepSample]] = defaultdict(list)
    for sample in samples:
        if sample.valid:
            groups[str(sample.detail.get("dataset", ""))].append(sample)
    if len(groups) < 2:
        return {}
    return {
        f"reward/{key}/{name}": float(np.mean(values))
        for name, members in groups.items()
        for key in ("score", "acc")
        if (values := [sample.record[key] for sample in members if key in sample.record])
    }


def groups_without_right(samples: Sequence[StepSample]) -> set[str]:
    """Groups none of whose valid samples has a right answer (`acc`)."""
    right = {sample.group for sample in samples if sample.valid and sample.record.get("acc", 0.0) > 0}
    return {sample.group for sample in samples} - right


def group_scores(samples: Sequence[StepSample]) -> dict[str, list[float]]:
    """Scores of the valid samples of each group, highest first."""
    scores: dict[str, list[float]] = {sample.group: [] for sample in samples}
    for sample in samples:
        if sample.valid:
            scores[sample.group].append(sample.record["score"])
    return {group: sorted(values, reverse=True) for group, values in scores.items()}


def _percentiles(what: str, seconds: Sequence[float]) -> dict[str, float]:
    """`<what>/latency_p50` and `<what>/latency_p95`, where there are values."""
    if not seconds:
        return {}
    return {f"{what}/latency_p{share}": float(np.percentile(seconds, share)) for share in (50, 95)}


def _search_metrics(samples: Sequence[StepSample]) -> dict[str, float]:
    executed = [
        [turn for turn in sample.searches if turn["outcome"] not in ("limit", "malformed")]
        for sample in samples
    ]
    latencies = [turn["latency_s"] for turns in executed for turn in turns]
    metrics = {
        "search/per_trajectory": float(np.mean([len(turns) for turns in executed])),
        "search/share": float(np.mean([bool(turns) for turns in executed])),
        **_percentiles("search", latencies),
    }
    hits = [
        any(
            gold_found(gold, document.get("ids") or [canonical_id(document["id"])])
            for turn in turns
            for document in turn["documents"]
        )
        for sample, turns in zip(samples, executed, strict=True)
        if (gold := sample.detail.get("gold_docs"))
    ]
    if hits:
        metrics["search/hit_at_k"] = float(np.mean(hits))
    if gains := [gain for sample in samples for gain in sample.detail.get("query_gain", ())]:
        metrics["search/query_gain"] = float(np.mean(gains))
    outcomes = Counter(turn["outcome"] for sample in samples for turn in sample.searches)
    for outcome in ("empty", "duplicate", "limit", "malformed"):
        metrics[f"search/{outcome}"] = float(outcomes[outcome])
    return metrics


def _judge_metrics(samples: Sequence[StepSample]) -> dict[str, float]:
    """What the judge model was asked for the samples, summed; nothing where none was asked."""
    rows = [row for sample in samples if (row := sample.detail.get("judge"))]
    if not rows:
        return {}
    metrics = {f"judge/{key}": float(sum(row.get(key, 0) for row in rows)) for key in JUDGE_COUNTS}
    metrics |= _percentiles("judge", [latency for row in rows for latency in row.get("latencies_s", ())])
    given_up = sum((Counter(row.get("failures", {})) for row in rows), Counter())
    return metrics | {f"judge/failures/{kind}": float(count) for kind, count in sorted(given_up.items())}


def _failures(samples: Sequence[StepSample], lost: int) -> Counter[str]:
    kinds = Counter(kind for sample in samples for kind in sample.detail.get("failures", ()))
    return kinds + Counter({LOST: lost})  # the sum leaves out what is 0


def failure_summary(samples: Sequence[StepSample], lost: int = 0) -> str:
    """Which services failed, how often: for the message that stops a run."""
    kinds = _failures(samples, lost)
    summary = (
        ", ".join(f"{kind}: {count}" for kind, count in kinds.most_common()) or "no failure was recorded"
    )
    return f"{summary} (exceptions are in the log)" if lost else summary
