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
from medr3_plugin.rewards.shown_documents import TextSearch, searches_in, shown_of, was_retrieved
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
    recorded = _record_of(row)
    if recorded is None and DOCUMENT_OPEN not in response:
        response = response.replace("<information>", DOCUMENT_OPEN).replace("</information>", DOCUMENT_CLOSE)
    sample = sample_of(row, where, response=response)
    trajectory = parse(response)
    retrieved = _retrieved(row.get("retrieved"), where, documents or _Documents())
    searches: tuple[SearchTurn, ...] = ()
    forged: bool | None = row.get("forged") is True or None  # the text tells it
    if recorded is not None:
        known = {document.id: document for found in retrieved or () for document in found}
        searches = _as_recorded(recorded, searches_in(trajectory), known)
    elif retrieved is not None:
        searches = _as_listed(retrieved, searches_in(trajectory))
    reward = row.get("reward")
    verdicts = [row.get("forged"), reward.get("forged") if isinstance(reward, Mapping) else None]
    if recorded is not None and any(verdict is not None for verdict in verdicts):
        forged = any(verdicts)
    elif retrieved is not None or (recorded is not None and not any(turn.hits for turn in searches)):
        forged = forged or not was_retrieved(trajectory, searches) or None
    triples = row.get("triples")
    return replace(
        sample,
        id=f"line {where.rpartition(':')[2]}" if sample.id == where else sample.id,
        searches=searches,
        triples=None if is_missing(triples) else triples_of(triples, f"{where}: triples"),
        stage=stage,
        forged=forged,
        failures=("rollout_aborted",) if row.get("aborted") is True else (),
    )


def _record_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """What our environment recorded of the searches (`SearchTurn.row`); None if it recorded nothing."""
    turns = row.get("searches")
    if not isinstance(turns, list) or (not turns and row.get("retrieved")):
        return None
    for turn in turns:
        found = turn.get("documents") if isinstance(turn, Mapping) else None
        if not isinstance(found, list) or not all(isinstance(hit, Mapping) and "id" in hit for hit in found):
            return None
    return turns


def _as_recorded(
    turns: Sequence[Mapping[str, Any]], shown: Sequence[TextSearch], known: Mapping[str, Document]
) -> tuple[SearchTurn, ...]:
    """The recorded searches; a document is the one that is `known` under its id, else what the text shows of it."""
    if len(shown) > len(turns):
        # search tags that a model with tools wrote were not executed: nothing follows them
        shown = [search for search in shown if search.documents or search.told]
    searches = []
    for number, turn in enumerate(turns):
        seen = [hit for hit in turn["documents"] if hit.get("shown") is not False]
        in_text = shown[number].documents if number < len(shown) else ()
        texts = {str(hit["id"]): text for hit, text in zip(seen, in_text, strict=False)}
        hits = [
            known.get(str(hit["id"])) or _document(hit, texts.get(str(hit["id"]), ""))
            for hit in turn["documents"]
        ]
        failure = turn.get("failure")
        searches.append(
            SearchTurn(
                query=str(turn.get("query") or ""),
                hits=tuple(Hit(document, 0.0) for document in hits),
                shown=tuple(str(hit["id"]) for hit in seen),
                outcome=turn.get("outcome") or ("failed" if failure else "ok" if hits else "empty"),
                failure=failure,
            )
        )
    return tuple(searches)


def _document(hit: Mapping[str, Any], text: str) -> Document:
    title, level = str(hit.get("title") or ""), hit.get("evidence_level")
    return Document(
        id=str(hit["id"]),
        text=text[max(text.find(title), 0) :],  # without the header
        title=title,
        evidence_type=str(hit.get("evidence_type") or ""),
        evidence_level=level if isinstance(level, int) else 1,
        extra={"pmid": hit.get("ids") or ()},  # they name their kind
    )


def _retrieved(value: Any, where: str, documents: _Documents) -> list[list[Document]] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(hits, list) for hits in value):
        raise RowError(f"{where}: field 'retrieved': expected a list of lists, one per search")
    return [
        [documents.read(item, f"{where}: retrieved[{turn}][{n}]") for n, item in enumerate(items)]
        for turn, items in enumerate(value)
    ]


def _as_listed(retrieved: list[list[Document]], shown: Sequence[TextSearch]) -> tuple[SearchTurn, ...]:
    """One turn for each list of documents, with the query and the notice of the text's search of that number.

    If there are fewer lists than searches, those that were refused have none, or an empty one.
    """
    for place, search in enumerate(shown):
        if search.refused and place <= len(retrieved) < len(shown) and retrieved[place : place + 1] != [[]]:
            retrieved.insert(place, [])
    has_documents = any(search.documents for search in shown)  # else they are not in document tags
    turns = []
    seen: set[str] = set()
    for turn, documents in enumerate(retrieved):
        query, in_text, told = shown[turn] if turn < len(shown) else TextSearch("", (), None)
        new = {document.id: None for document in documents if document.id not in seen}
        # a notice also stands where there was no room for a document
        shown_now = (
            () if not in_text and (told or has_documents) else shown_of(in_text, documents, tuple(new))
        )
        seen.update(shown_now)
        outcome: SearchOutcome = "ok" if new else "duplicate" if documents else told or "empty"
        hits = tuple(Hit(document, 0.0) for document in documents)
        turns.append(SearchTurn(query, hits, shown_now, outcome))
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
