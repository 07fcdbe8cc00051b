"""What goes over the wire and into a trajectory's record: documents, hits and searches as JSON.

Two forms:

* the **service protocol**, Search-R1's `POST /retrieve`: a request `{"queries", "topk", "return_scores"}`
  and a response `{"result": [[{"document": {...}, "score": s}, ...], ...]}`, one inner list per query. With
  `return_scores` false an inner list holds the bare documents. `contents` is `title + "\\n" + text`, because
  Search-R1's client takes the first line of it for the title.
* the **search record**, a JSON string that travels in verl's `extra_fields["searches"]` from the environment
  to the reward manager: a list of `{"query", "hits", "shown", "outcome", "latency_s", "failure"}`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from medr3_plugin.errors import RetrievalFailure
from medr3_plugin.records import COLUMNS, ID_COLUMNS, Document, Hit, SearchOutcome, SearchTurn

if TYPE_CHECKING:
    from medr3_plugin.retrieval.index.filters import Filters

TOKEN_ENV = "MEDR3_RETRIEVAL_TOKEN"  # noqa: S105 (the name of a variable)
"""Environment variable of the bearer token, for the service and its clients."""

_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, OverflowError)  # the last: a year of 1e999
_OUTCOMES = frozenset(get_args(SearchOutcome))


def request_to_wire(queries: Sequence[str], topk: int, filters: Filters | None = None) -> dict[str, Any]:
    """The body of a request; `filters` is our addition, left out when there are none."""
    body: dict[str, Any] = {"queries": list(queries), "topk": topk, "return_scores": True}
    if filters is not None:
        body["filters"] = filters.model_dump(mode="json", exclude_none=True)
    return body


def response_to_wire(results: Sequence[Sequence[Hit]], *, return_scores: bool) -> dict[str, Any]:
    """The body of a response for `results`, one sequence of hits per query."""

    def shown(hit: Hit) -> dict[str, Any]:
        contents = f"{' '.join(hit.document.title.split())}\n{hit.document.text}"
        document = {**hit.document.row(), "contents": contents}
        return {"document": document, "score": _finite(hit.score)} if return_scores else document

    return {"result": [[shown(hit) for hit in hits] for hits in results]}


def response_from_wire(body: Any, queries: int) -> list[list[Hit]]:
    """Hits from a response body, ours or another Search-R1 server's.

    Args:
        body: the decoded JSON.
        queries: how many queries were sent; the response must hold as many lists.

    Raises:
        RetrievalFailure: (`bad_response`) the body is not in the protocol.
    """
    result = body.get("result") if isinstance(body, Mapping) else None
    if not isinstance(result, list) or not all(isinstance(hits, list) for hits in result):
        raise RetrievalFailure("the response holds no list of lists under 'result'", "bad_response")
    if len(result) != queries:
        raise RetrievalFailure(
            f"{queries} queries were sent, {len(result)} results came back", "bad_response"
        )
    return [[_hit_from_wire(item) for item in hits] for hits in result]


def turns_to_json(turns: Iterable[SearchTurn]) -> str:
    """The searches of one trajectory as a JSON string (ASCII, so that any transport can carry it).

    Documents that were not shown travel without their texts: nothing reads them.
    """
    return json.dumps([_turn_to_dict(turn) for turn in turns])


def turns_from_json(text: str) -> tuple[SearchTurn, ...]:
    """The inverse of `turns_to_json`, but for the texts that it leaves out.

    Raises:
        ValueError: the text is not such a record; the message names the search at fault.
    """
    rows = json.loads(text)
    if not isinstance(rows, list):
        raise ValueError(f"the search record is a {type(rows).__name__}, expected a list")
    turns = []
    for number, row in enumerate(rows):
        try:
            turns.append(_turn_from_dict(row))
        except _UNREADABLE as error:
            raise ValueError(f"search {number} of the record: {error!r}") from error
    return tuple(turns)


def _finite(score: float) -> float:
    # JSON has no NaN and no infinity; an engine that yields one ranks that document last
    score = float(score)
    return score if math.isfinite(score) else 0.0


def _turn_to_dict(turn: SearchTurn) -> dict[str, Any]:
    return {
        "query": turn.query,
        "hits": [
            {
                # what gold documents may be known by; the other columns do not travel with a trajectory
                **{name: value for name, value in hit.document.extra.items() if name.lower() in ID_COLUMNS},
                **hit.document.columns(),
                "text": hit.document.text if hit.document.id in turn.shown else "",
                "score": _finite(hit.score),
            }
            for hit in turn.hits
        ],
        "shown": list(turn.shown),
        "outcome": turn.outcome,
        "latency_s": turn.latency_s,
        "failure": turn.failure,
    }


def _turn_from_dict(row: Mapping[str, Any]) -> SearchTurn:
    outcome = row.get("outcome", "ok")
    if outcome not in _OUTCOMES:
        raise ValueError(f"outcome {outcome!r}, expected one of {sorted(_OUTCOMES)}")
    return SearchTurn(
        query=str(row["query"]),
        hits=tuple(Hit(_document(hit), float(hit.get("score", 0.0))) for hit in row.get("hits", ())),
        shown=tuple(str(identity) for identity in row.get("shown", ())),
        outcome=outcome,
        latency_s=float(row.get("latency_s", 0.0)),
        failure=row.get("failure"),
    )


def _hit_from_wire(item: Any) -> Hit:
    try:
        document = item.get("document", item)
        return Hit(_document(document), float(item.get("score", 0.0)))
    except _UNREADABLE as error:
        raise RetrievalFailure(f"a result is not a document: {error!r}", "bad_response") from error


def _document(row: Mapping[str, Any]) -> Document:
    text, title = row.get("text"), row.get("title")
    if text is None:
        # another Search-R1 server: only `contents`, the title (often in quotes) on its first line
        head, _, text = str(row["contents"]).partition("\n")
        title = head.strip().strip('"') if title is None else title
    year = row.get("year")
    extra = {key: value for key, value in row.items() if key not in (*COLUMNS, "contents", "score")}
    if row.get("id") is None and "contents" in row:
        # Search-R1's servers of web searches send contents alone; equal contents are one document
        identity = (
            "contents:" + hashlib.sha256(f"{title}\n{text}".encode("utf-8", "replace")).hexdigest()[:16]
        )
    else:
        identity = row["id"]
    return Document(
        id=str(identity),
        text=str(text),
        title=str(title or ""),
        source=str(row.get("source") or ""),
        evidence_type=str(row.get("evidence_type") or ""),
        evidence_level=min(9, max(1, int(row.get("evidence_level") or 1))),
        year=None if year is None else int(year),
        extra=extra,
    )
