"""The parts of the retrieval term T, each a pure function with values in [0, 1]."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

TOP_LEVEL = 9
"""Evidence level of a meta-analysis, the highest."""

ENOUGH_SOURCES = 2
"""Distinct sources from which on more earn nothing."""


def quality(levels: Sequence[int]) -> float:
    """Mean evidence level of the relevant documents found, over the highest level; 0 without any.

    A trial (6) and a cohort study (4) were relevant:

    >>> round(quality([6, 4]), 3)
    0.556
    """
    return sum(levels) / len(levels) / TOP_LEVEL if levels else 0.0


def coverage(needed: Collection[object], found: Collection[object]) -> float:
    """Share of what was needed (gold documents, facts to be retrieved, the answer) that was found.

    >>> coverage({"doc1", "doc2"}, {"doc2", "doc9"})
    0.5
    """
    needed = set(needed)
    return len(needed.intersection(found)) / len(needed) if needed else 0.0


def utilisation(
    documents: Sequence[Set[str]], earlier: Sequence[Set[str]], later: Sequence[Set[str]]
) -> float:
    """Share of documents that brought an entity which the model then used.

    Args:
        documents: for each document its entities.
        earlier: for each document the entities known before it: the question's, earlier documents', and those
            of the model's own text before.
        later: for each document the entities of the model's own text after it.

    Two documents; the model goes on to use "aspirin", which the first one brought. The second one only holds
    the question's "stroke":

    >>> utilisation([{"stroke", "aspirin"}, {"stroke"}], [{"stroke"}] * 2, [{"stroke", "aspirin"}] * 2)
    0.5
    """
    if not documents:
        return 0.0
    used = sum(
        bool((brought & after) - before)
        for brought, before, after in zip(documents, earlier, later, strict=True)
    )
    return used / len(documents)


def breadth(returned: Sequence[Sequence[str]], sources: Collection[str]) -> float:
    """Share of returned documents that had not been returned before, times min(1, distinct sources / 2).

    A search that returns nothing, or nothing new, earns nothing.

    Args:
        returned: for each search the ids of the documents that came back.
        sources: sources of the distinct documents.

    The second search repeats one of its two documents; the documents stem from two sources:

    >>> breadth([["a", "b"], ["b", "c"]], {"PubMed", "guidelines"})
    0.75
    >>> breadth([["a", "b"], ["b", "c"]], {"PubMed"})
    0.375
    """
    total = sum(len(ids) for ids in returned)
    if not total:
        return 0.0
    distinct = len({identity for ids in returned for identity in ids})
    return distinct / total * min(1.0, len(set(sources)) / ENOUGH_SOURCES)
