"""Whether what a text states agrees with a document: by words, polarity and direction."""

from __future__ import annotations

import pytest

from medr3_plugin.knowledge.agreement import Said, StatementIndex, agreement, fact, stated
from medr3_plugin.knowledge.statements import statements

DOCUMENT = """
Isoniazid increases the renal excretion of pyridoxine. Dantrolene blocks the ryanodine receptor of skeletal muscle.
Immune complexes activate the alternative pathway of complement, so serum C3 falls in nephritis.
有机磷抑制胆碱酯酶的活力。乳果糖使结肠酸化。
"""


def said(text):
    return agreement(statements(text), [StatementIndex(statements(DOCUMENT))])


@pytest.mark.parametrize(
    "text",
    [
        "Isoniazid decreases the renal excretion of pyridoxine.",
        "Dantrolene opens the ryanodine receptor of skeletal muscle.",
        "Immune complexes inhibit the alternative pathway of complement.",
        "有机磷激活胆碱酯酶的活力。",
        "Dantrolene does not block the ryanodine receptor of skeletal muscle.",
        "Dantrolene blocks the ryanodine receptor of skeletal muscle, but this is incorrect: it spares muscle.",
    ],
)
def test_turned_round_or_denied(text):
    assert said(text) == Said(0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "Isoniazid raises the renal excretion of pyridoxine.",
        "The ryanodine receptor of skeletal muscle is inhibited by dantrolene.",
        "Isoniazid does not lower the renal excretion of pyridoxine.",
        "有机磷使胆碱酯酶的活力受抑制。",
    ],
)
def test_said_in_other_words(text):
    assert said(text) == Said(1, 0)


def test_the_closest_statement_decides():
    found = statements(
        "Aspirin reduced preterm preeclampsia in the trial. Aspirin did not reduce term preeclampsia."
    )
    document = StatementIndex(found)
    assert agreement(statements("Aspirin did not reduce preterm preeclampsia."), [document]) == Said(0, 1)
    assert agreement(statements("Aspirin did not reduce term preeclampsia."), [document]) == Said(1, 0)


def test_one_chinese_term_is_no_statement_on_the_same_matter():
    assert said("这是胆碱酯酶。") == Said()


def test_another_direction_between_the_same_things_denies_no_fact():
    own = StatementIndex(statements("Pyridoxine causes a sensory neuropathy."))
    assert stated(own, [fact("pyridoxine", "prevents", "neuropathy")])[0] == Said()
