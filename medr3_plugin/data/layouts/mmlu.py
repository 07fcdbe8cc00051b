"""MMLU (Hendrycks et al. 2021), its six medical subjects.

Original: `<split>/<subject>_<split>.csv`, no header: question, A, B, C, D, letter. On the Hub: `question`,
`subject`, `choices` (list), `answer` (index from 0). Elsewhere: a JSON array of `{"data": {"Question",
"Options", "Correct Option"}, "id", "subject_name"}`. Rows of other subjects are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from medr3_plugin.data.layouts import generic
from medr3_plugin.data.questions.items import Item, choice_item, options_of, require
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import RowError, RowSkipped
from medr3_plugin.rows.options import right_letter
from medr3_plugin.rows.values import clean

SUBJECTS = frozenset((
    "anatomy", "clinical_knowledge", "college_biology", "college_medicine", "medical_genetics", "professional_medicine",
))  # fmt: skip


def parse(row: RawRow) -> Item:
    """The item of a row."""
    data = row.data
    if row.split == "auxiliary_train":  # on the Hub; its rows name no subject
        raise RowSkipped("auxiliary_train holds other exams")
    if "_columns" in data:
        return _csv(row)
    nested = data.get("data")
    if isinstance(nested, Mapping):
        _check(clean(data.get("subject_name")))
        options = options_of(nested.get("Options"))
        letter = right_letter(options, nested.get("Correct Option"), nested.get("Correct Answer"))
        question = require(nested, "Question")
        return choice_item("mmlu_med", data.get("id"), question, options, letter, split=row.split or "test")
    if "subject" in data:
        _check(clean(data["subject"]))
    if isinstance(data.get("answer"), int | float):  # the index, even among options that are numbers
        row = replace(row, data={"answer_idx": data["answer"], **data, "answer": None})
    return generic.item("mmlu_med", row)


def _csv(row: RawRow) -> Item:
    columns = row.data["_columns"]
    if len(columns) != 6:
        raise RowError(f"{len(columns)} columns; expected six: question, A, B, C, D, letter")
    subject = re.sub(r"(_(?:test|dev|val|train))?\.csv(\.gz)?$", "", row.data["_file"])
    if f"{subject}_" not in row.data["_file"] and subject not in SUBJECTS:
        raise RowError(
            "the file name has no subject; name it <subject>_<split>.csv, such as anatomy_test.csv"
        )
    _check(subject)
    options = options_of(columns[1:5])
    question, letter = require({"question": columns[0]}, "question"), right_letter(options, columns[5])
    return choice_item("mmlu_med", None, question, options, letter, split=row.split or "test")


def _check(subject: str) -> None:
    if subject and subject not in SUBJECTS:
        raise RowSkipped(f"subject {subject!r} is not one of the six medical ones")
