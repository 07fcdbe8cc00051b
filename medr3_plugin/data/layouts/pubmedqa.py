"""PubMedQA (Jin et al. 2019): `ori_pqal.json` (PubMed id -> row) or the Hub's columns.

    {"10808977": {"QUESTION", "CONTEXTS", "final_decision": "yes", "LONG_ANSWER", …}, …}
    {"pubid", "question", "context", "long_answer", "final_decision"}

The gold document of a question is its own abstract, `pubmedqa:<PubMed id>`.
"""

from __future__ import annotations

from medr3_plugin.data.layouts import generic
from medr3_plugin.data.questions.items import Item, choice_item, require
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import RowError, RowSkipped

OPTIONS = {"A": "yes", "B": "no", "C": "maybe"}


def parse(row: RawRow) -> Item:
    """The item of a row."""
    data = row.data
    if "final_decision" not in data:
        if generic.fits(data):
            item = generic.item("pubmedqa", row)
            if item.options and not {text.lower() for text in item.options.values()} <= set(OPTIONS.values()):
                raise RowError("its options are not yes, no and maybe: is this file of another dataset?")
            return item
        raise RowSkipped(
            "no final_decision (the unlabelled and artificial parts, or a test file without labels)"
        )
    decision = require(data, "final_decision").lower()
    letter = next((letter for letter, text in OPTIONS.items() if text == decision), "")
    if not letter:
        raise RowError(f"key 'final_decision' is {decision!r}; expected yes, no or maybe")
    pmid = require(data, "_key", "pubid", "pmid")
    question, gold = require(data, "QUESTION", "question"), (f"pubmedqa:{pmid}",)
    return choice_item(
        "pubmedqa", pmid, question, OPTIONS, letter, gold_docs=gold, split=row.split or "train"
    )
