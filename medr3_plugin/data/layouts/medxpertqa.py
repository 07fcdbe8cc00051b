"""MedXpertQA (Zuo et al. 2025): `Text/{dev,test}.jsonl`, ten options.

    {"id": "Text-26", "question": "… Answer Choices: (A) … (B) …", "options", "label": "B", "medical_task", …}

The choices are repeated at the end of the question; they are cut off there. Questions with images (subset MM)
are skipped: the models here read text.
"""

from __future__ import annotations

import re

from medr3_plugin.data.questions.items import Item, choice_item, options_of, require
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import RowSkipped
from medr3_plugin.rows.options import right_letter

_CHOICES = re.compile(r"\s*Answer Choices:\s*\(A\).*$", re.DOTALL)


def parse(row: RawRow) -> Item:
    """The item of a row."""
    data = row.data
    if data.get("images") or str(data.get("id", "")).startswith("MM-"):
        raise RowSkipped("the question needs an image (subset MM)")
    question = _CHOICES.sub("", require(data, "question"))
    options = options_of(data.get("options"))
    letter = right_letter(options, require(data, "label", "answer_idx"))
    return choice_item("medxpertqa", data.get("id"), question, options, letter, split=row.split or "test")
