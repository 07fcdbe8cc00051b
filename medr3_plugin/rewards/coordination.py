"""Coordination C of reasoning and retrieval: does what was retrieved support what leads to the answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Set

from medr3_plugin.knowledge.agreement import Said
from medr3_plugin.knowledge.graph import Edge

FEW = 2
"""Least number of edges or statements that a share is taken of: one alone is not a chain of reasoning."""
MANY = 6
"""Most statements that a share is taken of: who says more than the documents loses nothing."""


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


def coordination(  # noqa: PLR0917 - what is measured on both sides
    edges: Collection[Edge],
    answers: Set[str],
    supports: Callable[[Edge], bool],
    stated: Said,
    written: Said,
    statements: int,
) -> tuple[float, list[Edge]]:
    """How far what was retrieved supports the model's reasoning, in [-1, 1]; contradiction counts against it.

    If its statements contradict the relevant documents more often than they agree with them, the balance of the two
    (negative). Else the larger of two shares, each of `FEW` at least: of the edges that lead to the answer, those that
    a relevant document supports, times that balance; of the statements (of `MANY` at most), those that agree with one,
    less those that contradict one.

    Args:
        edges: the model's own graph.
        answers: entities that the model's answer names.
        supports: whether one relevant document says so.
        stated: agreement of the model's own statements with the relevant documents.
        written: the same of all that it wrote, copies included.
        statements: number of its own statements.

    Returns:
        C and the supported edges; 0 without any support.

    Two edges lead to "flu"; one is supported. Then everything that is said contradicts them:

    >>> graph = [("fever", "+", "flu"), ("rash", "+", "fever"), ("x", "+", "y")]
    >>> coordination(graph, {"flu"}, lambda edge: edge[0] == "fever", Said(2, 0), Said(2, 0), 4)
    (0.5, [('fever', '+', 'flu')])
    >>> coordination(graph, {"flu"}, lambda edge: edge[0] == "fever", Said(), Said(0, 3), 4)[0]
    -1.0
    """
    relevant = leading_to(edges, answers)
    supported = [edge for edge in relevant if supports(edge)]
    if written.contradicting > written.agreeing:
        return written.balance, supported
    of_edges = len(supported) / max(len(relevant), FEW) * written.balance
    of_statements = (stated.agreeing - stated.contradicting) / max(min(statements, MANY), FEW)
    return max(of_edges, min(1.0, of_statements)), supported
