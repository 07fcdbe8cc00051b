"""A scored sample in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medr3_plugin.records import ScoredSample

_LEVELS = {None: "none", 0: "wrong", 1: "partly right", 2: "right"}


def explain(scored: ScoredSample) -> str:
    """The reward record of one sample with its reasons, one part a line."""
    record, reasons = scored.record, scored.reasons
    lines = [f"{scored.id}: score {record['score']:.3f}"]
    if not record["valid"]:
        lines[0] = f"{scored.id}: invalid ({', '.join(scored.failures)})"
    if record["forged"]:
        lines.append("  forged: the model wrote a document itself; nothing else counts")
    answer = reasons.get("answer", {})
    lines.append(
        f"  answer       {record['answer']:.2f}  {_LEVELS[answer.get('level')]}: "
        f"{_short(answer.get('given') or 'no answer')}{_because(answer)}"
    )
    if "reasoning" in reasons:
        lines += _reasoning(record, reasons["reasoning"])
        lines += _retrieval(record, reasons["retrieval"])
        supported = reasons["coordination"]["supported"]
        lines.append(
            f"  coordination {record['coordination']:.2f}  {_edges(supported, 'supported by a document')}"
        )
    penalties = [
        f"{key[8:]} {value:.3f}" for key, value in record.items() if key.startswith("penalty_") and value
    ]
    lines.append(f"  format       {record['format']:.2f}  penalties: {', '.join(penalties) or 'none'}")
    if "composition" in reasons:
        composition = reasons["composition"]
        lines.append(f"  formula      {composition['preset']}, bonus {composition['bonus']:.3f}")
    return "\n".join(lines)


def _reasoning(record: Mapping[str, float], reasons: Mapping[str, Any]) -> list[str]:
    parts = ", ".join(
        f"{name} {record[f'reasoning_{name}']:.2f}" for name in ("logic", "semantic", "statistic")
    )
    line = f"  reasoning    {record['reasoning']:.2f}  {parts}"
    if reasons["reference"] is None:
        return [f"{line}; no reference; own triples: {reasons['own_triples']}"]
    return [
        f"{line}; best is reference {reasons['reference']} "
        f"({reasons['own_triples']} own triples, {reasons['reference_triples']} of the reference)",
        f"                     {_edges(reasons['matched_triples'], 'in both graphs')}",
        f"                     entities in both: {', '.join(reasons['matched_entities']) or 'none'}",
    ]


def _retrieval(record: Mapping[str, float], reasons: Mapping[str, Any]) -> list[str]:
    names = ("quality", "coverage", "utilisation", "breadth")
    parts = ", ".join(f"{name} {record[f'retrieval_{name}']:.2f}" for name in names)
    if not record["searches"]:
        return ["  retrieval    0.00  no search"]
    return [
        f"  retrieval    {record['retrieval']:.2f}  {parts}",
        f"                     coverage of {reasons['coverage_of'].replace('_', ' ')}; "
        f"relevant: {', '.join(reasons['relevant']) or 'none'}; used: {', '.join(reasons['used']) or 'none'}",
    ]


def _because(answer: Mapping[str, Any]) -> str:
    return f" ({answer['reason']}; {answer['source']})" if answer.get("source") else ""


def _edges(edges: Sequence[Sequence[str]], what: str) -> str:
    shown = "; ".join(
        f"{head} {'-/->' if polarity == '-' else '->'} {tail}" for head, polarity, tail in edges
    )
    return f"{what}: {shown or 'none'}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."
