"""Which documents are relevant where no gold documents are known and none states a fact in its own words."""

from __future__ import annotations

import asyncio

import pytest

from medr3_plugin.records import Document, Hit, Reference, Sample, SearchTurn, Triple
from medr3_plugin.rewards.scorer import build_scorer

QUESTION = "A woman with gout takes a diuretic. Which drug lowers her urate?"
FACTS = (
    Triple("allopurinol", "inhibits", "xanthine oxidase in purine breakdown", True),
    Triple("HLA-B*58:01 carriers", "develop", "severe cutaneous reactions", True),
)
OTHER_WORDS = "Blocking xanthine oxidase is how allopurinol works. Carriers of HLA-B*58:01 may lose skin."
ONLY_THE_QUESTION = (
    "Allopurinol is sold in boxes. A woman with gout who takes a diuretic lowers her urate by drugs."
)
ANOTHER_DRUG = (
    "Febuxostat blocks xanthine oxidase. HLA-B*58:01 carriers tolerate it; severe reactions are rare."
)
IN_ITS_WORDS = "HLA-B*58:01 carriers develop severe cutaneous reactions to allopurinol."


def relevant(*texts, **changed):
    documents = [Document(f"d{i}", text) for i, text in enumerate(texts)]
    shown = "".join(f"<document>{text}</document>" for text in texts)
    sample = Sample(
        id="1",
        question=QUESTION,
        response=f"<think><search>gout</search>{shown}I take it.</think><answer>allopurinol</answer>",
        answers=("allopurinol",),
        references=(Reference(FACTS),),
        searches=(SearchTurn("gout", tuple(Hit(d, 1.0) for d in documents), tuple(d.id for d in documents)),),
        stage="retrieval",
        **changed,
    )
    [scored] = asyncio.run(build_scorer({}).score([sample]))
    return scored.reasons["retrieval"]["relevant"], scored.record["retrieval_coverage"]


def test_a_document_that_shares_a_reference_s_terms_is_relevant():
    ids, coverage = relevant(OTHER_WORDS, "Stroke units save lives.")
    assert ids == ["d0"] and 0.25 <= coverage < 1


@pytest.mark.parametrize("text", [ONLY_THE_QUESTION, ANOTHER_DRUG, "Stroke units save lives."])
def test_the_question_s_terms_and_other_answers_are_not_enough(text):
    assert relevant(text) == ([], 0.0)


def test_where_a_document_states_a_fact_terms_do_not_count():
    ids, coverage = relevant(OTHER_WORDS, IN_ITS_WORDS)
    assert "d1" in ids and coverage in {0.5, 1.0}


def test_gold_documents_come_first():
    assert relevant(OTHER_WORDS, gold_docs=("other",)) == ([], 0.0)
