"""Tables of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medr3_plugin.evaluation.published import BENCHMARKS, LLAMA_3_1_8B, published
from medr3_plugin.evaluation.results import comparisons, results
from medr3_plugin.evaluation.tables import latex, markdown, write_tables


def row(benchmark: str, identifier: str, acc: float, sample: int = 0) -> dict[str, Any]:
    return {
        "benchmark": benchmark, "id": identifier, "sample": sample,
        "answered": True, "truncated": False, "forged": False, "gold_recall": None,
        "generated_tokens": 100, "inserted_tokens": 50,
        "reward": {"acc": acc, "score": acc, "valid": 1.0, "searches": 2.0},
    }  # fmt: skip


ROWS = [row("medqa_us", f"q{i}", float(i < 60)) for i in range(100)] + [
    row("own_set", f"q{i}", 1.0) for i in range(4)
]


def test_markdown_has_intervals_and_published_numbers() -> None:
    text = markdown(results(ROWS), "my|model", with_published=True)
    assert "| medqa_us | 100 | 60.0 [50.0, 69.0]" in text or "| medqa_us | 100 | 60.0 [50.0, 70.0]" in text
    assert "my\\|model" in text
    assert "| Med-R3 | 75.9 |" in text and "radar chart" in text
    assert "Mean accuracy over benchmarks: 80.0 %" in text


def test_latex_escapes_and_aligns() -> None:
    text = latex(results(ROWS), "my_model & co", with_published=True)
    assert "medqa\\_us & own\\_set" in text and "my\\_model \\& co" in text
    body = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert {line.replace("\\&", "").count("&") for line in body} == {2}
    assert "Med-R3 & 75.9 & --" in text


def test_files_and_comparison(tmp_path: Path) -> None:
    other = [row("medqa_us", f"q{i}", float(i < 50)) for i in range(100)]
    compared = comparisons(ROWS, other)
    assert set(compared) == {"medqa_us"} and compared["medqa_us"].better == 10
    paths = write_tables(tmp_path, results(ROWS), label="m", compared=compared, other="base")
    assert [path.name for path in paths] == ["results.json", "results.md", "results.tex"]
    document = json.loads(paths[0].read_text())
    assert document["comparisons"]["medqa_us"]["difference"]["mean"] == pytest.approx(0.1)
    assert "Against base" in paths[1].read_text() and "+10.0 [" in paths[1].read_text()


def test_published_numbers_average_as_the_abstracts_figure() -> None:
    averages = {method: sum(values) / len(values) for method, values in LLAMA_3_1_8B.items()}
    assert averages["Med-R3"] == pytest.approx(61.05, abs=0.01)
    assert max(averages, key=averages.__getitem__) == "Med-R3"
    assert all(len(values) == len(BENCHMARKS) for values in LLAMA_3_1_8B.values())
    assert published("own_set") == {}
