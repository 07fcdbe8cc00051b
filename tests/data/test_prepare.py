"""From files to parquet: duplicates, conflicts, overlap, bad input, the command."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from command_line import medr3
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.data import prepare
from medr3_plugin.data.questions import reading
from medr3_plugin.data.questions.items import Item, options_of, stable_id
from medr3_plugin.data.questions.overlap import OverlapIndex, ngrams
from medr3_plugin.errors import UserError
from medr3_plugin.rows.options import right_letter

pq = pytest.importorskip("pyarrow.parquet")

CASE = (
    "A 45 year old woman with a long history of smoking comes to the clinic because of a cough with blood "
    "stained sputum and a weight loss of ten kilograms over the past four months."
)


def write(path: Path, *rows: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def run(*arguments: str) -> tuple[int, str]:
    result = medr3("data", *arguments)
    return (result.exit_code, str(result.exception or "") + result.output)


def test_parquet_row(tmp_path):
    source = write(
        tmp_path / "dev.jsonl", {"id": 7, "question": "Which?", "options": ["x", "y"], "answer": "y"}
    )
    code, output = run("prepare", "generic", "--source", source, "--out", str(tmp_path / "out.parquet"))
    assert code == 0, output
    (row,) = pq.read_table(tmp_path / "out.parquet").to_pylist()
    info = row["extra_info"]
    assert (row["data_source"], row["agent_name"]) == ("generic", "medr3_search")
    assert row["reward_model"] == {"style": "rule", "ground_truth": "y"}
    assert (info["id"], info["split"], info["answers"], info["gold_docs"]) == ("generic:7", "dev", ["y"], [])
    assert info["question"] == "Which?\nA. x\nB. y" and json.loads(info["options"]) == {"A": "x", "B": "y"}
    assert (
        row["prompt"][-1]["content"].endswith("Which?\nA. x\nB. y")
        and "<search>" in row["prompt"][-1]["content"]
    )


@pytest.mark.parametrize(("style", "agent"), [("plain", "medr3_search"), ("tools", "medr3_tool")])
def test_open_form_hides_the_options(tmp_path, style, agent):
    loaded = prepare.Loaded(items=[Item("i", "d", "最可能的诊断？", ("痛风",), {"A": "痛风", "B": "骨折"})])
    (row,) = prepare.training_rows(loaded.items, form="open", style=style)
    assert "骨折" not in row["prompt"][0]["content"] and row["extra_info"]["options"] == ""
    assert "你是" in row["prompt"][0]["content"] and row["agent_name"] == agent


def test_the_open_form_leaves_out_what_needs_the_options_and_says_so(tmp_path):
    rows = [
        {"question": "Which drug cures scabies?", "options": ["Permethrin", "Aspirin"], "answer": "A"},
        {
            "question": "Which is a gypsum product?",
            "options": ["Stone", "Plaster", "All of the above"],
            "answer": "C",
        },
        {"question": "All are signs of gout except:", "options": ["Tophus", "Jaundice"], "answer": "B"},
        {"question": "痛风的并发症不包括", "options": ["痛风石", "黄疸"], "answer": "B"},
    ]
    source = write(tmp_path / "dev.jsonl", *rows)
    given = ("prepare", "generic", "--source", source, "--mix-option-counts")
    for form, kept in (("choice", 4), ("open", 1)):
        out = tmp_path / f"{form}.parquet"
        code, said = run(*given, "--out", str(out), "--form", form)
        assert code == 0 and pq.read_table(out).num_rows == kept
    skipped = json.loads((tmp_path / "open.parquet.report.json").read_text())["skipped"]
    assert sorted(skipped.values()) == [1, 2] and all("options" in reason for reason in skipped)
    assert "3 skipped" in said
    code, said = run(*given, "--out", str(tmp_path / "x.parquet"), "--form", "open", "--limit", "2")
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 1 and "3 skipped" in said


def test_duplicates_go_and_conflicts_are_rejected(tmp_path):
    a = {"question": "Is it?", "options": ["yes", "no"], "answer": "yes"}
    source = write(
        tmp_path / "x.jsonl",
        {"id": 1, **a},
        {"id": 2, **a, "question": "is  it ?", "options": ["no", "yes"]},
        {"id": 3, **a, "question": "Other?"},
        {"id": 4, **a, "question": "Other?", "answer": "no"},
        {"id": 1, **a, "question": "Same id?"},
        {"id": 5, "question": "Does it?", "answer": "Yes"},
        {"id": 6, "question": "Does it?", "answer": "no"},
    )
    loaded = prepare.load("generic", source)
    assert [item.id for item in loaded.items] == ["generic:1"]
    assert loaded.duplicates == [("generic:2", "generic:1")]
    assert [row.where.rsplit(":", 1)[1] for row, _ in loaded.rejected] == list("34567")


def test_bad_rows_keep_their_content_and_exit_2(tmp_path):
    path = tmp_path / "mixed.jsonl"
    good = json.dumps({"question": "Good?", "answer": "a"}).encode()
    path.write_bytes(good + b'\n{"question": "caf\xe9", "answer": "b"}\n{broken\n[1]\n')
    out = tmp_path / "out.parquet"
    code, output = run("prepare", "generic", "--source", str(path), "--out", str(out))
    assert code != 0 and "mixed.jsonl:2" in output and "3 bad rows" in output
    assert pq.read_table(out).num_rows == 1
    rejected = [
        json.loads(line) for line in (tmp_path / "out.parquet.rejected.jsonl").read_text().splitlines()
    ]
    assert [row["row"].rsplit(":", 1)[1] for row in rejected] == ["2", "3", "4"]
    assert "caf\\xe9" in rejected[0]["data"]["raw"] and "UTF-8" in rejected[0]["reason"]
    assert rejected[1]["data"]["raw"] == "{broken"
    code, output = run("prepare", "generic", "--source", str(path), "--out", str(out), "--skip-bad")
    assert code == 3 and "mixed.jsonl:2" in output and "3 bad rows" in output
    path.write_bytes(good + b"\n")
    assert run("prepare", "generic", "--source", str(path), "--out", str(out))[0] == 0
    assert not (tmp_path / "out.parquet.rejected.jsonl").exists()


def test_overlap_with_an_evaluation_set(tmp_path):
    evaluation = tmp_path / "test.parquet"
    items = [Item("medqa:9", "medqa", CASE + " Most likely diagnosis?", ("Lung cancer",))]
    prepare.write(prepare.Loaded(items=items), evaluation, prepare.training_rows(items))
    source = write(
        tmp_path / "train.jsonl",
        {"id": "a", "question": CASE.upper() + " What is the diagnosis?", "answer": "x"},
        {"id": "b", "question": "Which vitamin is missing in scurvy, a disease of sailors?", "answer": "C"},
        {"id": "c", "question": CASE + "  most likely diagnosis", "answer": "x"},
    )
    out = tmp_path / "out.parquet"
    code, output = run(
        "prepare", "generic", "--source", source, "--out", str(out), "--against", str(evaluation)
    )
    assert code == 0 and "2 overlaps" in output
    found = json.loads((tmp_path / "out.parquet.report.json").read_text())["overlaps"]
    assert [(o["item_id"], o["kind"], o["evaluation_id"]) for o in found] == [
        ("generic:a", "ngram", "medqa:9"),
        ("generic:c", "question", "medqa:9"),
    ]


def test_stock_phrases_are_no_overlap():
    stock = "Which of the following is the most appropriate next step in the management of this patient?"
    index = OverlapIndex()
    index.add(Item("e", "d", CASE + " " + stock, ("x",)), "test")
    other = "A 3 year old boy swallowed a coin two hours ago, is well, and the film shows it in the stomach. "
    assert index.find(Item("t", "d", other + stock, ("y",))) is None
    assert index.find(Item("e", "d", "entirely different words", ("y",))).kind == "id"


@given(
    st.lists(
        st.sampled_from(["fever", "cough", "rash", "pain", "痛", "热", "of", "the"]), min_size=1, max_size=40
    )
)
def test_a_text_overlaps_itself_whatever_its_case_and_spacing(words):
    text = " ".join(words)
    assert ngrams(text) == ngrams("  " + text.upper().replace(" ", "\n ") + " !")
    index = OverlapIndex()
    index.add(Item("e", "d", text, ("x",)), "set")
    assert index.find(Item("t", "d", text.title() + ".", ("x",))) is not None


def test_nothing_usable_is_an_error_but_the_report_is_written(tmp_path):
    source = write(tmp_path / "x.jsonl", {"question": "Q?"})
    loaded = prepare.load("generic", source)
    with pytest.raises(UserError, match=r"x\.jsonl:1: field 'answer'"):
        prepare.write(loaded, tmp_path / "o.parquet", [])
    assert (tmp_path / "o.parquet.report.json").exists() and not (tmp_path / "o.parquet").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jsonl", b"\n", "is empty"),
        ("x.json", b"[1, 2", "not a UTF-8 JSON document"),
        ("x.xlsx", b"?", "unknown file type"),
        ("x.jsonl.gz", b"not gzip", "cannot be read"),
        ("x.jsonl.gz", gzip.compress(b'{"question": "Q?"}' * 99, mtime=0)[:-12], "cannot be read"),
        ("x.jsonl.gz", gzip.compress(b"x" * 99, mtime=0)[:10] + b"\xff" * 40, "cannot be read"),
        ("x.csv", b"question,r\xe9ponse\n", "x.csv:1: column 2 is not UTF-8"),
        ("x.csv", b'question,answer\nQ?,b\nR?,"c\nS?,d\n', "x.csv:3: a quote in this row is never closed"),
        ("x.json", b"[" * 100_000, "nested too deeply"),
        ("x.json", b'{"1": {"question": "Q?"}, "1": {"question": "R?"}}', "'1' appears twice"),
        ("x.csv", b"PK\x03\x04\x14\x00", "an Excel file"),
        ("x.jsonl", gzip.compress(b"{}", mtime=0), "add .gz to its name"),
    ],
)
def test_unreadable_files_name_themselves(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        list(reading.read(str(path)))
    assert str(path) in str(caught.value)


def test_missing_source_and_missing_split(tmp_path):
    with pytest.raises(UserError, match=r"absent\.jsonl"):
        list(reading.read(str(tmp_path / "absent.jsonl")))
    write(tmp_path / "train.jsonl", {})
    with pytest.raises(UserError, match=r"'test'.*train"):
        list(reading.read(str(tmp_path), split="test"))


@pytest.mark.parametrize(
    "arguments",
    [("--form", "both"), ("--prompt", "poem"), ("--stage", "fourth"), ("--out", "o.parquet", "--form", "x")],
)
def test_wrong_options_are_named(tmp_path, arguments):
    code, output = run(
        "prepare", "generic", "--source", "x", "--out", str(tmp_path / "o.parquet"), *arguments
    )
    assert code != 0 and arguments[-2] in output and arguments[-1] in output


@given(st.dictionaries(st.sampled_from("ABCDE"), st.text(min_size=1).filter(str.strip), min_size=2))
def test_a_label_among_the_options_is_found(options):
    try:
        cleaned = options_of(options)
    except UserError:
        return
    for letter in cleaned:
        assert right_letter(cleaned, f"({letter})") == letter


def test_ids_do_not_depend_on_position():
    assert stable_id("d", None, "Q?") == stable_id("d", "", "Q?") != stable_id("d", None, "R?")
    assert stable_id("d", "d:5", "Q?") == stable_id("d", 5, "Q?") == "d:5"


EVALUATION_FILES = {
    "ori_pqal.json": json.dumps({"123": {"QUESTION": CASE, "CONTEXTS": [], "final_decision": "yes"}}),
    "ori_pqaa.json": json.dumps({"123": {"QUESTION": CASE, "CONTEXTS": [], "LONG_ANSWER": "unlabelled"}}),
    "anatomy_test.csv": f'"{CASE}",a,b,c,d,A\n',
    "virology_test.csv": f'"{CASE}",a,b,c,d,A\n',  # skipped as training data
    "medqa.jsonl": json.dumps({"question": CASE, "options": {"A": "x", "B": "y"}, "answer_idx": "A"}) + "\n",
    "medmcqa.json": json.dumps(
        {"question": CASE, "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 2, "id": "i"}
    ),
    "bioasq.json": json.dumps({"questions": [{"id": "1", "type": "summary", "body": CASE}]}),
    "RDS.json": json.dumps({"_id": "1", "case_report": CASE, "diagnosis": "x"}),
    "nested.json": json.dumps([{"data": {"Question": CASE, "Options": {"A": "x", "B": "y"}}, "id": "u"}]),
    "prompts.jsonl": json.dumps({"prompt": [{"role": "user", "content": CASE}]}),
}


@pytest.mark.parametrize("name", EVALUATION_FILES)
def test_evaluation_files_in_their_original_layouts_are_compared(tmp_path, name):
    evaluation = tmp_path / "eval"
    evaluation.mkdir()
    (evaluation / name).write_text(EVALUATION_FILES[name])
    source = write(
        tmp_path / "train.jsonl",
        {"question": CASE, "answer": "x"},
        {"question": "Which vitamin?", "answer": "C"},
    )
    loaded = prepare.load("generic", source)
    prepare.remove_overlaps(loaded, [str(evaluation)])
    assert [item.question for item in loaded.items] == ["Which vitamin?"] and len(loaded.overlaps) == 1


@pytest.mark.parametrize(
    "row",
    [
        {"extra_info": {"split": "test", "index": 0, "question": CASE, "answer": "x"}},  # verl's GSM8K
        {"extra_info": {"split": "test", "index": 0}, "prompt": [{"role": "user", "content": CASE}]},
        {"question": CASE, "answer": "x"},
    ],
)
def test_a_parquet_of_another_project_is_compared_by_its_questions(tmp_path, row):
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "test.parquet")
    loaded = prepare.Loaded(items=[Item("i", "d", CASE, ("x",))])
    prepare.remove_overlaps(loaded, [str(tmp_path / "test.parquet")])
    assert not loaded.items and loaded.overlaps


def test_an_evaluation_file_without_questions_is_named(tmp_path):
    write(tmp_path / "a.jsonl", {"question": CASE})
    bad = write(tmp_path / "ground_truth.json", {"123": "yes", "124": "no"})
    loaded = prepare.Loaded(items=[Item("i", "d", CASE, ("x",))])
    with pytest.raises(UserError, match=r"ground_truth\.json") as caught:
        prepare.remove_overlaps(loaded, [str(tmp_path)])
    assert bad in str(caught.value)


def test_reports_beside_a_parquet_are_no_evaluation_files_and_unread_rows_are_listed(tmp_path):
    source = write(tmp_path / "test.jsonl", {"question": "Other?", "answer": "x"}, {"question": "Bad?"})
    code, _ = run("prepare", "generic", "--source", source, "--out", str(tmp_path / "eval/x.parquet"))
    assert code != 0  # a bad row: report and rejected rows lie in eval/
    (tmp_path / "eval/y.jsonl").write_text('{"question": "More?"}\n{broken\n')
    train = write(tmp_path / "mine.jsonl", {"question": "Mine?", "answer": "x"})
    out = str(tmp_path / "o.parquet")
    code, output = run(
        "prepare", "generic", "--source", train, "--out", out, "--against", str(tmp_path / "eval")
    )
    assert code == 0 and "1 evaluation row not compared" in output
    (where,) = json.loads(Path(out + ".report.json").read_text())["not_compared"]
    assert where.endswith("y.jsonl:2")


def test_splits_are_not_mixed_unless_asked_for(tmp_path):
    for split in ("train", "dev", "test"):
        write(tmp_path / f"US/{split}.jsonl", {"question": f"{split}?", "answer": "x"})
    arguments = ("prepare", "generic", "--source", str(tmp_path / "US"), "--out", str(tmp_path / "o.parquet"))
    code, output = run(*arguments)
    assert code != 0 and "dev (1 row), test (1 row), train (1 row); name one with --split" in output
    assert run(*arguments, "--limit", "1")[0] != 0  # the first rows are all of one split
    for split, rows in (("validation", 1), ("train", 1), ("all", 3)):
        code, output = run(*arguments, "--split", split)
        assert code == 0 and f"{rows} row" in output
    code, output = run(*arguments, "--split", "trian")
    assert code != 0 and "no row of split 'trian'; splits found: dev, test, train" in output


def test_split_of_a_file(tmp_path):
    rows = [
        {"question": f"{name}?", "answer": "x", "split": name} for name in ("train", "validation", "Test")
    ]
    mixed = write(tmp_path / "all_rows.jsonl", *rows)
    (item,) = prepare.load("generic", mixed, split="dev").items
    assert (item.question, item.split) == ("validation?", "dev")
    named = write(tmp_path / "test.jsonl", {"question": "Q?", "answer": "x"})
    with pytest.raises(UserError, match=r"test\.jsonl: .*'train'.*test"):
        prepare.load("generic", named, split="train")
    unnamed = write(tmp_path / "mine.jsonl", {"question": "Q?", "answer": "x"})
    with pytest.raises(UserError, match=r"'train'.*'split'"):
        prepare.load("generic", unnamed, split="train")


def test_why_no_row_is_left_and_that_the_parquet_is_an_old_one(tmp_path):
    out = tmp_path / "o.parquet"
    good = write(tmp_path / "good.jsonl", {"question": "Q?", "answer": "x"})
    assert run("prepare", "generic", "--source", good, "--out", str(out))[0] == 0
    unlabelled = write(
        tmp_path / "test.jsonl", {"pubid": 1, "question": "Q?"}, {"pubid": 2, "question": "R?"}
    )
    code, output = run("prepare", "pubmedqa", "--source", unlabelled, "--out", str(out))
    assert code != 0 and "2 rows: no final_decision" in output
    assert f"{out} is left from an earlier run" in output
    code, output = run("prepare", "generic", "--source", good, "--out", str(out), "--against", good)
    assert code != 0 and "1 overlap the evaluation sets, the first" in output


def test_quoted_line_ends_in_csv(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('question,answer\n"Q\n?",a\nR?,"b\n"\n\n')
    assert [row.data for row in reading.read(str(path))] == [
        {"question": "Q\n?", "answer": "a"},
        {"question": "R?", "answer": "b\n"},
    ]
    (tmp_path / "x.tsv").write_text("question\tanswer\tnote\nQ?\ta\t\n")
    assert [dict(row.data) for row in reading.read(str(tmp_path / "x.tsv"))] == [
        {"question": "Q?", "answer": "a", "note": ""}
    ]


def test_an_out_that_cannot_be_written(tmp_path):
    source = write(tmp_path / "x.jsonl", {"question": "Q?", "answer": "x"})
    (tmp_path / "folder.parquet").mkdir()
    for out, message in (("folder.parquet", "is a folder"), ("x.jsonl/o.parquet", "x.jsonl is a file")):
        code, output = run("prepare", "generic", "--source", source, "--out", str(tmp_path / out))
        assert code != 0 and message in output and out in output
    assert not (tmp_path / "folder.parquet.report.json").exists()


@pytest.mark.parametrize(
    "name", ["data/train.parquet", "data/x.jsonl.gz", "./data/medqa", "/data", "/data/x"]
)
def test_a_missing_file_is_no_hub_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="owner/name"):
        list(reading.read(name))


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_half_a_surrogate_pair_is_a_bad_row(tmp_path, suffix):
    good = '{"question": "Good \\ud83d\\ude00?", "answer": "a"}'  # a whole pair is a character
    bad = '{"question": "Bad \\ud800?", "answer": "a"}'
    path = tmp_path / f"x.{suffix}"
    path.write_text(f"{good}\n{bad}\n" if suffix == "jsonl" else f"[{good}, {bad}]")
    code, output = run("prepare", "generic", "--source", str(path), "--out", str(tmp_path / "o.parquet"))
    place = f"{path}:2" if suffix == "jsonl" else f"{path}#2"
    assert code != 0 and f"{place}: key 'question': half a surrogate pair" in output
    assert pq.read_table(tmp_path / "o.parquet").num_rows == 1
    assert "\\ud800" in json.loads((tmp_path / "o.parquet.rejected.jsonl").read_text())["data"]["raw"]


def test_nan_is_null_and_only_text_is_a_question(tmp_path):
    """As pandas writes a column with nulls, and as a conversation that was taken for a question."""
    source = tmp_path / "x.jsonl"
    source.write_text(
        '{"id": NaN, "question": "A?", "answer": "x"}\n{"id": NaN, "question": "B?", "answer": "y"}\n'
        '{"question": "C?", "answer": NaN}\n{"question": {"text": "D?"}, "answer": "z"}\n'
    )
    loaded = prepare.load("generic", str(source))
    assert [item.question for item in loaded.items] == ["A?", "B?"]
    assert [reason.partition(" is")[0] for _, reason in loaded.rejected] == [
        "field 'answer' or 'answers'",
        'field \'question\': expected a string, got {"text": "D?"}',
    ]


@pytest.mark.parametrize("depth", [100, 400, 600, 900, 100_000])
def test_depth_is_no_reason_to_fail(tmp_path, depth):
    rows = ['{"question": "Q?", "answer": "x"}', f'{{"a": {"[" * depth}{"]" * depth}}}']
    (tmp_path / "x.jsonl").write_text("\n".join(rows))
    code, output = run(
        "prepare", "generic", "--source", str(tmp_path / "x.jsonl"), "--out", str(tmp_path / "o.parquet")
    )
    assert code != 0 and "x.jsonl:2: " in output and "1 bad row" in output
