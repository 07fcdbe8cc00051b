"""R2MED (Li et al. 2025, arXiv:2505.14558): medical retrieval that needs reasoning, as a benchmark of an engine.

Eight sets, each with its own corpus::

    Biology/corpus.jsonl   {"id": "d1", "text": "…"}
    Biology/query.jsonl    {"id": "q1", "text": "…"}
    Biology/qrels.jsonl    {"q_id": "q1", "p_id": "d1", "score": 1}

On the Hub they are `R2MED/Biology` and so on, with the configurations `corpus`, `query` and `qrels`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from medr3_plugin import tables
from medr3_plugin.errors import RowError, UserError
from medr3_plugin.hub_name import is_hub_name
from medr3_plugin.retrieval.corpus.rows import BadRows, rows_of
from medr3_plugin.retrieval.engine import SearchOptions, open_index
from medr3_plugin.retrieval.index.build import EngineName, build_index
from medr3_plugin.retrieval.index.encoder import EncoderConfig
from medr3_plugin.retrieval.ndcg import ndcg

ORGANISATION = "R2MED"
SETS = (
    *("Biology", "Bioinformatics", "Medical-Sciences", "MedXpertQA-Exam", "MedQA-Diag"),
    *("PMC-Treatment", "PMC-Clinical", "IIYi-Clinical"),
)
PLACES = 10
_BATCH = 64
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """Queries, the corpus they are asked of, and what is relevant.

    Attributes:
        corpus: as `build_index` takes it.
        queries: id -> text, those that have relevant documents.
        grades: query -> document -> grade, above 0.
    """

    name: str
    corpus: str
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class SetResult:
    """nDCG@10 of an engine on one set, the mean over its queries."""

    name: str
    documents: int
    queries: int
    ndcg: float


def read_sets(source: str, bad_rows: BadRows | None = None) -> list[RetrievalSet]:
    """The sets at `source`.

    Args:
        source: the folder of a set, a folder of such folders, a set on the Hub (`R2MED/Biology`), or `R2MED` for all
            of them there.
        bad_rows: when given, wrong rows of queries and relevance are counted there and skipped.

    Raises:
        RowError: a wrong row.
        UserError: there is no set.
    """
    folder = Path(source)
    if folder.is_dir():
        sets = [folder] if _file(folder, "corpus") else sorted(f for f in folder.iterdir() if f.is_dir())
        found = [_set(f.resolve().name, *files, bad_rows) for f in sets if (files := _files(f))]
        if not found:
            raise UserError(
                f"{source}: no set of R2MED here; expected corpus.jsonl, query.jsonl and qrels.jsonl in it, or in "
                "folders in it"
            )
        return found
    if source == ORGANISATION:
        return [_hub_set(f"{ORGANISATION}/{name}", bad_rows) for name in SETS]
    if is_hub_name(source):
        return [_hub_set(source, bad_rows)]
    raise UserError(
        f"{source}: no such folder; give one, or {ORGANISATION} for the sets on the Hugging Face Hub"
    )


def evaluate(
    sets: list[RetrievalSet],
    out: Path,
    engine: EngineName,
    *,
    encoder: EncoderConfig | None = None,
    search: SearchOptions | None = None,
    bad_rows: BadRows | None = None,
    overwrite: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> Iterator[SetResult]:
    """Build the index of each set and ask its queries.

    Args:
        out: folder for the indexes, one folder for each set; those that are up to date are used as they are.
        bad_rows, overwrite: see `build_index`.
        notify: told what is built, and how many relevant documents no corpus holds.

    Raises:
        UserError: see `build_index` and `open_index`.
    """
    for benchmark in sets:
        index = out / benchmark.name
        build_index(
            benchmark.corpus,
            index,
            engine,
            encoder=encoder,
            overwrite=overwrite,
            bad_rows=bad_rows,
            notify=notify,
        )
        with closing(open_index(index, search)) as searched:
            known = {document.id for document in searched.store}
            missing = {document for grades in benchmark.grades.values() for document in grades} - known
            if missing:
                notify(f"{benchmark.name}: {len(missing)} relevant documents are not in its corpus")
            ids = list(benchmark.queries)
            scores = []
            for start in range(0, len(ids), _BATCH):
                part = ids[start : start + _BATCH]
                found = searched.search([benchmark.queries[query] for query in part], PLACES)
                scores += [
                    ndcg(benchmark.grades[query], [(hit.document.id,) for hit in hits], PLACES)
                    for query, hits in zip(part, found, strict=True)
                ]
        yield SetResult(benchmark.name, len(known), len(ids), statistics.fmean(scores))


def _file(folder: Path, name: str) -> Path | None:
    """`folder/name` in any container of tables."""
    return next((f for f in sorted(folder.glob(f"{name}.*")) if tables.suffix_of(f) in tables.SUFFIXES), None)


def _files(folder: Path) -> tuple[str, str, str] | None:
    """Corpus, queries and relevance of the set in a folder; None if there is none.

    Raises:
        UserError: it has a corpus alone.
    """
    corpus, queries, relevance = (_file(folder, name) for name in ("corpus", "query", "qrels"))
    if corpus is None:
        return None
    if queries is None or relevance is None:
        missing = "query.jsonl" if queries is None else "qrels.jsonl"
        raise UserError(f"{folder}: {missing} is missing beside {corpus.name}")
    return str(corpus), str(queries), str(relevance)


def _hub_set(name: str, bad_rows: BadRows | None) -> RetrievalSet:
    corpus, queries, relevance = (f"{name}:{part}:{part}" for part in ("corpus", "query", "qrels"))
    return _set(name.rpartition("/")[2], corpus, queries, relevance, bad_rows)


def _set(name: str, corpus: str, queries: str, relevance: str, bad_rows: BadRows | None) -> RetrievalSet:
    def asked(row: Mapping[str, Any], where: str) -> tuple[str, str]:
        return _column(row, "id", where), _column(row, "text", where)

    texts = dict(_checked(queries, asked, bad_rows))

    def judgement(row: Mapping[str, Any], where: str) -> tuple[str, str, float]:
        query, document = _column(row, "q_id", where), _column(row, "p_id", where)
        try:
            grade = float(row["score"])
        except (KeyError, TypeError, ValueError):
            grade = math.nan
        if not math.isfinite(grade):
            raise RowError(f"{where}: field 'score': expected a number, got {row.get('score')!r}")
        if query not in texts:
            raise RowError(f"{where}: field 'q_id': {queries} has no query {query!r}; is it of another set?")
        return query, document, grade

    grades: dict[str, dict[str, float]] = {}
    for query, document, grade in _checked(relevance, judgement, bad_rows):
        if grade > 0:
            grades.setdefault(query, {})[document] = grade
    if not grades:
        raise UserError(f"{relevance}: no relevant document in it")
    return RetrievalSet(name, corpus, {query: texts[query] for query in texts if query in grades}, grades)


def _checked(
    source: str, read: Callable[[Mapping[str, Any], str], Row], bad_rows: BadRows | None
) -> Iterator[Row]:
    """What `read` makes of each row of `source`; wrong rows are counted, or raised."""
    for where, row in rows_of(source, bad_rows):
        try:
            yield read(row, where)
        except RowError as error:
            if bad_rows is None:
                raise
            bad_rows.add(str(error))


def _column(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise RowError(f"{where}: field {name!r}: expected a text or a number, got {value!r}")
    return str(value)
