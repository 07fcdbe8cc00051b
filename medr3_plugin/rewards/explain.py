"""Why a sample got its parts: JSON-able reasons that travel with it, and the same in words.

The reasons go into `trajectories.jsonl`; the report and `medr3 score --explain` show them in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medr3_plugin.judge.base import Verdict
from medr3_plugin.knowledge.graph import Edge, Graph
from medr3_plugin.records import ScoredSample
from medr3_plugin.rewards.formula import PENALTIES
from medr3_plugin.rewards.options import BonusWeights
from medr3_plugin.rewards.reasoning import ReasoningScore
from medr3_plugin.rewards.retrieval import Relevant, RetrievalScore

MAX_LISTED = 20
"""Items of a list that are kept: the reasons travel with every sample."""
_LEVELS = {None: "not judged", 0: "wrong", 1: "partly right", 2: "right"}
_SUBPARTS = {
    "reasoning": ("logic", "semantic", "statistic"),
    "retrieval": ("quality", "coverage", "utilisation", "breadth"),
}
_BONUSES = tuple(BonusWeights.model_fields)


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
        "matched_triples": _listed(sorted(own.edges & reference.edges)),
        "matched_entities": sorted(own.entities & reference.entities)[:MAX_LISTED],
        "matched_terms": sorted(score.shared)[:MAX_LISTED],
    }


def of_retrieval(relevant: Relevant, score: RetrievalScore, unread: int = 0) -> dict[str, Any]:
    """What coverage was measured on, the documents that counted, and how many were too many for the judge, if any."""
    reasons = {
        "coverage_of": relevant.basis,
        "relevant": list(relevant.documents[:MAX_LISTED]),
        "used": list(score.used[:MAX_LISTED]),
    }
    return {**reasons, "unread": unread} if unread else reasons


def of_coordination(supported: Sequence[Edge], contradicting: Sequence[str]) -> dict[str, Any]:
    """The triples on the way to the answer that a document supports; what contradicts a document or a known fact."""
    return {"supported": _listed(supported), "contradicting": list(contradicting[:MAX_LISTED])}


def of_paper(
    terms: Sequence[str], levels: Sequence[str], own: Graph, flagged: Sequence[Edge]
) -> dict[str, Any]:
    """What the terms of the preset `paper` rest on.

    Args:
        terms: keys of the record that are added up.
        levels: for each document shown, the name of its level in the pyramid.
        own: the model's graph.
        flagged: its edges that stem from retrieval.
    """
    return {
        "terms": list(terms),
        "levels": dict(sorted(Counter(levels).items())),
        "own_triples": len(own.edges),
        "from_retrieval": _listed(flagged),
    }


def _listed(edges: Sequence[Edge]) -> list[list[str]]:
    return [list(edge) for edge in edges[:MAX_LISTED]]


def explain(scored: ScoredSample) -> str:
    """The reward record of one sample with its reasons, one part a line."""
    record = scored.record
    words = in_words(record, scored.reasons)
    score = f"score {record['score']:.3f}" if record["valid"] else "invalid"
    lines = [f"{scored.id}: {score}, {words.pop('score')[0]}"]
    for part, sentences in words.items():
        parts = _values(record, part, _SUBPARTS.get(part, ()))
        first, *others = [parts, *sentences] if parts else sentences
        lines.append(f"  {part.removeprefix('paper_'):<12} {record[part]:5.2f}  {first}")
        lines += [f"{'':22}{sentence}" for sentence in others]
    penalties = [f"{name[8:]} {record[name]:.3f}" for name in PENALTIES if record[name]]
    lines.append(f"  {'format':<12} {record['format']:5.2f}  penalties: {', '.join(penalties) or 'none'}")
    return "\n".join(lines)


def in_words(record: Mapping[str, float], reasons: Mapping[str, Any]) -> dict[str, list[str]]:
    """Why each part has its value: part of the record -> sentences, in the order of reading.

    Args:
        record, reasons: of a `ScoredSample`, or as `trajectories.jsonl` has them.
    """
    words = {"answer": [_answer(reasons["answer"])]}
    if "composition" in reasons or "failures" in reasons:  # not in an evaluation, which has no reward
        words = {"score": [_score(record, reasons)], **words}
    if "paper" in reasons:
        words |= _paper(record, reasons["paper"])
    elif "reasoning" in reasons:
        words["reasoning"] = _reasoning(reasons["reasoning"])
        words["retrieval"] = [_retrieval(reasons["retrieval"]) if record["searches"] else "no search"]
        words["coordination"] = _coordination(reasons["coordination"])
    return words


def _score(record: Mapping[str, float], reasons: Mapping[str, Any]) -> str:
    if not record["valid"]:
        said = reasons.get("said", {})
        kinds = (f"{kind} ({said[kind]})" if kind in said else kind for kind in reasons.get("failures", ()))
        return f"left out of its group: {', '.join(kinds) or 'a failure'}"
    if record["forged"]:
        return "the floor of forged evidence: the model wrote a document itself, nothing else counts"
    composition = reasons["composition"]
    if composition["preset"] == "paper":
        terms = [f"{record[key]:.2f} {key.removeprefix('paper_')}" for key in composition["terms"]]
        return f"{' + '.join(terms)} - {abs(record['penalty_overlong']):.3f} overlong"
    if reasons["answer"]["level"] is None and composition["preset"] != "authors":
        return "the floor without an answer"
    weights = ", ".join(
        f"{weight:.2g} {name}"
        for name, weight in zip(_BONUSES, composition["weights"], strict=False)  # runs of before have three
        if weight
    )
    penalty = sum(record[name] for name in PENALTIES)
    formula = (
        f"{record['answer']:.2f} answer + {composition['gate']:.2f} x {composition['bonus']:.3f} bonus "
        f"({weights or 'no part'}) - {abs(penalty):.3f} penalties"
    )
    sum_of_parts = record["answer"] + composition["gate"] * composition["bonus"] + penalty
    return formula if abs(record["score"] - sum_of_parts) < 1e-3 else f"{formula}, raised to the floor"


def _paper(record: Mapping[str, float], reasons: Mapping[str, Any]) -> dict[str, list[str]]:
    """The terms of the preset `paper` that count in the stage."""
    words = {}
    if "paper_reasoning" in reasons["terms"]:
        words["paper_reasoning"] = [_values(record, "paper", ("semantic", "statistic", "logical"))]
        words["paper_retrieval_number"] = [f"searches: {record['searches']:.0f}"]
    if "paper_retrieval" in reasons["terms"]:
        levels = ", ".join(f"{count} of level {name}" for name, count in reasons["levels"].items())
        words["paper_retrieval"] = [
            _values(record, "paper", ("quality", "breadth")),
            f"documents: {levels or 'none'}",
            f"of {reasons['own_triples']} own triples {_edges(reasons['from_retrieval'], 'from retrieval')}",
        ]
    return words


def _values(record: Mapping[str, float], part: str, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {record[f'{part}_{name}']:.2f}" for name in names)


def _answer(answer: Mapping[str, Any]) -> str:
    because = f" ({answer['reason']}; {answer['source']})" if answer.get("source") else ""
    given = " ".join((answer["given"] or "no answer").split())
    return f"{_LEVELS[answer['level']]}: {given if len(given) <= 80 else f'{given[:77]}...'}{because}"


def _reasoning(reasons: Mapping[str, Any]) -> list[str]:
    if reasons["reference"] is None:
        return [f"no reference to compare with; own triples: {reasons['own_triples']}"]
    return [
        f"best is reference {reasons['reference']} "
        f"({reasons['own_triples']} own triples, {reasons['reference_triples']} of the reference)",
        _edges(reasons["matched_triples"], "in both graphs"),
        f"entities in both: {', '.join(reasons['matched_entities']) or 'none'}",
        f"terms in both: {', '.join(reasons.get('matched_terms', ())) or 'none'}",
    ]


def _retrieval(reasons: Mapping[str, Any]) -> str:
    unread = f"; {reasons['unread']} more documents than the judge is shown" if "unread" in reasons else ""
    return (
        f"coverage of {reasons['coverage_of'].replace('_', ' ')}; "
        f"relevant: {', '.join(reasons['relevant']) or 'none'}; used: {', '.join(reasons['used']) or 'none'}"
        f"{unread}"
    )


def _coordination(reasons: Mapping[str, Any]) -> list[str]:
    against = reasons.get("contradicting", ())
    said = [f"contradicts what is known or was found: {'; '.join(against)}"] if against else []
    return [_edges(reasons["supported"], "supported by a document"), *said]


def _edges(edges: Sequence[Sequence[str]], what: str) -> str:
    shown = "; ".join(
        f"{head} {'-/->' if polarity == '-' else '->'} {tail}" for head, polarity, tail in edges
    )
    return f"{what}: {shown or 'none'}"
