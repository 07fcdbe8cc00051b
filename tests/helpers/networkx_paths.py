"""The simple directed paths of a graph with signed edges, enumerated by networkx: an oracle for our own counting."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import networkx

Edge = tuple[str, str, str]
"""Head, polarity, tail."""


def simple_paths(edges: Iterable[Edge], longest: int = 3) -> set[tuple[Edge, ...]]:
    """Every path of up to `longest` edges, each edge as networkx names it: head, tail, polarity."""
    graph = networkx.MultiDiGraph()
    for head, polarity, tail in edges:
        graph.add_edge(head, tail, key=polarity)
    pairs = itertools.permutations(graph.nodes, 2)
    found = (networkx.all_simple_edge_paths(graph, one, other, cutoff=longest) for one, other in pairs)
    return {tuple(path) for paths in found for path in paths}
