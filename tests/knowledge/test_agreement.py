"""Whether what a text states agrees with a document: by words, polarity and direction."""

from __future__ import annotations

import pytest

from medr3_plugin.knowledge.agreement import Said, StatementIndex, agreement, fact, stated
from medr3_plugin.knowledge.statements import statements
from medr3_plugin.knowledge.text import prose

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


@pytest.mark.parametrize(
    ("document", "contrary", "same"),
    [
        (
            "Colchicine reduces recurrent pericarditis.",
            "Colchicine has no effect on recurrent pericarditis.",
            "Recurrent pericarditis is reduced by colchicine.",
        ),
        (
            "The meta-analysis found no association of egg consumption with stroke.",
            "The meta-analysis found a strong association of egg consumption with stroke.",
            "Egg consumption was not associated with stroke in the meta-analysis.",
        ),
        (
            "Serum ferritin is low in iron deficiency anemia.",
            "Serum ferritin is raised in iron deficiency anemia.",
            "In iron deficiency anemia serum ferritin is low.",
        ),
        (
            "Warfarin inhibits vitamin K epoxide reductase.",
            "Warfarin activates vitamin K epoxide reductase.",
            "Vitamin K epoxide reductase is inhibited by warfarin.",
        ),
        (
            "Loss of aldosterone causes hyperkalemia.",
            "Loss of aldosterone causes hypokalemia.",
            "Hyperkalemia is caused by loss of aldosterone.",
        ),
        (
            "甲巯咪唑可致胎儿皮肤发育不全。",
            "甲巯咪唑不会导致胎儿皮肤发育不全。",
            "胎儿皮肤发育不全可由甲巯咪唑所致。",
        ),
    ],
)
def test_who_says_the_contrary_does_not_agree(document, contrary, same):
    index = [StatementIndex(statements(document))]
    assert agreement(statements(contrary), index) == Said(0, 1)
    assert agreement(statements(same), index) == Said(1, 0)


@pytest.mark.parametrize(
    ("document", "honest"),
    [
        (
            "Loop diuretics cause low potassium.",
            "Loop diuretics cause low potassium with no rise of calcium.",
        ),
        ("Graves disease causes exophthalmos.", "No other disease than Graves disease causes exophthalmos."),
        ("Graves disease causes exophthalmos.", "There is no doubt that Graves disease causes exophthalmos."),
        (
            "Kawasaki disease causes coronary aneurysms.",
            "Without treatment Kawasaki disease causes coronary aneurysms.",
        ),
        ("Loss of aldosterone causes hyponatremia.", "Loss of aldosterone causes hyperkalemia."),
    ],
)
def test_another_no_in_the_sentence_is_no_contradiction(document, honest):
    assert not agreement(statements(honest), [StatementIndex(statements(document))]).contradicting


@pytest.mark.parametrize(
    "triple",
    [
        ("antiglobulin test", "is negative in", "spherocytosis"),
        ("metformin", "is contraindicated in", "renal failure"),
        ("aspirin", "does_not_reduce", "preeclampsia"),
    ],
)
def test_a_fact_is_denied_as_a_statement_is(triple):
    own = StatementIndex(statements(" ".join(triple).replace("_", " ")))
    assert stated(own, [fact(*triple)])[0] == Said(1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "Isoniazid (does not) increase the renal excretion of pyridoxine.",
        "Isoniazid does (NOT) increase the renal excretion of pyridoxine.",
        "Isoniazid increases the renal excretion of pyridoxine (false).",
        "Isoniazid increases the renal excretion of pyridoxine (this is wrong).",
        "Dantrolene is muscle relaxant; isoniazid increases the renal excretion of pyridoxine, which is false.",
    ],
)
def test_a_denial_in_brackets_or_at_the_end_denies_what_it_stands_by(text):
    assert said(text).contradicting == 1


@pytest.mark.parametrize(
    "text",
    [
        "Isoniazid (not rifampicin) increases the renal excretion of pyridoxine.",
        "Isoniazid increases the renal excretion of pyridoxine; he has fever, which he does not.",
        "Isoniazid increases the renal excretion of pyridoxine; he took colchicine, which is wrong.",
    ],
)
def test_a_denial_denies_nothing_else(text):
    assert said(text) == Said(1, 0)


def test_a_range_is_no_dash():
    assert prose("a dose of 5 - 10 mg - not more") == "a dose of 5 - 10 mg, not more"


def said_of(text, *triple):
    return stated(StatementIndex(statements(text)), [fact(*triple)]).said


@pytest.mark.parametrize(
    ("text", "triple"),
    [
        ("Osimertinib shortened progression-free survival.", ("osimertinib", "prolongs", "survival")),
        (
            "Exon 19 deletions are resistant to osimertinib.",
            ("exon 19 deletion", "sensitive to", "osimertinib"),
        ),
        ("Allopurinol raises serum urate.", ("allopurinol", "lowers", "serum urate")),
        ("噻嗪类利尿剂降低血尿酸。", ("噻嗪类利尿剂", "升高", "血尿酸")),
    ],
)
def test_a_fact_turned_round_is_denied(text, triple):
    assert said_of(text, *triple) == Said(0, 1)


@pytest.mark.parametrize(
    ("text", "triple"),
    [
        ("The cirrhotic liver cannot clear ammonia.", ("cirrhotic liver", "reduces clearance of", "ammonia")),
        ("硬化的肝脏又清除不了氨。", ("肝硬化", "降低", "氨的清除")),
        (
            "Isoniazid makes the kidney lose pyridoxine.",
            ("isoniazid", "increases excretion of", "pyridoxine"),
        ),
        ("Diarrhea and memory loss form the triad of pellagra.", ("pellagra", "causes", "diarrhea")),
        (
            "Calcium gluconate protects the heart within minutes without lowering potassium.",
            ("calcium gluconate", "does not lower", "potassium"),
        ),
    ],
)
def test_the_same_in_other_words_denies_no_fact(text, triple):
    assert not said_of(text, *triple).contradicting


@pytest.mark.parametrize(
    ("text", "triple"),
    [
        (
            "Absent speech and ataxia are not seen in Angelman syndrome.",
            ("Angelman syndrome", "has", "absent speech"),
        ),
        (
            "Inappropriate laughter argues against Angelman syndrome.",
            ("Angelman syndrome", "has", "laughter"),
        ),
        ("Ophthalmoplegia is absent in Wernicke encephalopathy.", ("Wernicke", "has", "ophthalmoplegia")),
        ("胸痛和肺栓塞的可能性小。", ("肺栓塞", "引起", "胸痛")),
    ],
)
def test_a_list_shares_its_verb_and_what_denies_it(text, triple):
    assert said_of(text, *triple) == Said(0, 1)


def test_what_denies_a_fact_does_not_agree_with_a_document():
    found = statements("Exon 19 deletions are resistant to osimertinib.")
    document = [StatementIndex(statements("Osimertinib in exon 19 deletions."))]
    assert agreement(found, document) == Said(1, 0)
    assert agreement(found, document, frozenset(found)) == Said(0, 1)
    elsewhere = [StatementIndex(statements("Survival was longer."))]
    assert agreement(found, elsewhere, frozenset(found)) == Said()
    assert agreement(found, elsewhere, frozenset(found), anywhere=True) == Said(0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "None of the interventions was superior to supportive therapy.",
        "Nothing, including corticosteroids and plasma, was superior to supportive therapy.",
    ],
)
def test_none_and_nothing_deny(text):
    document = StatementIndex(statements("Nothing was superior to supportive therapy for mortality."))
    claimed = statements("Plasma was superior to supportive therapy.")
    assert agreement(statements(text), [document]) == Said(1, 0)
    assert agreement(claimed, [StatementIndex(statements(text))]) == Said(0, 1)


def test_to_recommend_against_is_to_not_recommend():
    fact_of = fact("guideline", "recommends against", "routine oxygen")
    own = StatementIndex(statements("The guideline does not recommend routine oxygen."))
    assert stated(own, [fact_of]).said == Said(1, 0)


def test_a_list_without_a_verb_states_nothing():
    known = StatementIndex(statements("Thiamine deficiency causes Wernicke encephalopathy with ataxia."))
    assert agreement(statements("Wernicke, encephalopathy, ataxia, thiamine, deficiency."), [known]) == Said(
        0, 0
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("有機磷抑制膽鹼酯酶的活力。", Said(1, 0)),
        ("有機磷激活膽鹼酯酶的活力。", Said(0, 1)),
        ("有機磷並非抑制膽鹼酯酶的活力。", Said(0, 1)),
        ("以下都是錯誤的：有機磷抑制膽鹼酯酶的活力。", Said(0, 1)),
    ],
)
def test_traditional_characters_state_and_deny_as_simplified_ones(text, expected):
    assert said(text) == expected
    assert stated(StatementIndex(statements(text)), [fact("有機磷", "不會抑制", "膽鹼酯酶")]).said == Said(
        *reversed(expected)
    )


@pytest.mark.parametrize(
    "text",
    [
        "Isoniazid (not rifampicin) increases the renal excretion of pyridoxine.",
        "Dantrolene (no opioid, and not a benzodiazepine) blocks the ryanodine receptor of skeletal muscle.",
        "有机磷（不是有机氯）抑制胆碱酯酶的活力。",
        "Isoniazid increases the renal excretion of pyridoxine. This implies a neuropathy.",
        "Isoniazid increases the renal excretion of pyridoxine; all of it applies to him.",
        "Isoniazid increases the renal excretion of pyridoxine. That relies on trials.",
    ],
)
def test_an_aside_or_a_word_that_holds_another_denies_nothing(text):
    assert said(text) == Said(1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "Isoniazid (which everyone takes) decreases the renal excretion of pyridoxine.",
        "Isoniazid increases the renal excretion of pyridoxine (which is wrong).",
        "Isoniazid increases the renal excretion of pyridoxine. This is a lie.",
    ],
)
def test_beside_an_aside_the_sentence_still_denies(text):
    assert said(text) == Said(0, 1)


@pytest.mark.parametrize(
    "unit", [" ", "\t", "_", "*", '"', "(", "( ", "(doc 1", "[1, ", "（文献1", "— ", "a_"]
)
def test_any_text_is_read_in_linear_time(unit):
    text = prose(f"Dantrolene spares joints. {unit * (400_000 // len(unit))} Urate forms the crystals.")
    assert statements(text)[-1].words >= {"form", "crystal"}
