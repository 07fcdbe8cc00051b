"""Rows of `medr3 score`: jsonl in, samples out.

A row is one trajectory of any model: a row of data (see `rows`) with its `response`, and what was recorded of it::

    {"id"?, "question", "response", "answer",            # answer: the accepted one, or a list of them
     "options"?: {"A": text} or [text], "dataset"?, "gold_docs"?: [id],
     "retrieved"?: [[{"id", "text", "evidence_type", …}]],             # one list per search
     "references"?: [{"triples": [[head, relation, tail, from_retrieval]], "text"}],
     "triples"?: [[head, relation, tail, from_retrieval]]}             # the model's own graph

A row of `trajectories.jsonl`, of a run or an evaluation, is read as it was judged there: by its `tag_text` if the model
called tools, as `forged` if it was, and as invalid if a search failed or the engine aborted it. Rows without an id are
named by their line. In a text without `<document>`, Search-R1's `<information>` is read as it. Other keys are ignored.
A wrong row raises `RowError`, which names file, line and field; the caller continues with the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medr3_plugin import tables
from medr3_plugin.errors import RowError, shown
from medr3_plugin.records import Document, Hit, Sample, SearchOutcome, SearchTurn
from medr3_plugin.retrieval.corpus.documents import document_of
from medr3_plugin.rewards.shown_documents import was_retrieved
from medr3_plugin.rows import CountFromOne, sample_of, triples_of
from medr3_plugin.rows.values import is_missing
from medr3_plugin.trajectory import DOCUMENT_CLOSE, DOCUMENT_OPEN, parse

_REMEMBERED = 4096
"""Documents of a file that are remembered at a time."""


def read_rows(path: Path, stage: str) -> Iterator[Sample | RowError]:
    """The samples of a file, in order; a `RowError` for a wrong row.

    Raises:
        UserError: the file cannot be read, or (after its last row) its labels count from 1.
    """
    documents, counted = _Documents(), CountFromOne()
    for row in tables.json_lines(path):
        if row.error:
            yield RowError(f"{row.where}: {row.error}")
            continue
        counted.see(row.data, row.where)
        try:
            yield trajectory_of(row.data, row.where, stage, documents)
        except RowError as error:
            yield error
    counted.check()


def trajectory_of(
    row: Mapping[str, Any], where: str, stage: str, documents: _Documents | None = None
) -> Sample:
    """A checked sample.

    Args:
        row: see the module's text.
        where: file and line, for messages.
        stage: the stage whose formula is to score it.
        documents: those of the rows before.

    Raises:
        RowError: names `where` and the field.
    """
    response = row.get("response") if is_missing(row.get("tag_text")) else row["tag_text"]
    if not isinstance(response, str):
        found = " is missing" if is_missing(response) else f": expected a string, got {shown(response)}"
        raise RowError(f"{where}: field 'response'{found}")
    recorded = row.get("searches")  # by our environment
    if not isinstance(recorded, list) and DOCUMENT_OPEN not in response:
        response = response.replace("<information>", DOCUMENT_OPEN).replace("</information>", DOCUMENT_CLOSE)
    sample = sample_of(row, where, response=response)
    trajectory = parse(response)
    searches = _searches(row.get("retrieved"), trajectory.queries, where, documents or _Documents())
    triples = row.get("triples")
    return replace(
        sample,
        id=f"line {where.rpartition(':')[2]}" if sample.id == where else sample.id,
        searches=searches,
        triples=None if is_missing(triples) else triples_of(triples, f"{where}: triples"),
        stage=stage,
        forged=row.get("forged") is True
        or (row.get("retrieved") is not None and not was_retrieved(trajectory, searches))
        or None,
        failures=(
            *(("rollout_aborted",) if row.get("aborted") is True else ()),
            *(
                f"retrieval_{turn['failure']}"
                for turn in (recorded if isinstance(recorded, list) else ())
                if isinstance(turn, Mapping) and turn.get("failure")
            ),
        ),
    )


def _searches(
    value: Any, queries: Sequence[str], where: str, documents_of: _Documents
) -> tuple[SearchTurn, ...]:
    """One turn for each list under `retrieved`, with the query of the text's search of that number."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(hits, list) for hits in value):
        raise RowError(f"{where}: field 'retrieved': expected a list of lists, one per search")
    turns = []
    seen: set[str] = set()
    for turn, items in enumerate(value):
        documents = [
            documents_of.read(item, f"{where}: retrieved[{turn}][{n}]") for n, item in enumerate(items)
        ]
        query = queries[turn] if turn < len(queries) else None
        new = {document.id: None for document in documents if document.id not in seen}
        seen.update(new)
        outcome: SearchOutcome = "empty"
        if new:
            outcome = "ok"
        elif documents:
            outcome = "duplicate"
        elif query == "":
            outcome = "malformed"
        turns.append(
            SearchTurn(
                query=query or "",
                hits=tuple(Hit(document, 0.0) for document in documents),
                shown=tuple(new),
                outcome=outcome,
            )
        )
    return tuple(turns)


class _Documents:
    """Retrieved documents, read once while the rollouts of a prompt bring them again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Mapping[str, Any], Document]] = {}

    def read(self, item: Any, where: str) -> Document:
        if not isinstance(item, Mapping):
            raise RowError(f"{where}: expected an object with 'id' and 'text', got {shown(item)}")
        identity = item.get("id")
        if not isinstance(identity, str):
            return document_of(item, where)
        known = self._known.get(identity)
        if known is not None and known[0] == item:
            return known[1]
        document = document_of(item, where)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[identity] = item, document
        return document
