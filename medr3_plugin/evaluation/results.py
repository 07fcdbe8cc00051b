"""The numbers of an evaluation from its rows: one record per benchmark, and paired comparisons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medr3_plugin.evaluation.statistics import Comparison, Interval, compare, share_interval
from medr3_plugin.rewards.verdict import UNDECIDED


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """Numbers of one benchmark; shares in [0, 1], means over samples unless stated otherwise.

    Attributes:
        questions: questions with at least one valid sample.
        samples: valid samples.
        invalid: samples left out because a judge or a search failed.
        accuracy: mean over questions of the share of right samples, with a 95 % bootstrap interval.
        pass_at_n: share of questions with a right sample among the first n, n = samples per question.
        n: samples per question.
        undecided: samples that count as wrong because no rule decides them and there is no judge.
        partly: share of samples that are partly right.
        gold_recall: share of the known gold documents that were retrieved; None if none are known.
    """

    benchmark: str
    questions: int
    samples: int
    invalid: int
    undecided: int
    accuracy: Interval
    n: int
    pass_at_n: float
    partly: float
    answered: float
    truncated: float
    forged: float
    searches: float
    searched: float
    gold_recall: float | None
    generated_tokens: float
    inserted_tokens: float


def question_scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Question id -> share of its valid samples that are right."""
    scores: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["reward"]["valid"] > 0:
            scores[row["id"]].append(row["reward"]["acc"])
    return {identifier: sum(values) / len(values) for identifier, values in scores.items()}


def by_benchmark(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Rows of each benchmark, in the order the benchmarks first appear."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["benchmark"], []).append(row)
    return groups


def results(rows: Sequence[Mapping[str, Any]], seed: int = 0) -> list[BenchmarkResult]:
    """One result per benchmark; benchmarks without a valid sample are left out."""
    found = [_result(name, group, seed) for name, group in by_benchmark(rows).items()]
    return [result for result in found if result is not None]


def _result(name: str, rows: Sequence[Mapping[str, Any]], seed: int) -> BenchmarkResult | None:
    valid = [row for row in rows if row["reward"]["valid"] > 0]
    if not valid:
        return None
    scores = question_scores(valid)
    verdicts = [(row.get("reasons") or {}).get("answer") or {} for row in valid]
    recalls = [row["gold_recall"] for row in valid if row["gold_recall"] is not None]

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return BenchmarkResult(
        benchmark=name,
        questions=len(scores),
        samples=len(valid),
        invalid=len(rows) - len(valid),
        undecided=sum(verdict.get("source") == UNDECIDED for verdict in verdicts),
        accuracy=share_interval(list(scores.values()), seed=seed),
        n=1 + max(row["sample"] for row in rows),
        pass_at_n=mean([float(score > 0) for score in scores.values()]),
        partly=mean([float(0 < row["reward"]["score"] < 1) for row in valid]),
        answered=mean([float(row["answered"]) for row in valid]),
        truncated=mean([float(row["truncated"]) for row in valid]),
        forged=mean([float(row["forged"]) for row in valid]),
        searches=mean([row["reward"]["searches"] for row in valid]),
        searched=mean([float(row["reward"]["searches"] > 0) for row in valid]),
        gold_recall=mean(recalls) if recalls else None,
        generated_tokens=mean([row["generated_tokens"] for row in valid]),
        inserted_tokens=mean([row["inserted_tokens"] for row in valid]),
    )


def missing(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Benchmark -> (samples without a valid row, samples requested), if there are such samples."""
    done = {name: sum(row["reward"]["valid"] > 0 for row in g) for name, g in by_benchmark(rows).items()}
    return {name: (n - done.get(name, 0), n) for name, n in asked.items() if done.get(name, 0) < n}


def comparisons(
    rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]], seed: int = 0
) -> dict[str, Comparison]:
    """Benchmark -> paired comparison with another evaluation, if they share questions."""
    theirs = by_benchmark(others)
    found = {}
    for name, group in by_benchmark(rows).items():
        first, second = question_scores(group), question_scores(theirs.get(name, ()))
        if first.keys() & second.keys():
            found[name] = compare(first, second, seed=seed)
    return found
