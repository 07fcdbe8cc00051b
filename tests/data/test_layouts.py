"""Each layout on a few rows written in the original format of the release (the questions are invented)."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from medr3_plugin.data import prepare
from medr3_plugin.data.layouts import DATASETS
from medr3_plugin.errors import UserError


def lines(path: Path, *rows: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def load(dataset: str, source: str, **options: object) -> prepare.Loaded:
    return prepare.load(dataset, source, **options)  # type: ignore[arg-type]


DISEASES = ("Gout", "Pseudogout", "Septic arthritis", "Osteoarthritis", "Reactive arthritis")
FIVE = dict(zip("ABCDE", DISEASES, strict=True))


def test_medqa_by_region_and_split(tmp_path):
    us = {
        "question": "A man has a red toe?",
        "answer": "Gout",
        "options": FIVE,
        "answer_idx": "A",
        "meta_info": "step1",
    }
    cn = {
        "question": "男，50岁，左足第一跖趾关节剧痛，最可能的诊断是（　　）。",
        "answer": "痛风",
        "options": {"A": "痛风", "B": "骨折", "C": "类风湿关节炎", "D": "骨关节炎", "E": "丹毒"},
        "meta_info": "历年真题",
        "answer_idx": "A",
    }
    lines(tmp_path / "questions/US/train.jsonl", us)
    lines(tmp_path / "questions/US/test.jsonl", {**us, "question": "Another?"})
    lines(tmp_path / "questions/Mainland/dev.jsonl", cn)
    (train,) = load("medqa_us", str(tmp_path / "questions/US"), split="train").items
    assert (train.answers, train.split, dict(train.options)) == (("Gout",), "train", FIVE)
    (dev,) = load("medqa_mainland", str(tmp_path / "questions/Mainland")).items
    assert (dev.answers, dev.split, dev.dataset) == (("痛风",), "dev", "medqa_mainland")


def medmcqa(number: int, cop: object, **more: object) -> dict[str, object]:
    options = {"opa": "a", "opb": "b", "opc": "c", "opd": "d"}
    return {"id": f"id{number}", "question": f"Question number {number}?", "cop": cop, **options, **more}


@pytest.mark.parametrize(("labels", "answers"), [((1, 4), "ad"), ((0, 3, 0), "ada"), (("1", "4"), "ad")])
def test_medmcqa_counts_from_zero_or_one(tmp_path, labels, answers):
    source = lines(tmp_path / "train.json", *(medmcqa(i, label) for i, label in enumerate(labels)))
    items = load("medmcqa", source).items
    assert "".join(item.answers[0] for item in items) == answers
    assert [item.id for item in items] == [f"medmcqa:id{i}" for i in range(len(labels))]


def test_medmcqa_refuses_to_guess_the_base(tmp_path):
    with pytest.raises(UserError, match="'cop'"):
        load("medmcqa", lines(tmp_path / "a.json", medmcqa(1, 2), medmcqa(2, 3)))
    with pytest.raises(UserError, match=r"0 in \S*b.json:1 and 4 in \S*b.json:2"):
        load("medmcqa", lines(tmp_path / "b.json", medmcqa(1, 0), medmcqa(2, 4)))


def test_medmcqa_unlabelled_rows_are_skipped_and_empty_option_is_no_answer(tmp_path):
    source = lines(tmp_path / "x.json", medmcqa(1, 1), medmcqa(2, -1), medmcqa(3, 4, opd=""))
    loaded = load("medmcqa", source)
    assert (len(loaded.items), sum(loaded.skipped.values()), len(loaded.rejected)) == (1, 1, 1)
    assert "'cop' is 4" in loaded.rejected[0][1]


def test_pubmedqa_original_and_hub(tmp_path):
    original = {"QUESTION": "Does it work?", "CONTEXTS": ["x"], "final_decision": "maybe", "LONG_ANSWER": "…"}
    path = tmp_path / "ori_pqal.json"
    path.write_text(json.dumps({"123": original, "124": {**original, "QUESTION": "Other?"}}, indent=1))
    first, second = load("pubmedqa", str(path)).items
    assert (first.id, first.answers, first.gold_docs) == ("pubmedqa:123", ("maybe",), ("pubmedqa:123",))
    assert second.id == "pubmedqa:124"
    hub = {"pubid": 125, "question": "Hub?", "context": {"contexts": ["x"]}, "final_decision": "yes"}
    assert load("pubmedqa", lines(tmp_path / "hub.jsonl", hub)).items[0].gold_docs == ("pubmedqa:125",)


def test_pubmedqa_unlabelled_is_skipped_and_wrong_label_named(tmp_path):
    source = lines(
        tmp_path / "a.jsonl",
        {"pubid": 1, "question": "Q?"},
        {"pubid": 2, "question": "R?", "final_decision": "yep"},
    )
    loaded = load("pubmedqa", source)
    assert not loaded.items and sum(loaded.skipped.values()) == 1
    assert loaded.rejected[0][0].where.endswith("a.jsonl:2") and "yes, no or maybe" in loaded.rejected[0][1]


def test_mmlu_csv_without_header(tmp_path):
    folder = tmp_path / "test"
    folder.mkdir()
    (folder / "anatomy_test.csv").write_text('"Which bone, of these?",Tibia,Ulna,Radius,Femur,D\nBad,row\n')
    (folder / "virology_test.csv").write_text("A virus?,a,b,c,d,A\n")
    loaded = load("mmlu_med", str(tmp_path))
    (item,) = loaded.items
    assert (item.question, item.answers, item.split) == ("Which bone, of these?", ("Femur",), "test")
    assert sum(loaded.skipped.values()) == 1 and "2 columns" in loaded.rejected[0][1]


def test_mmlu_hub_and_array(tmp_path):
    hub = {"question": "Q?", "subject": "anatomy", "choices": ["w", "x", "y", "z"], "answer": 2}
    assert load("mmlu_med", lines(tmp_path / "hub.jsonl", hub)).items[0].answers == ("y",)
    array = [
        {
            "data": {
                "Question": "R?",
                "Options": {"A": "p", "B": "q"},
                "Correct Answer": "q",
                "Correct Option": "B",
            },
            "id": "u-1",
            "subject_name": "college_biology",
        }
    ]
    path = tmp_path / "mmlu_college_biology_test.json"
    path.write_text(json.dumps(array, indent=4))
    (item,) = load("mmlu_med", str(path)).items
    assert (item.id, item.answers, item.split) == ("mmlu_med:u-1", ("q",), "test")


def test_medxpertqa_cuts_the_repeated_choices_and_skips_images(tmp_path):
    text = {
        "id": "Text-1",
        "question": "A woman has a rash. Which drug? Answer Choices: (A) One (B) Two",
        "options": {"A": "One", "B": "Two"},
        "label": "B",
        "medical_task": "Treatment",
    }
    source = lines(tmp_path / "Text/test.jsonl", text, {**text, "id": "MM-2", "images": ["a.jpeg"]})
    loaded = load("medxpertqa", source)
    assert loaded.items[0].question == "A woman has a rash. Which drug?"
    assert loaded.items[0].answers == ("Two",) and sum(loaded.skipped.values()) == 1


def test_rarearena_screening_and_confirmation(tmp_path):
    row = {
        "_id": "8011-1",
        "case_report": "A boy with dark urine.",
        "test_results": "Homogentisic acid was raised.",
        "diagnosis": "Ochronosis",
        "Orpha_name": "Alkaptonuria",
        "Orpha_id": "56",
    }
    rows = row, {**row, "_id": "2", "case_report": "Another."}
    (screening, _) = load("rarearena_rds", lines(tmp_path / "RDS.json", *rows)).items
    (confirmation, _) = load("rarearena_rdc", lines(tmp_path / "RDC.json", *rows)).items
    assert "Homogentisic" not in screening.question and "Homogentisic" in confirmation.question
    assert confirmation.answers == ("Ochronosis", "Alkaptonuria")
    assert confirmation.gold_docs == ("hpoa:ORPHA:56",)


def test_bioasq(tmp_path):
    questions = [
        {
            "id": "1",
            "type": "yesno",
            "body": "Is it?",
            "exact_answer": "Yes",
            "documents": ["http://x/pubmed/42"],
        },
        {
            "id": "2",
            "type": "factoid",
            "body": "Which gene?",
            "exact_answer": [["ABCC11", "MRP8"]],
            "documents": [],
        },
        {"id": "3", "type": "summary", "body": "What is it?", "ideal_answer": ["…"]},
    ]
    path = tmp_path / "training.json"
    path.write_text(json.dumps({"questions": questions}))
    loaded = load("bioasq", str(path))
    yes, factoid = loaded.items
    assert (yes.answers, yes.gold_docs, dict(yes.options)) == (
        ("yes",),
        ("bioasq:42",),
        {"A": "yes", "B": "no"},
    )
    assert factoid.answers == ("ABCC11", "MRP8")
    assert list(loaded.skipped) == ["a summary question has no answer that a rule can check"]


def test_generic_open_and_gz(tmp_path):
    path = tmp_path / "mine.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(
            "\ufeff" + json.dumps({"question": "Q &amp; A?", "answers": ["x", "y"], "split": "dev"}) + "\n"
        )
    (item,) = load("generic", str(path)).items
    assert (item.question, item.answers, item.split) == ("Q & A?", ("x", "y"), "dev")
    assert item.id == load("generic", str(path)).items[0].id and item.id.startswith("generic:")


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("question,A,B,C,answer\nQ?,x,y,z,2\n", ("z",)),
        ("question,A,B,C,answer_idx\nQ?,x,y,z,0\n", ("x",)),
        ("question,A,B,C,label\nQ?,1,2,3,C\n", ("3",)),
        ("question;A;B;answer\r\nQ?;x;y;B\r\n", ("y",)),
        ("sep=;\r\nquestion;A;B;answer\r\nQ?;x;y;B\r\n", ("y",)),
        ('"Question"\t"Answer"\nQ?\tx\n', ("x",)),
        ("Question,Option A,Option-B,correct option\nQ?,x,y,B\n", ("y",)),
        ("question,options,answer\nQ?,\"['x', 'y']\",B\n", ("y",)),
        ('question,options,answer\nQ?,"A 螺内酯\nB 呋塞米",B\n', ("呋塞米",)),
        ('question,answers,gold_docs\nQ?,"[""x"", ""y""]","[""d1""]"\n', ("x", "y")),
    ],
    ids=str,
)
def test_a_csv_as_spreadsheets_write_it(tmp_path, text, answers):
    path = tmp_path / "own.csv"
    path.write_text(text)
    (item,) = load("generic", str(path)).items
    assert (item.question, item.answers) == ("Q?", answers)
    assert item.gold_docs == (("d1",) if "gold_docs" in text else ())


def test_a_row_of_several_lines_is_named_by_its_first(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text('question,answer\nQ?,x\n"R\n?",\n')
    ((raw, _),) = load("generic", str(path)).rejected
    assert raw.where.endswith("own.csv:3")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"answer": "x"}, "'question' is missing"),
        ({"question": "Q?"}, "'answer' or 'answers' is missing"),
        ({"question": "Q?", "options": {"A": "x"}, "answer": "x"}, "expected 2 to 26 options"),
        ({"question": "Q?", "options": {"A": "x", "B": "y"}}, "'answer_idx' is missing"),
        (
            {"question": "Q?", "option": {"A": "x", "B": "y", "C": "z"}, "answer": "AC"},
            "only one option can be right",
        ),
        ({"question": "Q?", "options": {"A": "x", "B": "y"}, "answer_idx": "C"}, "none of the options"),
        (
            {"question": "Q?", "options": {"A": "x", "B": "y"}, "answer_idx": "A", "answer": "y"},
            "different options",
        ),
        ({"question": "Q?", "options": ["x", "y"], "label": 0, "answer": "y"}, "different options"),
        ({"question": "Q?", "options": ["x", "y"], "answer": 2}, "index 2"),
        (
            {"question": "Vitamin?", "options": {"A": "B", "B": "A"}, "answer": "A"},
            "give the letter as 'answer_idx'",
        ),
        ({"question": "Q?", "answer": {"a": 1}}, "an object with 'a'"),
        ({"question": "Q?", "answers": "['a', 'b']"}, "write the object"),
        ({"question": "Q?", "options": ["x", "y"], "answer": float("nan")}, "is missing or empty"),
        ({"question": "Q?", "options": ["x", "y"], "answer_idx": "A", "answer": "B"}, "different options"),
        ({"question": "Q?", "options": ["1", "2", "3"], "label": "1"}, "give the letter"),
        ({"question": "Q?", "options": ["x", "y"], "label": "2"}, "counted from 0"),
        ({"Frage": "Q?", "answer": "x"}, "the row has Frage, answer"),
    ],
)
def test_bad_rows_are_named_and_the_others_kept(tmp_path, row, message):
    good = {"question": "Good?", "answer": "yes"}
    loaded = load("generic", lines(tmp_path / "f.jsonl", good, row))
    assert len(loaded.items) == 1
    ((raw, reason),) = loaded.rejected
    assert raw.where.endswith("f.jsonl:2") and message in reason


def test_labels_that_count_from_one_are_refused_whole(tmp_path):
    def rows(*labels):
        return [{"question": f"Q{i}?", "options": ["x", "y", "z"], "label": n} for i, n in enumerate(labels)]

    with pytest.raises(UserError, match=r"f.jsonl:2.* 3 of 3"):
        load("generic", lines(tmp_path / "f.jsonl", *rows(1, "3", 2)))
    for labels in (
        (0, 1, 3),
        (1, 2),
        ("A", 3),
    ):  # one wrong row; nothing to tell by; no other number to misread
        assert len(load("generic", lines(tmp_path / "f.jsonl", *rows(*labels))).items) == len(labels) - (
            3 in labels
        )
    texts = [{"question": f"{n}?", "options": ["2", "3", "4"], "answer": n} for n in "23"]
    assert [item.answers for item in load("generic", lines(tmp_path / "f.jsonl", *texts)).items] == [
        ("2",),
        ("3",),
    ]


def test_every_layout_has_a_line_of_help():
    assert all(layout.about for layout in DATASETS.values()) and len(DATASETS) >= 12


def test_unknown_dataset():
    with pytest.raises(UserError, match=r"'medqua'.*medqa_us"):
        load("medqua", "x.jsonl")


@pytest.mark.parametrize("cop", ["b", "two", 1.5, True, "2.5"])
def test_medmcqa_label_that_is_no_number_is_a_bad_row(tmp_path, cop):
    loaded = load("medmcqa", lines(tmp_path / "x.json", medmcqa(1, 4), medmcqa(2, cop)))
    ((row, reason),) = loaded.rejected
    assert row.where.endswith("x.json:2") and f"'cop' is {cop!r}" in reason and not loaded.skipped


@pytest.mark.parametrize(("cop", "answers"), [(2.0, "db"), ("2.0", "db"), (None, "d"), ("", "d"), (-1, "d")])
def test_medmcqa_whole_floats_and_absent_labels(tmp_path, cop, answers):
    loaded = load("medmcqa", lines(tmp_path / "x.json", medmcqa(1, 4), medmcqa(2, cop)))
    assert "".join(item.answers[0] for item in loaded.items) == answers
    assert not loaded.rejected and len(loaded.skipped) == (answers == "d")


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"answer": 2}, "2"),  # by text before index
        ({"answer": "2"}, "2"),
        ({"answer": 0}, "1"),
        ({"answer_idx": 2}, "3"),
        ({"answer_idx": 2.0}, "3"),
        ({"answer_idx": "C", "answer": 3}, "3"),
        ({"options": {"1": "x", "2": "y"}, "answer": 2}, "y"),
        ({"options": ["no", "yes", "true"], "answer": True}, "true"),
        ({"options": ["x", "y"], "answer": "b"}, "y"),
        ({"options": {"A": "↑ K", "B": "↓ K", "C": "= K"}, "answer": "↓ K", "answer_idx": "B"}, "↓ K"),
    ],
)
def test_answers_by_number_letter_and_text(tmp_path, row, answer):
    source = lines(tmp_path / "x.jsonl", {"question": "Q?", "options": ["1", "2", "3", "4"], **row})
    assert load("generic", source).items[0].answers == (answer,)


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Q?", "option": {"A": "x", "B": "y"}, "answer": "B"},  # CMB
        {"question": "Q?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"},  # ARC
        {"Question": "Q?", "Options": ["x", "y"], "Answer": "B"},
    ],
)
def test_names_that_other_collections_use(tmp_path, row):
    (item,) = load("generic", lines(tmp_path / "x.jsonl", row)).items
    assert (item.options, item.answers) == ({"A": "x", "B": "y"}, ("y",))


def test_mmlu_answers_are_indices_even_among_numbers(tmp_path):
    row = {"question": "Q?", "subject": "anatomy", "choices": ["1", "2", "3", "4"], "answer": 2}
    assert load("mmlu_med", lines(tmp_path / "x.jsonl", row)).items[0].answers == ("3",)


@pytest.mark.parametrize("name", ["anatomy_dev.csv", "anatomy.csv"])
def test_mmlu_subject_by_the_files_name(tmp_path, name):
    path = tmp_path / name
    path.write_text("A bone?,a,b,c,d,A\n")
    with gzip.open(f"{path}.gz", "wt") as file:
        file.write(path.read_text())
    for source in (str(path), f"{path}.gz"):
        assert [item.answers for item in load("mmlu_med", source).items] == [("a",)]


def test_mmlu_rows_without_a_subject_are_not_dropped(tmp_path):
    (tmp_path / "mmlu.csv").write_text("A bone?,a,b,c,d,A\n")
    loaded = load("mmlu_med", str(tmp_path / "mmlu.csv"))
    assert not loaded.skipped and "name it <subject>_<split>.csv" in loaded.rejected[0][1]
    row = {"question": "Q?", "choices": ["a", "b"], "answer": 1}
    for more in ({}, {"subject": None}, {"subject": ""}):
        assert load("mmlu_med", lines(tmp_path / "x.jsonl", {**row, **more})).items[0].answers == ("b",)
