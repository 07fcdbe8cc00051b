"""The documents that come with question sets: abstracts of PubMedQA, snippets of BioASQ.

They carry the ids that `medr3 data prepare` gives as gold documents (`pubmedqa:<PubMed id>`,
`bioasq:<PubMed id>`), so that recall is known and references can be made without a language model. Titles
stay empty: PubMedQA's would be the question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from medr3_plugin.data.layouts.bioasq import pmids
from medr3_plugin.data.questions.reading import read

Rows = Iterator[tuple[str, dict[str, Any]]]


def pubmedqa_abstracts(source: str) -> Rows:
    """Where each row is, and the abstract of PubMedQA's `ori_pqal.json` or the Hub's columns, its sections in order."""
    for row in read(source):
        if row.error:
            yield f"{row.where} ({row.error})", {}
            continue
        pmid = next((row.data[key] for key in ("_key", "pubid", "pmid") if row.data.get(key)), "")
        if not pmid:
            yield f"{row.where} (no PubMed id: neither as ori_pqal.json has it nor as 'pubid')", {}
            continue
        given = row.data.get("context")
        nested = given if isinstance(given, Mapping) else {}
        sections = _list(row.data.get("CONTEXTS") or nested.get("contexts"))
        labels = _list(row.data.get("LABELS") or nested.get("labels"))
        pairs = zip(labels, sections, strict=False) if len(labels) == len(sections) else ()
        text = " ".join(f"{label}: {section}" for label, section in pairs) or " ".join(map(str, sections))
        year = str(row.data.get("YEAR") or "")
        yield (
            row.where,
            {
                **_document("pubmedqa", pmid),
                "text": text,
                **({"year": int(year)} if year.isdecimal() else {}),
            },
        )


def bioasq_snippets(source: str) -> Rows:
    """Where a document is first named, and its snippets in BioASQ's question file, each once."""
    snippets: dict[str, dict[str, None]] = {}
    places: dict[str, str] = {}
    for row in read(source):
        if row.error:  # a row without an id: refused, or counted, where it is read
            yield f"{row.where} ({row.error})", {}
        for snippet in _list(row.data.get("snippets")):
            if not isinstance(snippet, Mapping):
                continue
            text = str(snippet.get("text") or "").strip()
            for pmid in pmids([snippet.get("document")]) if text else ():
                snippets.setdefault(pmid, {})[text] = None
                places.setdefault(pmid, row.where)
    for pmid, texts in snippets.items():
        yield places[pmid], {**_document("bioasq", pmid), "text": " ".join(texts)}


def _document(dataset: str, pmid: object) -> dict[str, Any]:
    return {"id": f"{dataset}:{pmid}" if pmid else "", "title": "", "source": "PubMed", "pmid": str(pmid)}


def _list(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


FROM_QUESTIONS: Mapping[str, Callable[[str], Rows]] = {
    "bioasq": bioasq_snippets,
    "pubmedqa": pubmedqa_abstracts,
}
"""Name of the question set -> its documents from a file of questions."""
