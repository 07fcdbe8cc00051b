from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from medr3_plugin.llm.stats import LLMStats
from medr3_plugin.runs.step_metrics import (
    DETAIL_KEY,
    JUDGE_COUNTS,
    StepSample,
    by_dataset,
    failure_summary,
    groups_without_right,
    step_metrics,
)


def sample(group, score, *, valid=1.0, searches=(), **detail) -> StepSample:
    info = {"score": score, "acc": float(score > 0.9), "valid": valid}
    return StepSample.from_reward_extra_info(
        group, {**info, DETAIL_KEY: json.dumps({"searches": searches, **detail})}, score
    )


def turn(*ids, outcome="ok", latency=0.1):
    return {"query": "q", "documents": [{"id": i} for i in ids], "outcome": outcome, "latency_s": latency}


def test_the_page_names_the_metrics():
    judge = {**dict.fromkeys(JUDGE_COUNTS, 1), "latencies_s": [0.1], "failures": {"timeout": 1}}
    samples = [
        sample("a", 1.0, searches=[turn("d1")], gold_docs=["d1"], query_gain=[0.1], dataset="x", judge=judge),
        sample("a", 0.0, dataset="y", failures=["judge_timeout"], reasons={"answer": {"source": "rule"}}),
    ]
    made = {**step_metrics(samples), **by_dataset(samples)}
    page = (Path(__file__).parents[2] / "docs/LOGGING.md").read_text(encoding="utf-8")
    table = page.partition("## Metrics of training steps")[2].partition("\n## ")[0]
    cells = "".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))
    named = {name.partition("<")[0] for name in re.findall(r"`([^`]+)`", cells)}
    of_the_loop = {"stage/index", "stage/step", "stage/ended", "time/step", "timing_s/bookkeeping"}
    assert {name for name in named - of_the_loop if not any(key.startswith(name) for key in made)} == set()
    assert {key for key in made if not any(key.startswith(name) for name in named)} == set()


def test_means_leave_invalid_samples_out():
    metrics = step_metrics([sample("a", 1.0), sample("a", 0.0), sample("b", 9.0, valid=0.0)])
    assert metrics["reward/score"] == 0.5 and metrics["reward/acc"] == 0.5
    assert metrics["invalid_share"] == pytest.approx(1 / 3)


def test_a_passage_of_a_gold_document_is_a_hit():
    samples = [
        sample("a", 1.0, searches=[turn("d1#c3")], gold_docs=["d1"]),
        sample("b", 1.0, searches=[turn("d1#c0")], gold_docs=["d1#c3"]),
        sample("c", 0.0, searches=[turn("d10#c0")], gold_docs=["d1"]),
    ]
    assert step_metrics(samples)["search/hit_at_k"] == pytest.approx(2 / 3)


def test_search_metrics_by_hand():
    metrics = step_metrics(
        [
            sample("a", 1.0, searches=[turn("d1", latency=0.2), turn(outcome="limit")], gold_docs=["d1"]),
            sample("a", 0.0, searches=[turn("d2"), turn("d3", outcome="duplicate")], gold_docs=["d1"]),
            sample("b", 0.0, gold_docs=["d9"]),
            sample("b", 0.0),  # no gold known: not counted for hit@k
        ]
    )
    assert metrics["search/per_trajectory"] == pytest.approx(3 / 4)
    assert metrics["search/share"] == 0.5
    assert metrics["search/hit_at_k"] == pytest.approx(1 / 3)
    assert metrics["search/latency_p50"] == pytest.approx(0.1)
    assert metrics["search/limit"] == 1 and metrics["search/duplicate"] == 1


def test_without_a_search_or_known_gold_there_is_no_latency_and_no_hit_rate():
    metrics = step_metrics([sample("a", 1.0), sample("a", 0.0, searches=[turn(outcome="limit")])])
    assert metrics["search/share"] == 0.0
    assert not {"search/latency_p50", "search/latency_p95", "search/hit_at_k"} & set(metrics)


def test_query_gain_is_the_mean_over_searches():
    samples = [sample("a", 1.0, query_gain=[0.5, -1.0]), sample("a", 0.0, query_gain=[0.2]), sample("b", 0.0)]
    assert step_metrics(samples)["search/query_gain"] == pytest.approx(-0.1)
    assert "search/query_gain" not in step_metrics([sample("b", 0.0, query_gain=[])])


def test_zero_variance_groups():
    samples = [sample("a", 1.0), sample("a", 1.0), sample("b", 1.0), sample("b", 0.0)]
    assert step_metrics(samples)["zero_variance_groups"] == 0.5
    lost = [sample("a", 1.0), sample("a", 0.0, valid=0.0)]
    assert step_metrics(lost)["zero_variance_groups"] == 1.0


def test_failures_are_counted_by_kind():
    samples = [
        sample("a", 0.0, valid=0.0, failures=["retrieval_timeout"]),
        sample("a", 0.0, valid=0.0, failures=["retrieval_timeout", "judge_status_500"]),
    ]
    metrics = step_metrics(samples)
    assert metrics["failures/retrieval_timeout"] == 2 and metrics["failures/judge_status_500"] == 1
    assert metrics["invalid_share"] == 1.0
    assert not any(key.startswith("reward/") for key in metrics)  # no value is not a value of 0
    assert failure_summary(samples) == "retrieval_timeout: 2, judge_status_500: 1"


def test_the_judges_work_is_summed_over_the_samples_it_was_asked_for():
    first = {"verdicts": 1, "requests": 3, "retries": 2, "latencies_s": [0.3], "failures": {"timeout": 1}}
    second = {"verdicts": 1, "requests": 2, "asked_again": 1, "latencies_s": [0.1, 0.2]}
    asked = [sample("a", 1.0, judge=first), sample("a", 0.0, judge=second)]
    metrics = step_metrics(
        [*asked, sample("b", 1.0, judge={"verdicts": 1, "cache_hits": 1}), sample("b", 0.0)]
    )
    judge = {key: value for key, value in metrics.items() if key.startswith("judge/")}
    assert judge == pytest.approx(
        {
            "judge/verdicts": 3,
            "judge/cache_hits": 1,
            "judge/shared": 0,
            "judge/requests": 5,
            "judge/retries": 2,
            "judge/asked_again": 1,
            "judge/repaired": 0,
            "judge/latency_p50": 0.2,
            "judge/latency_p95": 0.29,
            "judge/failures/timeout": 1,
        }
    )
    cached = step_metrics([sample("a", 1.0, judge={"verdicts": 1, "cache_hits": 1})])
    assert cached["judge/cache_hits"] == 1 and "judge/latency_p50" not in cached


def test_without_a_judge_no_judge_metrics():
    assert not any(
        key.startswith("judge/") for key in step_metrics([sample("a", 1.0, judge={}), sample("a", 0)])
    )
    assert set(JUDGE_COUNTS) < set(vars(LLMStats()))


def test_by_dataset_only_when_there_are_several():
    assert by_dataset([sample("a", 1.0, dataset="x")]) == {}
    metrics = by_dataset([sample("a", 1.0, dataset="x"), sample("a", 0.0, dataset="y")])
    assert metrics["reward/score/x"] == 1.0 and metrics["reward/score/y"] == 0.0


def test_samples_of_another_reward_manager():
    # verl's own: the reward as `acc`, nothing else; other managers add texts and lists
    sample = StepSample.from_reward_extra_info("g", {"acc": 1, "pred": "42", "parts": [1], "none": None}, 0.5)
    assert sample.record == {"score": 0.5, "acc": 1.0} and sample.valid and sample.searches == ()
    metrics = step_metrics([sample, StepSample("g", {"score": 1.5, "acc": 1.0})])
    assert metrics["reward/score"] == 1.0 and metrics["zero_variance_groups"] == 0.0


def test_reward_functions_need_not_give_the_same_keys_for_every_sample():
    samples = [StepSample("g", {"score": 0.0}), StepSample("g", {"score": 1.0, "format": 0.5})]
    metrics = step_metrics(samples)
    assert metrics["reward/score"] == metrics["reward/format"] == 0.5
    several = [sample("a", 1.0, dataset="x"), StepSample("b", {"score": 0.0}, {"dataset": "y"})]
    assert set(by_dataset(several)) == {"reward/score/x", "reward/acc/x", "reward/score/y"}


def test_no_samples_no_metrics():
    assert step_metrics([]) == {}


def test_a_group_has_a_right_answer_if_a_valid_sample_has_one():
    samples = [
        StepSample("right", {"score": 0.1, "acc": 0.0}),
        StepSample("right", {"score": 1.0, "acc": 1.0}),
        StepSample("wrong", {"score": 0.9, "acc": 0.0}),
        StepSample("invalid", {"score": 1.0, "acc": 1.0, "valid": 0.0}),
        StepSample("without", {"score": 1.0}),
    ]
    assert groups_without_right(samples) == {"wrong", "invalid", "without"}


def test_answers_that_nothing_decides_are_counted():
    verdicts = [
        {"answer": {"source": source}} for source in ("rule:undecided", "rule:alias", None, "rule:undecided")
    ]
    assert step_metrics([sample("a", 0.1, reasons=reasons) for reasons in verdicts])["undecided_share"] == 0.5
    assert "undecided_share" not in step_metrics([sample("a", 0.1)])
