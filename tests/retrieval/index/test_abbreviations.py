from __future__ import annotations

import json
import time

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index import abbreviations
from medr3_plugin.retrieval.index.abbreviations import NAME, Abbreviations, Finder
from medr3_plugin.retrieval.index.lexical import LexicalIndex
from medr3_plugin.retrieval.index.lexical_build import build_lexical


def kept(folder, *texts: str) -> dict[str, list[str]]:
    """Each abbreviation with the long forms that are kept when every text is in two documents."""
    finder = Finder()
    for text in texts * 2:
        finder.add(text)
    finder.write(folder / NAME)
    found = json.loads((folder / NAME).read_text()) if (folder / NAME).exists() else []
    return {short: [form for _, forms in senses for form in forms] for short, _, senses in found}


@pytest.mark.parametrize(
    ("text", "short", "long"),
    [
        ("Adults with immune thrombocytopenia (ITP) bleed.", "ITP", "immune thrombocytopenia"),
        ("ITP (immune thrombocytopenia) in adults", "ITP", "immune thrombocytopenia"),
        ("some non-small cell lung cancer (NSCLC; n = 40)", "NSCLC", "non small cell lung cancer"),
        ("Two nonsteroidal drugs (NSDs) were given", "NSD", "nonsteroidal drugs"),
        ("a Sjögren score index (SSI)", "SSI", "sjogren score index"),
        ("tested for interleukin-6 (IL-6) twice", "IL-6", "interleukin 6"),
        ("慢性阻塞性肺疾病（COPD）常见。", "COPD", "慢性阻塞性肺疾病"),
        ("肺动脉高压（pulmonary hypertension，PHT）", "PHT", "pulmonary hypertension"),
    ],
)  # fmt: skip
def test_definitions_are_found(tmp_path, text, short, long):
    assert long in kept(tmp_path, text)[short]


@pytest.mark.parametrize(
    "text",
    [
        "in older patients (see Table 2) and controls (n = 20)",
        "the gene (ABC) of nothing similar",
        "sentence end. (ITP)",
        "immune thrombocytopenia (itp)",
        "an ITP test of ITP disease (ITP)",
        "(a remark that begins the text) and XY ",
        "an ABCDEFGHIJKLMNOP (A Better Word Than That)",
    ],
)
def test_other_brackets_define_nothing(tmp_path, text):
    assert kept(tmp_path, text) == {}


def test_a_chinese_long_form_is_what_the_runs_before_the_bracket_share(tmp_path):
    texts = [f"{before}慢性阻塞性肺疾病（COPD）" for before in ("患有", "老年", "", "重度")]
    assert kept(tmp_path, *texts) == {"COPD": ["慢性阻塞性肺疾病"]}


def test_a_sense_needs_two_documents_and_a_fair_share(tmp_path):
    finder = Finder()
    for text, count in {
        "atrial fibrillation (AF)": 20,
        "amniotic fluid (AF)": 3,
        "alveolar fistula (AF)": 1,
    }.items():
        for _ in range(count):
            finder.add(text)
    finder.add("once only defined (OOD)")
    assert finder.write(tmp_path / NAME) == 1
    assert json.loads((tmp_path / NAME).read_text()) == [["AF", 24, [[20, ["atrial fibrillation"]]]]]


def test_spellings_are_one_sense(tmp_path):
    finder = Finder()
    for text in ("acute myeloid leukemia (AML)", "acute myeloid leukaemia (AML)") * 2:
        finder.add(text)
    finder.write(tmp_path / NAME)
    ((_, documents, senses),) = json.loads((tmp_path / NAME).read_text())
    assert documents == senses[0][0] == 4
    assert len(senses) == 1


def expanded(index: LexicalIndex, query: str) -> list[tuple[list[int], float]]:
    terms, _, words = index._terms(query)
    return index._abbreviated(query, words, terms)


def found(folder, documents: list[str], query: str, among: list[str]) -> str:
    """The first of some of the documents."""
    build_lexical(documents, folder)
    rows = LexicalIndex(folder).search([query], len(documents))[0][0]
    return next(documents[row] for row in rows if documents[row] in among)


DEFINING = ["Immune thrombocytopenia (ITP) of adults.", "Immune thrombocytopenia (ITP) of children."]
OTHERS = [f"Treatment of condition {number} in adults." for number in range(20)]


@pytest.mark.parametrize("query", ["ITP treatment", "itp treatment", "treatment of ITP"])
def test_the_long_form_is_searched_for(tmp_path, query):
    wanted = "Treatment of immune thrombocytopenia, with a drug, at home or in a ward."
    assert found(tmp_path, [*OTHERS, wanted, *DEFINING], query, [*OTHERS, wanted]) == wanted


def test_the_abbreviation_is_searched_for(tmp_path):
    one, other = "Romiplostim for chronic leg ulcer.", "Romiplostim for adults with chronic ITP."
    query = "romiplostim for immune thrombocytopenia"
    assert found(tmp_path, [one, other, *DEFINING], query, [one, other]) == other


def test_small_letters_that_are_another_word_are_not_expanded(tmp_path):
    defining = ["acute lymphoblastic leukemia (ALL) relapse"] * 2
    others = [f"all children of cohort {number}" for number in range(40)]
    build_lexical([*defining, *others], tmp_path)
    index = LexicalIndex(tmp_path)
    assert expanded(index, "all children") == []
    assert expanded(index, "ALL in children")


def test_a_word_that_looks_like_a_plural_is_not_expanded(tmp_path):
    defining = ["length of stay (LOS) in the ward", "length of stay (LOS) of children"]
    others = [f"hearing loss of cohort {number}" for number in range(40)]
    build_lexical([*defining, *others], tmp_path)
    index = LexicalIndex(tmp_path)
    assert [expanded(index, query) for query in ("hearing loss", "HEARING LOSS", "Loss of hearing")] == [
        [],
        [],
        [],
    ]
    assert all(expanded(index, query) for query in ("LOS in the ward", "los in the ward", "median LOSs"))


@pytest.mark.parametrize(
    ("query", "long"),
    [
        ("CTS", "carpal tunnel syndrome"),
        ("cts surgery", "carpal tunnel syndrome"),
        ("two CTs", "computed tomography"),
        ("EDSS", "expanded disability status scale"),
        ("two EDSs", "ehlers danlos syndrome"),
        ("MIS-C", ""),
        ("Ras", ""),
        ("ras", ""),
        ("MIs", "myocardial infarction"),
        ("LOSS", "length of stay"),
        ("Loss", ""),
    ],
)
def test_a_plural_is_told_from_another_abbreviation(tmp_path, query, long):
    kept(
        tmp_path,
        "carpal tunnel syndrome (CTS)",
        "computed tomography (CT)",
        "Ehlers-Danlos syndrome (EDS)",
        "expanded disability status scale (EDSS)",
        "myocardial infarction (MI)",
        "rheumatoid arthritis (RA)",
        "length of stay (LOS)",
    )
    uses = Abbreviations(tmp_path / NAME).of(query, query.lower().split())
    assert [use.long for use in uses] == [long][: bool(long)]


@pytest.mark.parametrize(
    ("query", "long"),
    [
        ("HT in women", ["hormone therapy"]),
        ("5-HT in women", ["5 hydroxytryptamine"]),
        ("IL-6 in women", ["interleukin", "interleukin 6"]),
        ("3-ASA in women", []),
        ("ASA in women", ["american society of anesthesiologists"]),
        ("within 24 hr", []),
        ("HR for death", ["hazard ratio"]),
        ("IV iron", ["intravenous"]),
        ("phase IV", []),
        ("angiotensin II", []),
        ("neuropathy type IE", []),
        ("IE in women", ["infective endocarditis"]),
    ],
)
def test_a_part_of_another_name_or_number_is_no_abbreviation(tmp_path, query, long):
    kept(
        tmp_path,
        "hormone therapy (HT)",
        "5-hydroxytryptamine (5-HT)",
        "interleukin (IL)",
        "interleukin-6 (IL-6)",
        "American society of anesthesiologists (ASA)",
        "hazard ratio (HR)",
        "intravenous (IV)",
        "insulin independent (II)",
        "infective endocarditis (IE)",
    )
    uses = Abbreviations(tmp_path / NAME).of(query, query.lower().replace("-", " ").split())
    assert sorted(use.long for use in uses) == long


def test_what_a_query_defines_itself_is_left_alone(tmp_path):
    build_lexical(["Fanconi anemia (FA) of adults"] * 2 + OTHERS, tmp_path)
    index = LexicalIndex(tmp_path)
    assert expanded(index, "FA of adults")
    assert expanded(index, "folic acid (FA) of adults") == []


def test_chinese_queries(tmp_path):
    defining = ["慢性阻塞性肺疾病（COPD）的诊断", "老年慢性阻塞性肺疾病（COPD）的预后"]
    wanted = "慢性阻塞性肺疾病的治疗首选支气管扩张剂。"
    others = ["高血压的治疗", "糖尿病的治疗", "哮喘的治疗"]
    assert found(tmp_path, [*others, *defining, wanted], "COPD", [*others, wanted]) == wanted


def test_an_index_without_the_file_is_searched_without(tmp_path):
    build_lexical(DEFINING + OTHERS, tmp_path)
    with_file = LexicalIndex(tmp_path)
    (tmp_path / NAME).unlink()
    without = LexicalIndex(tmp_path)
    assert len(with_file._abbreviations) > 0 == len(without._abbreviations)
    assert without.search(["ITP"], 3)[0].tolist() == with_file.search(["ITP"], 3)[0].tolist()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "[[1, 2, 3]]",
        '[["A", 0, [[1, ["b c"]]]]]',
        '[["A", 2, [[1, []]]]]',
        '[["A", 2, [[1, [5]]]]]',
        "[" * 10**5,
    ],
)
def test_a_damaged_file_is_named(tmp_path, content):
    build_lexical(DEFINING, tmp_path)
    (tmp_path / NAME).write_text(content)
    with pytest.raises(UserError, match="build it again"):
        LexicalIndex(tmp_path)


HOSTILE = {
    "open": "(" * 500_000,
    "pairs": "()" * 200_000,
    "full width": "（" * 300_000 + "）" * 300_000,
    "one word": "a" * 1_000_000 + " (AA)",
    "capitals": "A" * 1_000_000 + "(A" + "A" * 1000 + ")",
    "same letters": "a a " * 250_000 + "(AAAAAAAAAA) " * 10_000,
    "nothing between": "(AB)" * 20_000,
    "commas": "x (a, AB), " * 40_000,
    "controls": "immune \x00 thrombo\x1b[31m (IT\x00P) \ud800 (\ud800AB) " * 10_000,
    "chinese": "病" * 1_000_000 + "（AB）",
    "hyphens": "a-b (A-" + "-" * 500_000 + "B)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_take_linear_time(tmp_path, name):
    begun = time.process_time()
    kept(tmp_path, HOSTILE[name])
    assert time.process_time() - begun < 5
    if (tmp_path / NAME).exists():
        query = "(" * 100 + "AB " * 1000 + "\x00\ud800"
        list(Abbreviations(tmp_path / NAME).of(query, query.split()))


def test_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(abbreviations, "_MOST", 100)
    monkeypatch.setattr(abbreviations, "_MOST_KEPT", 5)
    finder = Finder()
    letters = "abcdefghijklmnopqrstuvwxyz"
    for one in letters:
        for other in letters:
            finder.add(
                f"{one}x {other}y ({one}{other}".upper().replace("X ", "x ").replace("Y (", "y (") + ")"
            )
            finder.add("immune thrombocytopenia (ITP)")
            assert len(finder._pairs) <= 101
    assert finder.write(tmp_path / NAME) <= 5
    assert "ITP" in {short for short, *_ in json.loads((tmp_path / NAME).read_text())}
