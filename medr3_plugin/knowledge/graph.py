"""Knowledge graphs in comparable form, and how much two of them agree: on their entities, edges and short paths.

The agreements are Jaccard indices in [0, 1], symmetric, 1 for equal non-empty graphs, and 0 if either graph is empty:
saying nothing earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence, Set
from functools import cached_property

from medr3_plugin.knowledge.relation import is_negated, relation_form
from medr3_plugin.knowledge.text import normal_form
from medr3_plugin.records import Triple

Edge = tuple[str, str, str]
"""(entity, polarity `+` or `-`, entity)"""

HOPS = 3
"""Edges of the longest paths that are compared: so far they can be counted exactly without being enumerated."""


class Graph:
    """A set of triples as a graph.

    Independent of the order of the triples; repeated triples, cycles and both polarities between two entities
    are fine. An edge from an entity to itself is dropped, its entity is kept.

    Attributes:
        entities: normal forms of all heads and tails.
        edges: the distinct edges.
    """

    def __init__(self, triples: Sequence[Triple], normalise: Callable[[str], str] = normal_form) -> None:
        self._relations = frozenset(triple.relation for triple in triples)
        entities: set[str] = set()
        edges: set[Edge] = set()
        for triple in triples:
            head, tail = normalise(triple.head), normalise(triple.tail)
            entities.update(entity for entity in (head, tail) if entity)
            if head and tail and head != tail:
                edges.add((head, "-" if is_negated(triple.relation) else "+", tail))
        self.entities = frozenset(entities)
        self.edges = frozenset(edges)

    @cached_property
    def relations(self) -> frozenset[str]:
        """Its distinct relations, see `relation_form`."""
        return frozenset(form for form in map(relation_form, self._relations) if form)

    @cached_property
    def path_counts(self) -> tuple[int, int, int]:
        """Number of its paths by length, see `path_counts`."""
        return path_counts(self.edges)


def path_counts(edges: Collection[Edge]) -> tuple[int, int, int]:
    """Numbers of simple directed paths (entity, polarity, entity, …) with one, two and three edges.

    Counted, not enumerated: for each middle edge b → c of a three-edge path, the edges into b times the edges
    out of c, less the pairs that would meet an entity twice. At most edges x largest degree steps, so that a
    dense graph of thousands of edges stays a matter of milliseconds.

    >>> path_counts({("a", "+", "b"), ("b", "+", "c"), ("c", "-", "a")})
    (3, 3, 0)
    """
    into: dict[str, dict[str, int]] = {}
    out_of: dict[str, dict[str, int]] = {}
    for head, _, tail in edges:  # the two polarities between two entities are two edges
        heads, tails = into.setdefault(tail, {}), out_of.setdefault(head, {})
        heads[head] = heads.get(head, 0) + 1
        tails[tail] = tails.get(tail, 0) + 1
    degree_in = {entity: sum(heads.values()) for entity, heads in into.items()}
    degree_out = {entity: sum(tails.values()) for entity, tails in out_of.items()}

    two = three = 0
    for b in into.keys() & out_of.keys():
        two += degree_in[b] * degree_out[b] - _round_trips(into[b], out_of[b])
    for b, tails in out_of.items():
        if b not in into:
            continue
        heads = into[b]
        for c, multiplicity in tails.items():
            if c in out_of:
                starts = degree_in[b] - heads.get(c, 0)
                ends = degree_out[c] - out_of[c].get(b, 0)
                three += multiplicity * (starts * ends - _round_trips(heads, out_of[c]))
    return len(edges), two, three


def _round_trips(heads: dict[str, int], tails: dict[str, int]) -> int:
    """Pairs of an edge from, and an edge to, the same entity."""
    if len(heads) > len(tails):
        heads, tails = tails, heads
    return sum(number * tails[entity] for entity, number in heads.items() if entity in tails)


def jaccard(a: Set[Hashable], b: Set[Hashable]) -> float:
    """|a ∩ b| / |a ∪ b|, 0 if both are empty."""
    common = len(a & b)
    return common / (len(a) + len(b) - common) if common else 0.0


def path_jaccard(a: Graph, b: Graph) -> float:
    """Jaccard index of two graphs' sets of simple directed paths with one, two or three edges.

    A path is in both graphs exactly if all its edges are, so the common paths are the paths of the common
    edges, and three counts give the index exactly, without a limit on the number of paths.
    """
    common_edges = a.edges & b.edges
    if not common_edges:
        return 0.0
    common = sum(path_counts(common_edges))
    return common / (sum(a.path_counts) + sum(b.path_counts) - common)


def hop_jaccards(a: Graph, b: Graph) -> tuple[float, float, float]:
    """Jaccard indices of two graphs' sets of simple directed paths with one, two and three edges, each; see
    `path_jaccard`.
    """
    common_edges = a.edges & b.edges
    if not common_edges:
        return 0.0, 0.0, 0.0
    one, two, three = (
        common / union if (union := in_a + in_b - common) else 0.0
        for common, in_a, in_b in zip(path_counts(common_edges), a.path_counts, b.path_counts, strict=True)
    )
    return one, two, three
