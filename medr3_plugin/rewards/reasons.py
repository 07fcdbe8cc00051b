"""Why a sample got its parts: small JSON-able summaries for logs, the report and `medr3 score --explain`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medr3_plugin.judge.base import Verdict
from medr3_plugin.knowledge.graph import Edge, Graph
from medr3_plugin.rewards.reasoning import ReasoningScore
from medr3_plugin.rewards.retrieval_parts import RetrievalScore

MAX_LISTED = 20
"""Items of a list that are kept: the reasons travel with every sample."""


def of_answer(answer: str | None, verdict: Verdict | None) -> dict[str, Any]:
    """The answer given, its level, and who decided why; level None if it was not judged."""
    if verdict is None:
        return {"given": answer, "level": None}
    return {"given": answer, "level": verdict.level, "reason": verdict.reason, "source": verdict.source}


def of_reasoning(score: ReasoningScore, own: Graph, reference: Graph | None) -> dict[str, Any]:
    """The best reference and what it has in common with the model's graph."""
    if reference is None:
        return {"reference": None, "own_triples": len(own.edges)}
    return {
        "reference": score.reference,
        "own_triples": len(own.edges),
        "reference_triples": len(reference.edges),
        "matched_triples": _edges(sorted(own.edges & reference.edges)),
        "matched_entities": sorted(own.entities & reference.entities)[:MAX_LISTED],
    }


def of_retrieval(score: RetrievalScore) -> dict[str, Any]:
    """What coverage was measured on, and the documents that counted."""
    return {
        "coverage_of": score.basis,
        "relevant": list(score.relevant[:MAX_LISTED]),
        "used": list(score.used[:MAX_LISTED]),
    }


def of_coordination(supported: Sequence[Edge]) -> dict[str, Any]:
    """The triples on the way to the answer that a document supports."""
    return {"supported": _edges(supported)}


def _edges(edges: Sequence[Edge]) -> list[list[str]]:
    return [list(edge) for edge in edges[:MAX_LISTED]]
