"""What is denied, supposed or only reported is not asserted: in statements and in extracted triples alike."""

from __future__ import annotations

import pytest

from medr3_plugin.knowledge.agreement import StatementIndex, fact, stated
from medr3_plugin.knowledge.asserted import asserted
from medr3_plugin.knowledge.extract import LexiconExtractor
from medr3_plugin.knowledge.statements import statements
from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary

ENGLISH = "thiazide diuretics raise serum urate"
CHINESE = "噻嗪类利尿剂升高血尿酸"
FACTS = [fact("thiazide diuretics", "raise", "serum urate"), fact("噻嗪类利尿剂", "升高", "血尿酸")]
EXTRACTOR = LexiconExtractor(
    Vocabulary(map(Entry, ["thiazide diuretics", "serum urate", "噻嗪类利尿剂", "血尿酸"]))
)

DENIED = [
    f"{ENGLISH}: that is a myth.",
    f"{ENGLISH}, which is wrong.",
    f"{ENGLISH} (not true).",
    f"{ENGLISH} - nonsense!",
    f"{ENGLISH}. That is a misconception.",
    f"{ENGLISH}. This isn't true.",
    f"It is wrong that {ENGLISH}.",
    f"It is simply not the case that {ENGLISH}.",
    f"None of the following is true: {ENGLISH}.",
    f"{CHINESE}，这是错误的。",
    f"{CHINESE}：这是谣言。",
    f"{CHINESE}。这不对。",
    f"以下说法都不对：{CHINESE}。",
]
NOT_SAID = [
    f"I doubt that {ENGLISH}.",
    f"If {ENGLISH}, we would have to know.",
    f"If {ENGLISH}, gout follows.",
    f"Suppose that {ENGLISH}.",
    f"We do not know whether {ENGLISH}.",
    f"Some say that {ENGLISH}.",
    f"Many people believe that {ENGLISH}.",
    f"A fool would say that {ENGLISH}.",
    f"It is often claimed that {ENGLISH}.",
    f"Allegedly {ENGLISH}.",
    f"如果{CHINESE}，就应该查血。",
    f"假如{CHINESE}。",
    f"有人认为{CHINESE}。",
    f"据说{CHINESE}。",
]
ASSERTED = [
    f"{ENGLISH}.",
    f"The review says that {ENGLISH}.",
    f"I think that {ENGLISH}.",
    f"There is no doubt that {ENGLISH}.",
    f"It is not surprising that {ENGLISH}.",
    f"If the kidney is healthy, {ENGLISH}.",
    f"Some say that gout is an infection, but {ENGLISH}.",
    f"{ENGLISH}, which is not rare.",
    f"It is false that beer helps. In fact {ENGLISH}.",
    f"{CHINESE}。",
    f"指南认为{CHINESE}。",
    f"如果肾功能正常，{CHINESE}。",
    f"有人说痛风是感染，但{CHINESE}。",
]


def of_statements(text):
    said = stated(StatementIndex(statements(text)), FACTS).said
    return said.agreeing, said.contradicting


@pytest.mark.parametrize("text", ASSERTED)
def test_asserted(text):
    assert of_statements(text) == (1, 0)
    assert [triple.relation.startswith("not ") for triple in EXTRACTOR.extract(text)] == [False]


@pytest.mark.parametrize("text", DENIED)
def test_denied(text):
    assert of_statements(text) == (0, 1)
    assert EXTRACTOR.extract(text) == ()


@pytest.mark.parametrize("text", NOT_SAID)
def test_neither_asserted_nor_denied(text):
    assert of_statements(text) == (0, 0)
    assert EXTRACTOR.extract(text) == ()


def test_what_others_insist_on_is_not_asserted():
    assert not asserted("Some insist that croup is bacterial.")
    assert asserted("We maintain that croup is viral.")
