"""The report page as text: what is embedded, how it is escaped, the command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import medr3
from hypothesis import given
from hypothesis import strategies as st
from report_fixture import HOSTILE, make_run

from medr3_plugin.errors import UserError
from medr3_plugin.runs.reader import StepMetrics
from medr3_plugin.runs.report import report
from medr3_plugin.runs.report.report import curves, embed, write_report


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="run-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    target, _ = write_report(make_run(tmp_path_factory.mktemp("report") / "run"))
    return target.read_text(encoding="utf-8")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_embedded_json_round_trips_and_cannot_end_its_element(value: Any) -> None:
    text = embed(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_page_is_self_contained(page: str) -> None:
    head = page.split('id="run-data"', maxsplit=1)[0]
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", head)
    assert "@import" not in head and "url(" not in head
    assert "default-src 'none'" in head


def test_same_run_same_page(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    first = write_report(run, tmp_path / "1.html")[0].read_bytes()
    assert write_report(run, tmp_path / "2.html")[0].read_bytes() == first


def test_payload_holds_what_the_page_filters_by(page: str) -> None:
    data = embedded(page)
    rows = data["trajectories"]
    assert {row["stage"] for row in rows} == {"reasoning", "retrieval", "joint"}
    assert {row["dataset"] for row in rows} == {"medqa_us", "rare_disease", "pubmedqa", "medqa_mcmle"}
    assert {row["kind"] for row in rows} == {"train", "val"}
    assert data["train"]["steps"] == list(range(1, 73)) and data["val"]["steps"] == list(range(12, 73, 12))
    # the gradient norm of step 10 was NaN
    assert data["train"]["series"]["actor/grad_norm"][9] is None
    assert data["summary"]["failures"] == {"retrieval_timeout": 2.0, "retrieval_status_500": 1.0}


def test_secrets_of_the_config_are_hidden(page: str) -> None:
    assert "sk-not-for-the-page" not in page
    assert "api_key: (hidden)" in embedded(page)["config"]


def test_hostile_text_is_only_in_the_data(page: str) -> None:
    assert HOSTILE in embedded(page)["trajectories"][5]["question"]
    assert "document.title='owned'</script>" not in page


def test_lone_surrogates_do_not_stop_the_page(tmp_path: Path) -> None:
    row = {
        "step": 1,
        "stage": "joint",
        "kind": "train",
        "id": "a:1",
        "question": "half \ud83d",
        "response": "x",
    }
    (tmp_path / "trajectories.jsonl").write_text(json.dumps(row) + "\n")
    target, _ = write_report(tmp_path)
    assert embedded(target.read_text(encoding="utf-8"))["trajectories"][0]["question"] == "half ?"


def test_reasons_are_in_words_and_those_of_others_as_they_are(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (make_run(tmp_path) / "trajectories.jsonl").open(encoding="utf-8")]
    ours = next(row for row in rows if row["reward"]["acc"] and row["stage"] == "joint")
    theirs = ours | {
        "reasons": {"length": "too long", "answer": {"verdict": "right"}},
        "group_scores": [1, None],
    }
    composition = ours["reasons"]["composition"]
    weights = composition["weights"][:3]  # as in runs of before
    before = ours | {"reasons": ours["reasons"] | {"composition": composition | {"weights": weights}}}
    (tmp_path / "trajectories.jsonl").write_text("\n".join(map(json.dumps, (ours, theirs, before))))
    target, _ = write_report(tmp_path)
    first, second, third = embedded(target.read_text(encoding="utf-8"))["trajectories"]
    assert "0.6 reasoning, 0.2 retrieval, 0.2 coordination" in first["words"]["score"][0]
    assert third["words"] == first["words"]
    assert len(first["group"]) == 8 and [first["line"], second["line"]] == [1, 2]
    assert second["words"] == {} and second["reasons"]["length"] == "too long" and second["group"] == [1]


def test_an_evaluation_shows_its_results(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("{}")
    results = {"benchmarks": [{"benchmark": "medqa_us", "accuracy": {"mean": 0.5, "low": float("nan")}}, 7]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    target, _ = write_report(tmp_path)
    assert embedded(target.read_text(encoding="utf-8"))["results"] == [
        {"benchmark": "medqa_us", "accuracy": {"mean": 0.5, "low": None}}
    ]


def test_values_of_the_wrong_kind_are_left_out(tmp_path: Path) -> None:
    row = {
        "step": "one", "id": "a:1", "response": "<think>x<search>q</search>", "reasons": "because",
        "reward": {"score": "high", "acc": 1.0, "valid": None, "stage": [1]},
        "searches": [{"documents": ["d1", {"id": "d2"}]}, {"documents": "d3"}, 7],
    }  # fmt: skip
    (tmp_path / "trajectories.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({"searches": 3}) + "\n")
    target, _ = write_report(tmp_path)
    shown, empty = embedded(target.read_text(encoding="utf-8"))["trajectories"]
    assert shown["reward"] == {"acc": 1.0} and shown["reasons"] == {} and shown["step"] is None
    assert shown["dataset"] == "a"  # of the id, in rows that do not say it
    assert [search["documents"] for search in shown["searches"]] == [[{"id": "d2"}], []]
    assert empty["searches"] == []


def test_long_runs_are_averaged_within_stages() -> None:
    rows = [
        StepMetrics(step, "a" if step <= 2001 else "b", "train", {"x": float(step <= 2001)})
        for step in range(1, 4001)
    ]
    data = curves(rows)
    assert len(data["steps"]) <= 1502 and data["averagedOver"] == 3
    assert set(data["series"]["x"]) == {1.0, 0.0}  # no average mixes the two stages
    assert data["steps"][-1] == 4000


def test_text_has_contrast() -> None:
    """WCAG AA, 4.5 to 1, for every colour of text on every ground it stands on, light and dark."""
    style = (Path(report.__file__).parent / "page" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", style))

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    grounds = {name: ["bg", "panel", "raised"] for name in ("ink", "soft", "muted", "accent", "bad")}
    grounds |= {f"s{i}": ["panel"] for i in range(1, 8)} | {
        "fair": ["panel", "fair-wash"],
        "good": ["panel", "good-wash"],
    }
    grounds["muted"] += ["search-wash", "document-wash", "good-wash", "fair-wash", "bad-wash"]
    for text, names in grounds.items():
        for ground in names:
            for one, other in zip(colours[text].split(", "), colours[ground].split(", "), strict=True):
                dark, light = sorted((luminance(one), luminance(other)))
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_title_is_escaped(tmp_path: Path) -> None:
    target, _ = write_report(tmp_path, title="<b>&")
    assert "<title>&lt;b&gt;&amp; · medr3 report</title>" in target.read_text(encoding="utf-8")


def test_command(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", running=True)
    result = medr3("report", run, "--max-trajectories", "50")
    assert result.exit_code == 0, result.output
    assert "in progress, step 60; 50 of 245 trajectories" in result.output
    assert (run / "report.html").is_file() and not list(run.glob(".report*"))
    (tmp_path / "empty").mkdir()
    empty = medr3("report", tmp_path / "empty")
    assert isinstance(empty.exception, UserError) and "none of metrics.jsonl" in str(empty.exception)
    assert not list((tmp_path / "empty").iterdir())
    missing = medr3("report", tmp_path / "nowhere")
    assert isinstance(missing.exception, UserError)
