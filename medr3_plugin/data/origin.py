"""Which dataset a file belongs to, by its columns: a wrong name would give wrong ids, rubrics and gold documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medr3_plugin.data.layouts import DATASETS
from medr3_plugin.data.questions.reading import RawRow
from medr3_plugin.errors import UserError
from medr3_plugin.text import has_cjk

_COLUMNS: Mapping[str, tuple[frozenset[str], ...]] = {
    "medmcqa": (frozenset(("opa", "opb")),),
    "pubmedqa": (frozenset(("final_decision",)),),
    "medxpertqa": (frozenset(("medical_task", "body_system")),),
    "bioasq": (frozenset(("body", "type")), frozenset(("exact_answer",))),
    "rarearena": (frozenset(("case_report", "diagnosis")),),
    "medqa": (frozenset(("meta_info", "answer_idx")),),
    "mmlu_med": (frozenset(("subject", "choices")),),
    "search_r1": (frozenset(("golden_answers",)),),
}
"""Dataset, or family of them -> columns that only its own files have."""
_ANY = ("generic", "nejm", "rare_disease")
"""Names under which files of every layout may come."""


def check(dataset: str, rows: Sequence[RawRow], source: str) -> None:
    """Refuse a source most of whose rows are of another dataset.

    Raises:
        UserError: names the dataset that it looks like.
    """
    readable = [row.data for row in rows if not row.error]
    if dataset in _ANY or not readable:
        return
    found, count = (Counter(filter(None, map(_origin, readable))).most_common(1) or [("", 0)])[0]
    if 2 * count > len(readable) and not dataset.startswith(found):
        names = " or ".join(f"`{name}`" for name in DATASETS if name.startswith(found))
        raise UserError(
            f"{source}: its rows look like {names}, not like `{dataset}`: prepare it under that name, or under "
            "`generic` if it is your own file"
        )
    if dataset == "medqa_us" and 2 * sum(has_cjk(str(data.get("question"))) for data in readable) > len(
        readable
    ):
        raise UserError(f"{source}: its questions are Chinese: use medqa_mainland or medqa_taiwan")


def _origin(data: Mapping[str, Any]) -> str:
    """The dataset, or family of datasets, of a row; "" if its columns do not show it."""
    for name, forms in _COLUMNS.items():
        if any(form <= data.keys() for form in forms):
            return name
    own = data.get("dataset")
    return str(own) if own in DATASETS and own not in _ANY else ""
