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


def test_published_numbers_average_as_the_specification_says() -> None:
    """In-domain, out-of-domain and overall means, computed there from the same digits."""
    expected = {
        "Llama-3.1-8B-Instruct": (33.33, 34.14, 33.63),
        "SFT": (53.36, 41.81, 49.03),
        "UltraMedical3.1-8B": (53.45, 46.20, 50.73),
        "R1-Searcher": (53.25, 46.58, 50.75),
        "ReSearch": (55.97, 46.39, 52.38),
        "AlphaMed-8B": (55.43, 48.31, 52.76),
        "HuatuoGPT-o1-8B": (59.38, 46.82, 54.67),
        "MedS3-8B": (58.64, 48.78, 54.94),
        "Med-R3": (66.45, 52.05, 61.05),
    }
    found = {
        method: tuple(sum(part) / len(part) for part in (values[:5], values[5:], values))
        for method, values in LLAMA_3_1_8B.items()
    }
    assert found.keys() == expected.keys() and len(BENCHMARKS) == 8
    assert all(found[method] == pytest.approx(expected[method], abs=0.0051) for method in found)
    assert published("own_set") == {} and published("medqa_us")["Med-R3"] == 75.91


def test_the_question_is_the_unit() -> None:
    """Worked by hand: four right samples of one question do not outweigh a wrong one of another."""
    rows = [row("b", "easy", 1.0, sample) for sample in range(4)]
    rows += [row("b", "hard", float(sample == 3), sample) for sample in range(4)]
    rows += [row("b", "never", 0.0, 0), {**row("b", "never", 0.0, 1), "reward": {"acc": 1.0, "valid": 0.0}}]
    (found,) = results(rows)
    assert found.accuracy.mean == pytest.approx((1 + 0.25 + 0) / 3)
    assert (found.n, found.pass_at_n, found.invalid) == (4, pytest.approx(2 / 3), 1)
    # three questions: 27 draws, of which one is all easy and one is never alone
    assert (found.accuracy.low, found.accuracy.high) == (0, 1)


def test_latex_gives_both_ends_of_an_interval_and_escapes_everything() -> None:
    text = latex(results([row("none", f"q{i}", 0.0) for i in range(24)]), r"a_b%$#{}~^\c")
    assert r"0.0{\tiny\,[0.0, 14.2]}" in text
    assert r"a\_b\%\$\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}c &" in text
