"""A knowledge graph in comparable form: normalised entities, edges with polarity, short simple paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from medr3_plugin.knowledge.relation import is_negated
from medr3_plugin.knowledge.text import normal_form
from medr3_plugin.records import Triple

MAX_PATHS = 10_000
"""Paths kept of one graph: all shorter ones before longer ones, in alphabetical order."""

Edge = tuple[str, str, str]
"""(entity, polarity `+` or `-`, entity)"""

Path = tuple[str, ...]
"""(entity, polarity, entity, …) with one, two or three edges and no entity twice."""


class Graph:
    """A set of triples as a graph.

    Independent of the order of the triples; repeated triples, cycles and both polarities between two entities
    are fine. An edge from an entity to itself is dropped, its entity is kept.

    Attributes:
        entities: normal forms of all heads and tails.
        edges: edge -> the first triple it stems from, for explanations.
    """

    def __init__(self, triples: Sequence[Triple], normalise: Callable[[str], str] = normal_form) -> None:
        entities: set[str] = set()
        edges: dict[Edge, Triple] = {}
        for triple in triples:
            head, tail = normalise(triple.head), normalise(triple.tail)
            entities.update(entity for entity in (head, tail) if entity)
            if head and tail and head != tail:
                edges.setdefault((head, "-" if is_negated(triple.relation) else "+", tail), triple)
        self.entities = frozenset(entities)
        self.edges = edges

    @cached_property
    def paths(self) -> frozenset[Path]:
        """Simple directed paths of one, two or three edges, at most `MAX_PATHS`."""
        return frozenset(_bounded(self._iterate_paths()))

    def _iterate_paths(self) -> Iterator[list[Path]]:
        """Batches of paths, shorter ones first and each length in alphabetical order."""
        following: dict[str, list[tuple[str, str]]] = {}
        edges = sorted(self.edges)
        for head, polarity, tail in edges:
            following.setdefault(head, []).append((polarity, tail))
        yield edges  # type: ignore[misc]
        for a, p, b in edges:
            yield [(a, p, b, q, c) for q, c in following.get(b, ()) if c != a]
        for a, p, b in edges:
            for q, c in following.get(b, ()):
                if c != a:
                    yield [(a, p, b, q, c, r, d) for r, d in following.get(c, ()) if d not in (a, b)]


def _bounded(batches: Iterator[list[Path]]) -> Iterator[Path]:
    room = MAX_PATHS
    for batch in batches:
        if len(batch) >= room:
            yield from batch[:room]
            return
        room -= len(batch)
        yield from batch
