"""R2MED in its published form: files, the Hub's configurations, and nDCG@10 by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from command_line import medr3
from index_helpers import write_jsonl

from medr3_plugin.errors import RowError, UserError
from medr3_plugin.retrieval import r2med
from medr3_plugin.retrieval.ndcg import ndcg

TEXTS = {
    "gout_1": "Colchicine treats an acute attack of gout.",
    "gout_2": "Uric acid crystals are found in the joint fluid in gout.",
    "scurvy_1": "Lack of ascorbic acid weakens collagen and causes bleeding gums.",
    "fever_1": "Malaria causes fever every other day.",
}


def write_set(folder: Path, qrels: list[dict[str, object]] | None = None) -> Path:
    folder.mkdir(parents=True)
    write_jsonl(folder / "corpus.jsonl", [{"id": key, "text": text} for key, text in TEXTS.items()])
    queries = {
        "1": "What helps against gout attacks? What crystals cause gout?",
        "2": "Why do the gums bleed?",
        "3": "Nobody judged this one.",
    }
    write_jsonl(folder / "query.jsonl", [{"id": key, "text": text} for key, text in queries.items()])
    judged = [("1", "gout_1", 1), ("1", "gout_2", 1), ("1", "fever_1", 0), ("2", "scurvy_1", 1)]
    rows = qrels or [{"q_id": q, "p_id": p, "score": score} for q, p, score in judged]
    write_jsonl(folder / "qrels.jsonl", rows)
    return folder


def run(*arguments: object):
    return medr3("index", "evaluate", *arguments)


def test_ndcg_by_hand():
    assert ndcg({"a": 1, "b": 1}, [["a"], ["x"], ["b"]], k=10) == pytest.approx(
        (1 + 1 / 2) / (1 + 1 / math.log2(3))
    )
    assert ndcg({"a": 3, "b": 1}, [["b"], ["a"]], k=10) == pytest.approx(
        (1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3))
    )
    assert ndcg({"a": 1}, [["x"], ["a"]], k=1) == ndcg({"a": 1}, [], k=10) == ndcg({}, [["a"]], k=10) == 0
    # one document under two names, and a second passage of it, count once
    assert ndcg({"pmid:1": 1, "d1": 1}, [["pmid:1", "d1"], ["d1"]], k=2) == pytest.approx(
        1 / (1 + 1 / math.log2(3))
    )


@pytest.mark.parametrize("k", [1, 5, 10])
def test_scikit_learn_agrees(k):
    metrics = pytest.importorskip("sklearn.metrics")
    grades = {"a": 3, "b": 1, "c": 2, "lost": 1}
    ranking = [*"xcayzbwtuvrs", "lost"]
    graded = [[grades.get(document, 0) for document in ranking]]
    measured = metrics.ndcg_score(graded, [range(len(ranking), 0, -1)], k=k)
    assert ndcg(grades, [[document] for document in ranking[:-1]], k=k) == pytest.approx(measured)


def test_one_command_over_a_folder_of_sets(tmp_path):
    source = tmp_path / "R2MED"
    write_set(source / "Biology")
    gout = [{"q_id": "1", "p_id": "gout_1", "score": 1}, {"q_id": "1", "p_id": "gone", "score": 1}]
    write_set(source / "MedQA-Diag", gout)
    done = run("--benchmark", "r2med", "--source", source, "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    biology, diag = found["sets"]
    assert biology == {"name": "Biology", "documents": 4, "queries": 2, "ndcg": 1.0}
    assert (diag["name"], diag["queries"]) == ("MedQA-Diag", 1) and 0 < diag["ndcg"] < 1
    assert found["mean_ndcg_at_10"] == pytest.approx((1 + diag["ndcg"]) / 2)
    again = run("--source", source / "Biology", "--out", tmp_path / "out")
    assert again.exit_code == 0 and "1.000" in again.output
    write_jsonl(source / "Biology/corpus.jsonl", [{"id": "scurvy_1", "text": TEXTS["scurvy_1"]}])
    changed = run("--source", source / "Biology", "--out", tmp_path / "out")
    assert isinstance(changed.exception, UserError) and "--overwrite" in str(changed.exception)
    assert run("--source", source / "Biology", "--out", tmp_path / "out", "--overwrite").exit_code == 0


def test_the_hub_s_configurations(tmp_path, monkeypatch):
    folder = write_set(tmp_path / "Biology")
    asked = []

    def rows_of(name, _):
        asked.append(name)
        part = "corpus" if ":corpus" in name else "query" if ":query" in name else "qrels"
        for number, line in enumerate((folder / f"{part}.jsonl").read_text().splitlines(), 1):
            yield f"{name}, row {number}", json.loads(line)

    monkeypatch.setattr(r2med, "rows_of", rows_of)
    sets = r2med.read_sets("R2MED")
    assert [benchmark.name for benchmark in sets] == list(r2med.SETS)
    assert sets[0].corpus == "R2MED/Biology:corpus:corpus"
    assert asked[:2] == ["R2MED/Biology:query:query", "R2MED/Biology:qrels:qrels"]
    assert r2med.read_sets("R2MED/Biology")[0].queries.keys() == {"1", "2"}


@pytest.mark.parametrize(
    ("qrels", "error"),
    [
        ([{"q_id": "1", "p_id": "gout_1", "score": "high"}], RowError),
        ([{"query-id": "1", "p_id": "gout_1", "score": 1}], RowError),
        ([{"q_id": "1", "p_id": "gout_1", "score": "nan"}], RowError),
        ([{"q_id": "99", "p_id": "gout_1", "score": 1}], RowError),
        ([{"q_id": "1", "p_id": "gout_1", "score": 0}], UserError),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, qrels, error):
    with pytest.raises(error, match="qrels"):
        r2med.read_sets(str(write_set(tmp_path / "Biology", qrels)))


def test_wrong_rows_of_queries_and_relevance_can_be_left_out(tmp_path):
    judged = [
        {"q_id": q, "p_id": p, "score": 1} for q, p in [("1", "gout_1"), ("2", "scurvy_1"), ("99", "gout_1")]
    ]
    folder = write_set(tmp_path / "Biology", [*judged, {"q_id": "1", "p_id": "gout_2", "score": "high"}])
    with (folder / "query.jsonl").open("a") as file:
        file.write('{"id": "4"}\nnot JSON\n')
    arguments = ("--source", folder, "--out", tmp_path / "out")
    assert run(*arguments).exit_code not in {0, 3}
    done = run(*arguments, "--skip-bad", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["sets"][0]["queries"] == 2
    for place in ("query.jsonl:4", "query.jsonl:5", "qrels.jsonl:3", "qrels.jsonl:4"):
        assert place in done.stderr


def test_a_place_without_a_set(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(UserError, match=source.name):
            r2med.read_sets(str(source))
    (write_set(tmp_path / "Biology") / "qrels.jsonl").unlink()
    with pytest.raises(UserError, match=r"qrels\.jsonl"):
        r2med.read_sets(str(tmp_path))
