"""How much two knowledge graphs agree: on their entities (statistic) and on their paths (logic).

Both are Jaccard indices in [0, 1], symmetric, 1 for equal non-empty graphs, and 0 if either graph is empty:
saying nothing earns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence, Set

from medr3_plugin.knowledge.graph import Graph
from medr3_plugin.knowledge.text import normal_form
from medr3_plugin.records import Triple


def jaccard(a: Set[Hashable], b: Set[Hashable]) -> float:
    """|a ∩ b| / |a ∪ b|, 0 if both are empty."""
    common = len(a & b)
    return common / (len(a) + len(b) - common) if common else 0.0


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
    return jaccard(Graph(a, normalise).paths, Graph(b, normalise).paths)
