"""BioASQ task b: `{"questions": [{"id", "type", "body", "documents", "exact_answer", "ideal_answer"}, …]}`.

Yes/no and factoid questions have an answer that can be checked; list and summary questions are skipped. Gold
documents are the PubMed articles, `bioasq:<PubMed id>`.
"""

from __future__ import annotations

import re
from typing import Any

from medr3_plugin.data.questions.items import Item, choice_item, options_of, require, stable_id
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import RowError, RowSkipped
from medr3_plugin.rows.options import right_letter
from medr3_plugin.rows.values import clean

DATASET = "bioasq"
YES_NO = {"A": "yes", "B": "no"}


def parse(row: RawRow) -> Item:
    """The item of a row."""
    data = row.data
    kind = require(data, "type").lower()
    if kind not in ("yesno", "factoid"):
        raise RowSkipped(f"a {kind} question has no answer that a rule can check")
    question = require(data, "body", "question")
    gold = tuple(data.get("gold_docs") or (f"{DATASET}:{pmid}" for pmid in pmids(data.get("documents"))))
    exact = data.get("exact_answer", data.get("answer"))
    if kind == "yesno":
        options = options_of(data.get("options") or YES_NO)
        word = clean(exact[0] if isinstance(exact, list) and exact else exact).rstrip(".").lower()
        letter = right_letter(options, word or None)
        return choice_item(
            DATASET, data.get("id"), question, options, letter, gold_docs=gold, split=row.split or "train"
        )
    answers = _synonyms(exact)
    if not answers:
        raise RowError("key 'exact_answer' is missing or empty")
    return Item(
        id=stable_id(DATASET, data.get("id"), question),
        dataset=DATASET,
        question=question,
        answers=answers,
        gold_docs=gold,
        split=row.split or "train",
    )


def _synonyms(exact: Any) -> tuple[str, ...]:
    """A factoid's answer: a text, a list of synonyms, or a list of lists of synonyms."""
    entries = exact if isinstance(exact, list) else [exact]
    flat = [text for entry in entries for text in (entry if isinstance(entry, list) else [entry])]
    return tuple(dict.fromkeys(text for text in map(clean, flat) if text))


def pmids(documents: Any) -> list[str]:
    """PubMed ids at the ends of addresses; addresses without one are left out."""
    found = (re.search(r"(\d+)/?$", str(url)) for url in documents or ())
    return [match[1] for match in found if match]
