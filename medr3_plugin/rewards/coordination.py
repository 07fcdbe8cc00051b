"""Coordination C of reasoning and retrieval: is what leads to the answer supported by what was retrieved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Set

from medr3_plugin.knowledge.graph import Edge


def leading_to(edges: Collection[Edge], answers: Set[str]) -> list[Edge]:
    """Edges with an endpoint in the answer, or on a directed path to it, in alphabetical order.

    >>> graph = [("fever", "+", "flu"), ("rash", "+", "fever"), ("flu", "+", "myalgia"), ("x", "+", "y")]
    >>> leading_to(graph, {"flu"})
    [('fever', '+', 'flu'), ('flu', '+', 'myalgia'), ('rash', '+', 'fever')]
    """
    sources: dict[str, list[str]] = {}
    for head, _, tail in edges:
        sources.setdefault(tail, []).append(head)
    reaching = set(answers)
    frontier = list(answers)
    while frontier:
        for head in sources.get(frontier.pop(), ()):
            if head not in reaching:
                reaching.add(head)
                frontier.append(head)
    return sorted(e for e in edges if e[2] in reaching or e[0] in answers)


def coordination(
    edges: Collection[Edge], answers: Set[str], supports: Callable[[str, str], bool]
) -> tuple[float, list[Edge]]:
    """Share of the edges that lead to the answer which a retrieved document supports.

    Args:
        edges: the model's own graph.
        answers: entities that the model's answer names.
        supports: whether one retrieved document mentions both entities.

    Returns:
        The share in [0, 1], 0 if no edge leads to the answer, and the supported edges.

    Two edges lead to "flu"; one is supported:

    >>> documents = [{"flu", "fever"}]
    >>> graph = [("fever", "+", "flu"), ("rash", "+", "fever"), ("x", "+", "y")]
    >>> coordination(graph, {"flu"}, lambda a, b: any({a, b} <= d for d in documents))
    (0.5, [('fever', '+', 'flu')])
    """
    relevant = leading_to(edges, answers)
    supported = [edge for edge in relevant if supports(edge[0], edge[2])]
    return (len(supported) / len(relevant) if relevant else 0.0), supported
