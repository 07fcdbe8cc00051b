"""Cutting a recorded trajectory into the pieces the report colours: think, search, document, answer, text.

The cutting itself is `medr3_plugin.trajectory.parse`, the package's only parser. This module drops the tags
and joins each document with what the search recorded about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medr3_plugin.trajectory import parse

_LONGEST_RESPONSE = 200_000
_HEADER_CHARACTERS = 400
"""The environment writes a document's title and source at its start: the title is looked for in these."""


def segments(response: str, searches: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pieces of a trajectory in reading order, without the tags.

    Args:
        response: the whole model-side text, documents included.
        searches: the `searches` of a row of trajectories.jsonl, in order.

    Returns:
        Dictionaries with `kind` and `text`. A search also has `index` (its place in `searches`), a document
        `meta` (its entry in `searches[*]["documents"]`) when it could be found there.
    """
    trajectory = parse(response[:_LONGEST_RESPONSE])
    pieces: list[dict[str, Any]] = []
    for span in trajectory.spans:
        text = trajectory.inner(span).strip()
        if text or span.kind == "search":
            pieces.append({"kind": span.kind, "text": text})
    if (rest := len(response) - _LONGEST_RESPONSE) > 0:
        pieces.append({"kind": "text", "text": f"[{rest} more characters are in trajectories.jsonl]"})
    _attach_documents(pieces, searches)
    return pieces


def _attach_documents(pieces: list[dict[str, Any]], searches: Sequence[Mapping[str, Any]]) -> None:
    """Give each document piece the record of the hit it shows.

    Documents follow their search, best first, without the hits that were shown before or did not fit (`shown`
    false). A hit is found by its title, and by its place only if there are as many hits as documents.
    """
    index = -1
    following: list[dict[str, Any]] = []

    def settle() -> None:
        if 0 <= index < len(searches):
            hits = searches[index].get("documents") or []
            _match(following, [hit for hit in hits if hit.get("shown") is not False])
        following.clear()

    for piece in pieces:
        if piece["kind"] == "search":
            settle()
            index += 1
            piece["index"] = index
        elif piece["kind"] == "document":
            following.append(piece)
    settle()


def _match(shown: list[dict[str, Any]], hits: list[Mapping[str, Any]]) -> None:
    in_order = len(shown) == len(hits)
    left = list(hits)
    for position, piece in enumerate(shown):
        head = piece["text"][:_HEADER_CHARACTERS].casefold()
        found = next(
            (hit for hit in left if (t := str(hit.get("title") or "").casefold()) and t in head), None
        )
        if found is None and in_order and hits[position] in left:
            found = hits[position]
        if found is not None:
            left.remove(found)
            piece["meta"] = found
