"""Knowledge graphs in comparable form, and how much two of them agree: on their entities, edges and short paths.

The agreements are Jaccard indices in [0, 1], symmetric, 1 for equal non-empty graphs, and 0 if either graph is empty:
saying nothing earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence, Set
from functools import cached_property

from medr3_plugin.knowledge.relation import is_negated
from medr3_plugin.knowledge.text import normal_form
from medr3_plugin.records import Triple

Edge = tuple[str, str, str]
"""(entity, polarity `+` or `-`, entity)"""


class Graph:
    """A set of triples as a graph.

    Independent of the order of the triples; repeated triples, cycles and both polarities between two entities
    are fine. An edge from an entity to itself is dropped, its entity is kept.

    Attributes:
        entities: normal forms of all heads and tails.
        edges: the distinct edges.
    """

    def __init__(self, triples: Sequence[Triple], normalise: Callable[[str], str] = normal_form) -> None:
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
    def path_count(self) -> int:
        """Number of its paths, see `count_paths`."""
        return count_paths(self.edges)


def count_paths(edges: Collection[Edge]) -> int:
    """Number of simple directed paths (entity, polarity, entity, …) with one, two or three edges.

    Counted, not enumerated: for each middle edge b → c of a three-edge path, the edges into b times the edges
    out of c, less the pairs that would meet an entity twice. At most edges x largest degree steps, so that a
    dense graph of thousands of edges stays a matter of milliseconds.

    >>> count_paths({("a", "+", "b"), ("b", "+", "c"), ("c", "-", "a")})
    6
    """
    into: dict[str, dict[str, int]] = {}
    out_of: dict[str, dict[str, int]] = {}
    for head, _, tail in edges:  # the two polarities between two entities are two edges
        heads, tails = into.setdefault(tail, {}), out_of.setdefault(head, {})
        heads[head] = heads.get(head, 0) + 1
        tails[tail] = tails.get(tail, 0) + 1
    degree_in = {entity: sum(heads.values()) for entity, heads in into.items()}
    degree_out = {entity: sum(tails.values()) for entity, tails in out_of.items()}

    count = len(edges)
    for b in into.keys() & out_of.keys():
        count += degree_in[b] * degree_out[b] - _round_trips(into[b], out_of[b])
    for b, tails in out_of.items():
        if b not in into:
            continue
        heads = into[b]
        for c, multiplicity in tails.items():
            if c in out_of:
                starts = degree_in[b] - heads.get(c, 0)
                ends = degree_out[c] - out_of[c].get(b, 0)
                count += multiplicity * (starts * ends - _round_trips(heads, out_of[c]))
    return count


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
    common = count_paths(common_edges)
    return common / (a.path_count + b.path_count - common)
