"""MIRAGE (Xiong et al. 2024): five question sets in one `benchmark.json`, each under its own key.

    {"medqa": {"0000": {"question", "options": {"A": …}, "answer": "B"}, …}, "mmlu": …, "medmcqa": …,
     "pubmedqa": {"12377809": {…, "PMID": [12377809]}, …}, "bioasq": …}

Each dataset takes its own part. Gold documents are the PubMed articles under `PMID`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medr3_plugin.data.layouts import generic
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.questions.reading import RawRow

PARTS: Mapping[str, str] = {
    "medqa_us": "medqa",
    "medmcqa": "medmcqa",
    "pubmedqa": "pubmedqa",
    "mmlu_med": "mmlu",
    "bioasq": "bioasq",
}
"""Dataset -> its key in the file."""


def item(dataset: str, row: RawRow) -> Item:
    """The item of a row of the part that belongs to `dataset`.

    Raises:
        RowError: as the generic layout does.
    """
    data: dict[str, Any] = {"id": row.data["_key"], **row.data}
    pmids = data.get("PMID") or []
    data["gold_docs"] = [f"pubmed:{pmid}" for pmid in (pmids if isinstance(pmids, list) else [pmids])]
    return generic.item(dataset, RawRow(row.where, data, row.split or "test"))
