"""RareArena (Chen et al. 2025): `RDS.json` and `RDC.json`, an object a line.

    {"_id", "case_report", "test_results" (RDC), "diagnosis", "Orpha_name", "Orpha_id", "age", "gender", …}

RDS asks from the case report alone, RDC from case report and test results; each skips the other's file when a
folder holds both. The gold document is the disease's
HPO profile, `hpoa:ORPHA:<id>`.
"""

from __future__ import annotations

import re
from pathlib import Path

from medr3_plugin.data.questions.items import Item, require, stable_id
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import RowSkipped
from medr3_plugin.rows.values import clean

ASK = "Which rare disease does this patient most likely have?"


def parse(dataset: str, row: RawRow) -> Item:
    """The item of a row of `rarearena_rds` or `rarearena_rdc`."""
    data = row.data
    other = "RDS.json" if dataset == "rarearena_rdc" else "RDC.json"
    if other in Path(row.where).name:
        raise RowSkipped(f"it is in {other}, the other task's file")
    case = require(data, "case_report")
    if dataset == "rarearena_rdc":
        case = f"{case} {require(data, 'test_results')}"
    answers = [require(data, "diagnosis"), clean(data.get("Orpha_name"))]
    question = f"{case} {ASK}"
    return Item(
        id=stable_id(dataset, data.get("_id"), question),
        dataset=dataset,
        question=question,
        answers=tuple(dict.fromkeys(filter(None, answers))),
        gold_docs=tuple(f"hpoa:ORPHA:{number}" for number in re.findall(r"\d+", clean(data.get("Orpha_id")))),
        split=row.split or "test",
    )
