from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.knowledge.extract import LexiconExtractor
from medr3_plugin.knowledge.phrases import PhraseFinder
from medr3_plugin.knowledge.relation import is_negated
from medr3_plugin.knowledge.text import sentences
from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary

NAMES = (
    "measles",
    "fever",
    "cough",
    "rash",
    "rubella",
    "aspirin",
    "stroke",
    "koplik spots",
    "麻疹",
    "发热",
    "皮疹",
)
EXTRACTOR = LexiconExtractor(Vocabulary(Entry(name) for name in NAMES))


def edges(text, extractor=EXTRACTOR):
    return [(t.head, "-" if is_negated(t.relation) else "+", t.tail) for t in extractor.extract(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Nothing known here.", []),
        ("Fever.", []),
        ("Measles causes fever.", [("measles", "+", "fever")]),
        ("Measles does not cause stroke.", [("measles", "-", "stroke")]),
        (
            "Measles presents with fever, cough and rash.",
            [("measles", "+", "fever"), ("measles", "+", "cough"), ("measles", "+", "rash")],
        ),
        (
            "Fever and rash suggest measles or rubella.",
            [
                ("fever", "+", "measles"),
                ("fever", "+", "rubella"),
                ("rash", "+", "measles"),
                ("rash", "+", "rubella"),
            ],
        ),
        (
            "Measles has fever and cough but no rash.",
            [("measles", "+", "fever"), ("measles", "+", "cough"), ("measles", "-", "rash")],
        ),
        (
            "Measles: fever, no cough or rash, and Koplik spots.",
            [
                ("measles", "+", "fever"),
                ("measles", "-", "cough"),
                ("measles", "-", "rash"),
                ("measles", "+", "koplik spot"),
            ],
        ),
        ("Fever leads to cough, which causes rash.", [("fever", "+", "cough"), ("cough", "+", "rash")]),
        ("Measles is viral. It causes fever.", [("measles", "+", "fever")]),
        ("Measles is viral. It is not rubella.", [("measles", "-", "rubella")]),
        (
            "Measles causes measles and Measles causes fever. Measles causes fever.",
            [("measles", "+", "fever")],
        ),
        ("麻疹引起发热和皮疹。", [("麻疹", "+", "发热"), ("麻疹", "+", "皮疹")]),
        ("麻疹不引起皮疹。", [("麻疹", "-", "皮疹")]),
    ],
)
def test_edges(text, expected):
    assert edges(text) == expected


def test_limit():
    text = "Fever, cough and rash suggest measles, rubella and stroke. " * 3
    assert len(LexiconExtractor(EXTRACTOR.finder, max_triples=4).extract(text)) == 4
    assert len(EXTRACTOR.extract(text)) == 9


def test_without_a_vocabulary_content_words_are_terms():
    extractor = LexiconExtractor()
    assert isinstance(extractor.finder, PhraseFinder)
    text = "Aortic root dilation is caused by Marfan syndrome."
    assert edges(text, extractor) == [("aortic root dilation", "+", "marfan syndrome")]
    assert edges("Hepatitis A causes jaundice.", extractor) == [("hepatitis a", "+", "jaundice")]


def test_protocol_and_determinism():
    text = "Measles causes fever, cough and rash."
    assert asyncio.run(EXTRACTOR.aextract(text)) == EXTRACTOR.extract(text)
    assert not EXTRACTOR.remote


@pytest.mark.parametrize(
    "question", ["Does measles cause fever?", "Measles causes fever，对吗？", "Measles, then fever?"]
)
def test_a_question_states_nothing(question):
    assert edges(question) == []
    assert edges(f"{question} Measles causes cough.") == [("measles", "+", "cough")]


def test_sentences():
    assert list(sentences("One. Two? 三。四\n\nfive")) == ["One.", "Two?", "三。", "四", "five"]


@given(st.lists(st.sampled_from([*NAMES, "causes", "and", ",", ".", "no", "It", "；", "but"]), max_size=40))
def test_any_text_gives_known_distinct_entities(words):
    triples = EXTRACTOR.extract(" ".join(words))
    known = {EXTRACTOR.finder.normalise(name) for name in NAMES}
    keys = [(t.head, is_negated(t.relation), t.tail) for t in triples]
    assert len(keys) == len(set(keys))
    assert all(t.head in known and t.tail in known and t.head != t.tail for t in triples)
