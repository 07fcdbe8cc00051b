"""How much two knowledge graphs agree: on their entities (statistic) and on their paths (logic).

Both are Jaccard indices in [0, 1], symmetric, 1 for equal non-empty graphs, and 0 if either graph is empty:
saying nothing earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence, Set

from medr3_plugin.knowledge.graph import Graph, count_paths
from medr3_plugin.knowledge.text import normal_form
from medr3_plugin.records import Triple


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


def statistic(
    a: Sequence[Triple], b: Sequence[Triple], normalise: Callable[[str], str] = normal_form
) -> float:
    """Jaccard index of the entity sets.

    >>> statistic([Triple("flu", "causes", "fever")], [Triple("Flu", "causes", "cough")])
    0.3333333333333333
    """
    return jaccard(Graph(a, normalise).entities, Graph(b, normalise).entities)


def logic(a: Sequence[Triple], b: Sequence[Triple], normalise: Callable[[str], str] = normal_form) -> float:
    """Jaccard index of the sets of simple directed paths with one, two or three edges.

    One shared edge, one edge and one two-edge path more on the left:

    >>> logic([Triple("a", "causes", "b"), Triple("b", "causes", "c")], [Triple("a", "leads to", "b")])
    0.3333333333333333
    """
    return path_jaccard(Graph(a, normalise), Graph(b, normalise))
