"""Files as people have them: options named None, MIRAGE's benchmark, Search-R1's rows, tables, the wrong data set."""

from __future__ import annotations

import csv
import json

import pytest

from medr3_plugin.data.prepare import load, remove_overlaps
from medr3_plugin.errors import UserError
from medr3_plugin.evaluation.benchmarks import load_benchmark

NUMBERS = ["None", "NA", "null", "Four"]


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def rows_of(kind):
    """A question per right option, as the data set's own files have it."""
    for right in range(4):
        question = f"How many of the {kind} {'abcd'[right]} are there?"
        columns = dict(zip(("opa", "opb", "opc", "opd"), NUMBERS, strict=True))
        asked = {"question": question, "options": dict(zip("ABCD", NUMBERS, strict=True))}
        yield {
            "medmcqa": {"id": str(right), "question": question, **columns, "cop": right},
            "mmlu_med": {"question": question, "subject": "anatomy", "choices": NUMBERS, "answer": right},
            "medqa_us": {**asked, "answer": NUMBERS[right], "answer_idx": "ABCD"[right]},
            "medxpertqa": {"id": str(right), **asked, "label": "ABCD"[right]},
            "generic": {"question": question, "options": NUMBERS, "answer_idx": right},
            "by text": {**asked, "answer": NUMBERS[right]},
        }[kind]


@pytest.mark.parametrize("kind", ["medmcqa", "mmlu_med", "medqa_us", "medxpertqa", "generic", "by text"])
def test_sentinels_are_content(tmp_path, kind):
    loaded = load("generic" if kind == "by text" else kind, lines(tmp_path / "test.jsonl", *rows_of(kind)))
    assert [item.answers for item in loaded.items] == [(text,) for text in NUMBERS]
    assert all(list(item.options.values()) == NUMBERS for item in loaded.items)


def test_an_empty_option_is_named_and_no_index_moves(tmp_path):
    row = {"question": "How many true ribs?", "answer_idx": 2}
    good = {**row, "question": "Good?", "options": ["Three", "Five", "Seven", "", ""]}
    merged = {**row, "question": "Merged?", "options": {"A": "Three", "B": "Five", "C": "Seven", "D": None}}
    bad = {**row, "options": ["", "Five", "Seven", "Nine"]}
    gap = {**row, "question": "Gap?", "options": {"A": "Three", "B": None, "C": "Seven", "D": "Nine"}}
    loaded = load("generic", lines(tmp_path / "own.jsonl", good, merged, bad, gap))
    assert [item.answers for item in loaded.items] == [("Seven",)] * 3
    [(row, reason)] = loaded.rejected
    assert row.where.endswith("own.jsonl:3") and "options.A" in reason


def mirage(question, *options, answer, **more):
    return {
        "question": question,
        "options": dict(zip("ABC", options, strict=False)),
        "answer": answer,
        **more,
    }


MIRAGE = {
    "medqa": {"0000": mirage("Scurvy?", "Vitamin A", "Vitamin C", answer="B")},
    "mmlu": {"anatomy-000": mirage("Deltoid?", "Axillary", "Radial", answer="A")},
    "medmcqa": {"0-1": mirage("Koplik spots?", "Measles", "Mumps", answer="A")},
    "pubmedqa": {"11": mirage("Does it?", "yes", "no", "maybe", answer="A", PMID=[11])},
    "bioasq": {"f1": mirage("Is it?", "yes", "no", answer="B", PMID=[22, 33])},
}
ANSWERS = {
    "medqa_us": "Vitamin C",
    "mmlu_med": "Axillary",
    "medmcqa": "Measles",
    "pubmedqa": "yes",
    "bioasq": "no",
}


def test_each_data_set_takes_its_part_of_mirage(tmp_path):
    source = tmp_path / "benchmark.json"
    source.write_text(json.dumps(MIRAGE))
    for name, answer in ANSWERS.items():
        [item] = load(name, str(source)).items
        assert (item.answers, item.split, item.dataset) == ((answer,), "test", name)
    assert load("bioasq", str(source)).items[0].gold_docs == ("pubmed:22", "pubmed:33")
    assert load("medqa_us", str(source)).items[0].gold_docs == ()
    assert len(load("generic", str(source)).items) == 5
    with pytest.raises(UserError, match="medxpertqa"):
        load("medxpertqa", str(source))
    _, [question] = load_benchmark(f"pubmedqa={source}")
    assert question.sample.answers == ("yes",) and question.sample.question == "Does it?"
    own = load("generic", lines(tmp_path / "own.jsonl", {"question": "koplik spots", "answer": "Measles"}))
    own.items[0] = type(own.items[0])(
        "x", "own", "Koplik spots?", ("Measles",), {"A": "Measles", "B": "Mumps"}
    )
    remove_overlaps(own, [str(source)])
    assert not own.items


@pytest.mark.parametrize("name", ["search_r1", "generic"])
def test_search_r1s_rows(tmp_path, name):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    row = {
        "id": "train_0",
        "question": "Which vitamin prevents scurvy?",
        "golden_answers": ["vitamin C", "ascorbic acid"],
        "data_source": "nq",
        "prompt": [
            {"role": "user", "content": "Answer the given question. Question: Which vitamin prevents scurvy?"}
        ],
        "reward_model": {"style": "rule", "ground_truth": {"target": ["vitamin C", "ascorbic acid"]}},
        "extra_info": {"split": "train", "index": 0},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train.parquet")
    [item] = load(name, str(tmp_path / "train.parquet")).items
    assert (item.id, item.question) == ("nq:train_0", row["question"])
    assert item.answers == ("vitamin C", "ascorbic acid")
    # the same file without being prepared, as an evaluation
    _, [question] = load_benchmark(f"{name}={tmp_path / 'train.parquet'}")
    assert question.sample.answers == item.answers


def test_a_ground_truth_that_cannot_be_read_is_named(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    row = {"reward_model": {"ground_truth": {"numerator": "3"}}, "extra_info": {"index": 1}}
    prompt = [{"role": "user", "content": "How many?"}]
    pq.write_table(pa.Table.from_pylist([{**row, "prompt": prompt}]), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="ground_truth"):
        load_benchmark(f"own={tmp_path / 'a.parquet'}")


def test_tables_with_a_column_per_option(tmp_path):
    header = ["question", "A", "B", "C", "answer"]
    rows = [["Scurvy?", "Vitamin A", "None", "Vitamin C", "C"], ["Rickets?", "None", "Vitamin D", "", "B"]]
    for name, delimiter in (("own.csv", ","), ("own.tsv", "\t")):
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([header, *rows])
        items = load("generic", str(tmp_path / name)).items
        assert [item.answers for item in items] == [("Vitamin C",), ("Vitamin D",)]
        assert [len(item.options) for item in items] == [3, 2]


def test_several_right_answers_are_kept(tmp_path):
    row = {"question": "Which?", "options": ["one", "two", "three"], "answer": ["A", "C"]}
    [item] = load("generic", lines(tmp_path / "own.jsonl", row)).items
    assert item.answers == ("one", "three")


@pytest.mark.parametrize(
    ("name", "origin"),
    [("pubmedqa", "medqa_us"), ("medqa_us", "medmcqa"), ("mmlu_med", "medxpertqa"), ("bioasq", "mmlu_med")],
)
def test_a_file_of_another_data_set_is_told(tmp_path, name, origin):
    extra = {"meta_info": "step1"} if origin == "medqa_us" else {"medical_task": "x", "body_system": "y"}
    source = lines(
        tmp_path / "f.jsonl",
        *({**row, **(extra if origin.startswith("med") else {})} for row in rows_of(origin)),
    )
    with pytest.raises(UserError, match=origin):
        load(name, source)


def test_files_of_different_option_counts_are_not_mixed_unasked(tmp_path):
    for name, count in (("four.jsonl", 4), ("five.jsonl", 5)):
        options = dict(zip("ABCDE", [*NUMBERS, "Five"][:count], strict=False))
        lines(tmp_path / name, {"question": f"{name}?", "options": options, "answer": "A"})
    with pytest.raises(UserError, match=r"five.jsonl.*four.jsonl"):
        load("medqa_us", str(tmp_path))
    assert len(load("medqa_us", str(tmp_path), mixed_options=True).items) == 2


def test_a_key_that_appears_twice_is_refused_by_line(tmp_path):
    twice = '{"question": "Which?", "answers": ["a"], "answers": ["b"]}\n'
    (tmp_path / "t.jsonl").write_text(twice + json.dumps({"question": "What?", "answer": "c"}) + "\n")
    loaded = load("generic", str(tmp_path / "t.jsonl"))
    assert len(loaded.items) == 1
    assert loaded.rejected[0][0].where.endswith("t.jsonl:1")
    assert "the key 'answers' appears twice" in loaded.rejected[0][1]


@pytest.mark.parametrize("row", ['"answers": 1e400', '"answer": "a", "options": ["a", Infinity]'])
def test_an_infinite_number_is_no_text(tmp_path, row):
    (tmp_path / "t.jsonl").write_text('{"question": "Which?", ' + row + "}\n")
    assert "got " in load("generic", str(tmp_path / "t.jsonl")).rejected[0][1]


def test_a_text_named_gz_is_told(tmp_path):
    (tmp_path / "t.jsonl.gz").write_text(json.dumps({"question": "Which?", "answer": "a"}) + "\n")
    with pytest.raises(UserError, match=r"remove \.gz from its name"):
        load("generic", str(tmp_path / "t.jsonl.gz"))
