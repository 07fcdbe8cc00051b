from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import UserError
from medr3_plugin.knowledge.text import normal_form, words
from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary

VOCABULARY = Vocabulary(
    [
        Entry("Myocardial infarction", ("heart attack", "MI")),
        Entry("Acute lymphoblastic leukemia", ("ALL",)),
        Entry("Hepatitis A"),
        Entry("Hepatitis"),
        Entry("Aspirin", ("acetylsalicylic acid",)),
        Entry("高血压", ("血压高",)),
        Entry("Fever", ("Pyrexia",)),
    ]
)


def found(text):
    return [(m.entity, text[m.start : m.end]) for m in VOCABULARY.find(text)]


def test_longest_match_synonyms_and_offsets():
    assert found("A heart attack, then Heart Attacks after acute Myocardial  Infarction.") == [
        ("myocardial infarction", "heart attack"),
        ("myocardial infarction", "Heart Attacks"),
        ("myocardial infarction", "Myocardial  Infarction"),
    ]
    assert found("hepatitis A and hepatitis") == [("hepatitis a", "hepatitis A"), ("hepatitis", "hepatitis")]


def test_abbreviations_only_in_upper_case():
    assert found("MI and ALL are not all mi") == [
        ("myocardial infarction", "MI"),
        ("acute lymphoblastic leukemia", "ALL"),
    ]


def test_chinese_without_blanks():
    assert found("患者有高血压病史，血压高") == [("高血压", "高血压"), ("高血压", "血压高")]


def test_normalise():
    assert VOCABULARY.normalise("Heart attacks") == "myocardial infarction"
    assert VOCABULARY.normalise("The Pyrexia") == "fever"
    assert VOCABULARY.normalise("Unknown Things") == "unknown thing"
    assert VOCABULARY.knows("aspirin") and not VOCABULARY.knows("acetylsalicylic acid")


def test_names_before_synonyms_and_stacking():
    stacked = Vocabulary(
        [Entry("Influenza", ("flu", "cold")), Entry("Cold", ("common cold",)), Entry("flu", ("grippe",))]
    )
    assert stacked.normalise("cold") == "cold"
    assert stacked.normalise("common cold") == "cold"
    # an entry named by another's synonym is a concept of its own: names win over synonyms
    assert stacked.normalise("grippe") == "flu"
    twice = Vocabulary([Entry("Influenza", ("grippe",)), Entry("influenza", ("flu",))])
    assert twice.normalise("flu") == twice.normalise("grippe") == "influenza"


def test_stop_words_and_single_letters_are_no_terms():
    vocabulary = Vocabulary([Entry("All"), Entry("the"), Entry("B"), Entry("")])
    assert vocabulary.find("All the B") == ()
    assert len(vocabulary) == 0


@given(st.text(max_size=60))
def test_mentions_are_ordered_apart_and_inside(text):
    position = 0
    for mention in VOCABULARY.find(text):
        assert position <= mention.start < mention.end <= len(text)
        position = mention.end


@given(st.text(max_size=40))
def test_normal_form_is_stable_for_its_own_words(text):
    assert normal_form(text) == normal_form(f"  {text}\n")
    for form, start, end in words(text):
        assert form and text[start:end]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_load_plain_and_gzip_and_object_synonyms(tmp_path):
    plain = write(tmp_path / "a.jsonl", [{"name": "Fever", "synonyms": ["pyrexia"]}, {"name": "Cough"}])
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(
        gzip.compress(json.dumps({"name": "Rash", "synonyms": [{"text": "exanthem"}]}).encode())
    )
    vocabulary = Vocabulary.load(plain, packed)
    assert len(vocabulary) == 3
    assert vocabulary.normalise("exanthem") == "rash"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"v\.jsonl:2: not JSON"),
        ("[1]", r"v\.jsonl:2: expected an object"),
        ('{"title": "x"}', r"v\.jsonl:2: key 'name'"),
        ('{"name": "x", "synonyms": "y"}', r"v\.jsonl:2: key 'synonyms' must be a list"),
        ('{"name": "x", "synonyms": [1]}', r"v\.jsonl:2: key 'synonyms' must hold strings"),
    ],
)
def test_bad_rows_name_file_line_and_key(tmp_path, line, message):
    path = tmp_path / "v.jsonl"
    path.write_text('{"name": "ok"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=message):
        Vocabulary.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        Vocabulary.load(tmp_path / "none.jsonl")
