"""A row of data as a sample, whoever wrote it, also as verl hands it over: arrays of numpy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.data.layouts import generic
from medr3_plugin.errors import RowError
from medr3_plugin.records import Document, Triple, canonical_id, gold_found
from medr3_plugin.rows import accepted, references_of, sample_of, without_options
from medr3_plugin.rows.options import options_of
from medr3_plugin.tables import RawRow

QUESTION = "Which of these is a loop diuretic?"
OPTIONS = {"A": "Amiloride", "B": "Furosemide", "C": "None"}
LISTED = "".join(f"\n{letter}. {text}" for letter, text in OPTIONS.items())


def verl_row(truth: Any, **info: Any) -> dict[str, Any]:
    """As verl's agent loop wraps the columns: each value in an array of one, of which one is taken."""
    row = {
        "data_source": "nq",
        "raw_prompt": [{"role": "system", "content": "Be short."}, {"role": "user", "content": QUESTION}],
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"split": "train", "index": 7, **info},
        "golden_answers": ["furosemide", "frusemide"],
    }
    return {key: np.array([value])[0] for key, value in row.items()}


@pytest.mark.parametrize(
    "truth",
    [
        {"target": ["furosemide", "frusemide"]},
        {"target": np.array(["furosemide", "frusemide"], dtype=object)},
        ["furosemide", "frusemide"],
        np.array(["furosemide", "frusemide"]),
        '{"target": ["furosemide", "frusemide"]}',
        '["furosemide", "frusemide"]',
        {"target": ["furosemide", "frusemide"], "score": None},  # a merged column of other rows
    ],
    ids=str,
)
def test_accepted_answers_in_every_shape(truth: Any) -> None:
    sample = sample_of(verl_row(truth), "a.parquet#1")
    assert sample.answers == ("furosemide", "frusemide")
    assert (sample.id, sample.question, sample.dataset) == ("7", QUESTION, "nq")


@pytest.mark.parametrize(
    "answer",
    [
        "B", "b", "(b)", "B.", "[B]", "**B**", '"B"', "'B'", "Ｂ", "（B）", "Option B", "answer: B", "选项B", "答案：B",
        "B. Furosemide", "b. furosemide", "(B) Furosemide", "[B] Furosemide", "B - Furosemide", "B Furosemide",
        "Ｂ．Furosemide", "furosemide",
    ],
)  # fmt: skip
def test_the_right_option_is_named_in_many_forms(answer: str) -> None:
    plain_row = {"question": QUESTION, "options": OPTIONS}
    rows = [plain_row | {"answer": answer}, plain_row | {"answer_idx": answer}]
    rows.append(verl_row(answer, question=QUESTION, options=OPTIONS))
    for row in rows:
        [accepted] = sample_of(row, "x").answers
        assert accepted.casefold() == "furosemide"


@pytest.mark.parametrize("answer", ["C. Furosemide", "B. cereus", "B or C", "an option B", "BC"])
def test_what_names_no_option_stays_as_it_is(answer: str) -> None:
    assert sample_of({"question": QUESTION, "options": OPTIONS, "answer": answer}, "x").answers == (answer,)


@pytest.mark.parametrize(
    "truth", [{"value": 1}, {}, [], "", None, [""], ["a", 2.5j], True, {"target": {"x": 1}}], ids=str
)
def test_a_ground_truth_without_an_answer_names_the_row(truth: Any) -> None:
    row = {"question": "Q?", "reward_model": {"ground_truth": truth}}
    with pytest.raises(RowError, match="parquet#1"):
        sample_of(row, "a.parquet#1")


def test_an_answer_that_only_looks_like_json_is_a_text() -> None:
    assert accepted("[3H]-glucose", "x") == ("[3H]-glucose",)
    assert accepted("{gene}", "x") == ("{gene}",)
    with pytest.raises(RowError):
        accepted("{'target': ['vitamin C']}", "x")


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        list(OPTIONS.values()),
        json.dumps(OPTIONS),
        str(OPTIONS),
        str(list(OPTIONS.values())),
        "\n".join(f"{letter}. {text}" for letter, text in OPTIONS.items()),
        "\r\n".join(f"{letter} {text}" for letter, text in OPTIONS.items()),
        {**OPTIONS, "D": None, "E": None},
        {**OPTIONS, "D": float("nan")},
        [{"key": letter, "value": text} for letter, text in OPTIONS.items()],
        {"label": list(OPTIONS), "text": list(OPTIONS.values())},
        np.array(list(OPTIONS.values()), dtype=object),
        [*OPTIONS.values(), "", None],
        [f"{letter}. {text}" for letter, text in OPTIONS.items()],
        {letter: f"{letter}) {text}" for letter, text in OPTIONS.items()},
        {f"({letter.lower()})": text for letter, text in OPTIONS.items()},
        *(
            [
                form.format(letter, text, letter.lower(), number)
                for number, (letter, text) in enumerate(OPTIONS.items(), 1)
            ]
            for form in (
                "({}) {}",
                "{}．{}",
                "（{}）{}",
                "【{}】{}",
                "{}：{}",
                "{} - {}",
                "{}、{}",
                "Option {}: {}",
                "选项{}：{}",
                "{}). {}",
                "{2}) {1}",
                "({2}){1}",
                "{3}. {1}",
                "({3}) {1}",
                "{3}、{1}",
            )
        ),
        "\n".join(f"（{letter}）{text}" for letter, text in OPTIONS.items()),
    ],
    ids=str,
)
def test_options_in_every_shape(options: Any) -> None:
    assert options_of(options, "x") == OPTIONS
    row = verl_row("B", options=options, question=QUESTION + LISTED)
    sample = sample_of(row, "x")
    assert sample.options == OPTIONS and sample.question == QUESTION
    assert sample_of({"question": QUESTION, "choices": options, "answer": "B"}, "x").options == OPTIONS


def test_an_answer_beside_its_letter_is_the_option() -> None:
    assert sample_of(verl_row(f"B. {OPTIONS['B']}", options=OPTIONS), "x").answers == (OPTIONS["B"],)
    species = {"A": "A. baumannii", "B": "B. cereus"}
    assert options_of(species, "x") == species


@pytest.mark.parametrize(
    "texts",
    [
        ["A beta", "B cell lymphoma", "C peptide"],
        ["A1 antitrypsin", "B12"],
        ["A-fib", "B-cell", "C-peptide"],
        ["A: T", "G: C"],
        ["A. Gout", "Sepsis"],
        ["A. Gout", "C. Sepsis"],
        ["1.5 mg", "2.5 mg"],
        ["1 - 2 weeks", "2 - 3 weeks"],
        ["1、2", "2、3"],
        ["(1)(2)", "(2)(3)"],
        ["(A)(B)", "（B）（C）"],
    ],
)
def test_words_that_look_like_a_label_stay(texts: list[str]) -> None:
    assert list((options_of(texts, "x") or {}).values()) == texts


@given(
    st.lists(
        st.text(st.characters(categories=["Lu"]), min_size=3, max_size=9),
        min_size=2,
        max_size=5,
        unique_by=str.casefold,
    ),
    st.sampled_from(["({}) {}", "（{}）{}", "{}．{}", "{}：{}", "{} - {}", "{}. {}"]),
)
def test_a_label_at_each_option_changes_nothing(texts: list[str], form: str) -> None:
    labelled = list(map(form.format, "ABCDE", texts))
    bare = sample_of({"question": QUESTION, "options": texts, "answer_idx": "B"}, "x")
    for asked in (QUESTION, "\n".join([QUESTION, *labelled])):
        for answer in ("B", labelled[1]):
            assert sample_of({"question": asked, "options": labelled, "answer": answer}, "x") == bare


def both(row: dict[str, Any]) -> list[Any]:
    """Question, options, answers, gold documents and id of a plain row for `score` and for training, or why not."""
    read: list[Any] = []
    for reader in (sample_of, lambda row, where: generic.item("generic", RawRow(where, row))):
        try:
            found = reader({"question": QUESTION, **row}, "x")
        except RowError as error:
            read.append(str(error).removeprefix("x: "))
        else:
            own = found.id.removeprefix("generic:") if "id" in row or "_id" in row or "qid" in row else ""
            read.append((found.question, found.options, found.answers, found.gold_docs, own))
    return read


CHOICE = {"options": OPTIONS, "answer": "B"}


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        ({"options": OPTIONS, "answer": "(b)"}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": "B）"}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": "Ｂ"}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": 1}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": "1"}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": ["A", "C"]}, ("Amiloride", "None")),
        ({"options": OPTIONS, "answer": "Furosemide", "answer_idx": "B"}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": "the one for the loop", "answer_idx": "B"}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": "", "answer_idx": "B"}, ("Furosemide",)),
        ({"options": OPTIONS, "answer": "B", "correct": True, "label": "pharmacology"}, ("Furosemide",)),
        ({"options": {"A": "K &lt; 3", "B": "K  &gt; 3"}, "answer": "B"}, ("K > 3",)),
        ({"options": {"A": "O", "B": "A"}, "answer_idx": "A"}, ("O",)),
        ({**OPTIONS, "answer": "B"}, ("Furosemide",)),
        (
            {f"option_{letter.lower()}": text for letter, text in OPTIONS.items()} | {"answer": "B"},
            ("Furosemide",),
        ),
        (
            {"choices": {"label": list(OPTIONS), "text": list(OPTIONS.values())}, "answerKey": "B"},
            ("Furosemide",),
        ),
        ({"options": OPTIONS, "answer_idx": 1}, ("Furosemide",)),
        ({"options": OPTIONS, "label": np.float64(1)}, ("Furosemide",)),
        ({"answer": "MFS", "answer_aliases": ["Marfan syndrome"]}, ("MFS", "Marfan syndrome")),
        ({"answer": "MFS", "answer_aliases": None}, ("MFS",)),
        ({"answer": "Na&#43; "}, ("Na+",)),
        ({"answer": ["a", None, ""]}, ("a",)),
        ({"answer": [["PD-L1", "CD274"]]}, ("PD-L1", "CD274")),
    ],
    ids=str,
)
def test_a_plain_row_is_read_as_for_training(row: dict[str, Any], answers: tuple[str, ...]) -> None:
    for_score, for_training = both(row)
    assert for_score == for_training
    assert for_score[2] == answers


@pytest.mark.parametrize(
    ("beside", "value"),
    [
        ({"id": 7}, "7"),
        ({"id": 7.0}, "7"),
        ({"id": " q1 "}, "q1"),
        ({"_id": "q1"}, "q1"),
        ({"qid": "q1"}, "q1"),
        ({"gold_docs": "d1"}, ("d1",)),
        ({"gold_docs": ["d1", 2, None]}, ("d1", "2")),
        ({"gold_docs": 12345678}, ("12345678",)),
        ({"gold_docs": '["d1"]'}, ("d1",)),
        ({"gold_docs": ""}, ()),
    ],
    ids=str,
)
def test_names_in_a_plain_row_are_read_as_for_training(beside: dict[str, Any], value: Any) -> None:
    for_score, for_training = both(CHOICE | beside)
    assert for_score == for_training
    assert for_score[3 if "gold_docs" in beside else 4] == value


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**CHOICE, "id": True}, "'id'"),
        ({**CHOICE, "id": 1.5}, "'id'"),
        ({**CHOICE, "id": ["a"]}, "'id'"),
        ({**CHOICE, "gold_docs": True}, "'gold_docs'"),
        ({**CHOICE, "gold_docs": {"a": 1}}, "'gold_docs'"),
        ({**CHOICE, "gold_docs": "['d1']"}, "write the list"),
        ({**CHOICE, "question": 5}, "'question'"),
        ({**CHOICE, "question": " "}, "'question'"),
        ({**CHOICE, "answer_idx": "A"}, "different options"),
        ({**CHOICE, "answer_idx": 0}, "different options"),
        ({**CHOICE, "answer_idx": 3}, "counted from 0"),
        ({**CHOICE, "answer": 3}, "counted from 0"),
        ({"options": OPTIONS, "answer_idx": "E"}, "none of the options"),
        ({"options": {"A": "O", "B": "A"}, "answer": "A"}, "fits the options"),
        ({"answer": True}, "'answer'"),
        ({**CHOICE, "answer": True}, "'answer'"),
        ({"answer": [["a"], ["b"]]}, "synonyms"),
        ({"answer": [[["a"]]]}, "'answer'"),
        ({"answer": "  "}, "missing or empty"),
    ],
    ids=str,
)
def test_a_plain_row_is_refused_as_for_training(row: dict[str, Any], why: str) -> None:
    for_score, for_training = both(row)
    assert isinstance(for_score, str) and for_score == for_training and why in for_score


@pytest.mark.parametrize("form", ["\n{}. {}", "\n{}) {}", "\n({}) {}", "\n\n{}: {}", "\n{}、{}", "\n{}．{}"])
@pytest.mark.parametrize(
    "named", [{"answer": "B"}, {"answer": "(b)"}, {"answer": "B. Furosemide"}, {"answer": "furosemide"},
              {"answer_idx": "B"}, {"answer_idx": "B", "answer": "Furosemide"}, {"answers": ["B"]}],
    ids=str,
)  # fmt: skip
def test_options_that_only_the_question_lists_are_read_from_it(form: str, named: dict[str, Any]) -> None:
    asked = QUESTION + "".join(form.format(*option) for option in OPTIONS.items())
    for question in (asked, f"{asked}\n"):
        score, training = both({"question": question, **named})
        assert score == training
        assert score[:3] == (QUESTION, OPTIONS, ("Furosemide",))


def test_a_prompt_may_go_on_behind_its_options() -> None:
    content = f"{QUESTION}{LISTED}\n\nAnswer with a letter."
    row = {
        "prompt": [{"role": "user", "content": content}],
        "reward_model": {"ground_truth": {"target": ["B"]}},
    }
    sample = sample_of(row, "x")
    assert (sample.question, sample.options, sample.answers) == (content, OPTIONS, ("Furosemide",))


@pytest.mark.parametrize(
    ("question", "answer"),
    [(QUESTION, "B"), (QUESTION + LISTED, "Mannitol"), (QUESTION + LISTED, "2"), ("Is it\nA. Gout?", "A")],
)
def test_a_question_that_lists_no_answer_stays_open(question: str, answer: str) -> None:
    sample = sample_of({"question": question, "answer": answer}, "x")
    assert (sample.question, sample.options, sample.answers) == (question, None, (answer,))


@pytest.mark.parametrize(
    "question",
    ["Which? A. Gout B. Sepsis", "Which? (A) Gout (B) Sepsis", f"{QUESTION}{LISTED}\nA. Gout\nsome\nB. Sepsis",
     f"{QUESTION}\nA. Amiloride\nB. Zinc"],
)  # fmt: skip
def test_a_letter_of_options_that_cannot_be_told_apart_is_refused(question: str) -> None:
    score, training = both({"question": question, "answer": "D"})
    assert score == training
    assert "'options'" in score


def test_an_answer_by_letter_is_the_options_text_for_a_judge_too() -> None:
    assert sample_of(verl_row("B", options=OPTIONS), "x").answers == ("Furosemide",)
    swapped = {"A": "O", "B": "A"}  # blood groups
    assert sample_of(verl_row("A", options=swapped), "x").answers == ("A",)
    assert sample_of({"question": "Q?", "options": swapped, "answers": ["A"]}, "x").answers == ("A",)


@pytest.mark.parametrize("answer", [1, 1.0, [7]])
def test_a_number_that_is_no_option_is_refused(answer: Any) -> None:
    with pytest.raises(RowError, match="letter"):
        sample_of(verl_row(answer, options=OPTIONS), "x")
    assert sample_of(verl_row(3, options=["One", "Two", "Three"]), "x").answers == ("3",)


@pytest.mark.parametrize(
    "options", [["one"], ["", "b", "c"], {"A": "x", "B": ""} | {"C": "y"}, [1.5j, "b"], "free text", 3]
)
def test_options_that_cannot_be_read(options: Any) -> None:
    with pytest.raises(RowError, match="options"):
        options_of(options, "field 'options'")


@given(st.lists(st.sampled_from(["None", "NA", "null", "nan", "0", "[]", "x"]), min_size=2, max_size=8))
def test_no_option_is_dropped_for_its_words(texts: list[str]) -> None:
    assert list((options_of(texts, "x") or {}).values()) == texts


def test_only_a_list_of_the_options_is_cut_from_a_question() -> None:
    assert without_options(QUESTION + LISTED, OPTIONS) == QUESTION
    assert without_options("Amiloride or\nB. Furosemide", OPTIONS) == "Amiloride or\nB. Furosemide"
    rewritten = sample_of(
        {"extra_info": {"question": "New?", "original_question": "Old?", "answers": ["a"]}}, "x"
    )
    assert rewritten.question == "New?"


def test_what_is_beside_the_answer() -> None:
    references = [{"triples": [["a", "causes", "b", True], ["b", "treats", "c"]], "text": "t"}]
    info = {
        "references": json.dumps(references),
        "gold_docs": np.array(["d1"]),
        "stage": "retrieval",
        "stage_progress": 0.5,
    }
    sample = sample_of(verl_row("x", **info), "x")
    assert sample.references[0].triples == (Triple("a", "causes", "b", True), Triple("b", "treats", "c"))
    assert (sample.gold_docs, sample.stage, sample.stage_progress) == (("d1",), "retrieval", 0.5)
    for bad in (
        {"references": "[{"},
        {"references": [{"triples": [["a"]]}]},
        {"gold_docs": {"a": 1}},
        {"id": ["x"]},
    ):
        with pytest.raises(RowError):
            sample_of(verl_row("x", **bad), "x")


@pytest.mark.parametrize(
    "references",
    [
        '[{"text": "cut \\ud83d", "triples": NaN}]',
        [{"text": "cut \ud83d", "triples": float("nan")}],
    ],
    ids=["JSON", "rows"],
)
def test_half_an_emoji_and_an_empty_cell_lose_no_reference(references: Any) -> None:
    [read] = references_of(references, "rows:1")
    assert (read.triples, read.text) == ((), "cut ?")


@pytest.mark.parametrize(
    ("gold", "document"),
    [
        ("pubmedqa:123", Document("pubmed:123", "t")),
        ("pubmedqa:123", Document("PMID123#c2", "t")),
        ("bioasq:123", Document("pubmed23n0001_0", "t", extra={"PMID": 123})),
        ("bioasq:123", Document("x", "t", extra={"pmid": "123"})),
        ("https://pubmed.ncbi.nlm.nih.gov/123/", Document("x", "t", extra={"pmid": 123.0})),
        ("doi:10.1000/ABC", Document("x", "t", extra={"DOI": "https://doi.org/10.1000/abc"})),
        ("10.1000/ABC", Document("doi:10.1000/abc", "t")),
        ("PMC7096066", Document("x", "t", extra={"pmcid": "PMC7096066"})),
        ("pmc:7096066", Document("PMC7096066#c1", "t")),
        ("PMCID: PMC7096066", Document("x", "t", extra={"pmc": 7096066})),
        ("d1", Document("d1#c0", "t")),
        ("PMID: 31234567", Document("p0", "t", extra={"pmid": [31234567]})),
        ("31234567", Document("pubmed23n1_0", "t", extra={"PMID": 31234567})),
        ("doi.org/10.1000/ABC", Document("x", "t", extra={"doi": "10.1000/abc"})),
        ("PMC123.1", Document("x", "t", extra={"pmcid": "PMC123"})),
    ],
)
def test_an_article_is_the_same_under_its_other_ids(gold: str, document: Document) -> None:
    assert gold_found([gold, "other"], document.ids) == {canonical_id(gold)}
    assert not gold_found(["pubmedqa:124", "d2"], document.ids)
    from medr3_plugin.records import Hit, SearchTurn
    from medr3_plugin.retrieval.protocol import turns_from_json, turns_to_json

    [turn] = turns_from_json(turns_to_json([SearchTurn("q", (Hit(document, 1.0),))]))
    assert gold_found([gold], turn.hits[0].document.ids)  # also after the way to the reward manager
    assert gold_found([gold], turn.row()["documents"][0]["ids"])  # and in what hit@k is counted from


def test_empty_columns_are_no_ids() -> None:
    document = Document("x", "t", extra={"pmid": None, "doi": "", "PMID": "n/a"})
    assert document.ids == {"x"}
