"""A sample on its way through the scorer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medr3_plugin.errors import InfrastructureFailure
from medr3_plugin.knowledge.graph import Graph
from medr3_plugin.records import Sample
from medr3_plugin.rewards.evidence import Evidence, OwnText
from medr3_plugin.rewards.formula import Formula
from medr3_plugin.trajectory import Trajectory

if TYPE_CHECKING:
    from medr3_plugin.rewards.judged import Judged


@dataclass(slots=True)
class Case:
    """What is known about a sample so far.

    Attributes:
        scored: it was answered and not forged, so S, C and the answer term are measured.
        own: the model's own words, without what it copied; `reasoning` as one text.
        graph: the model's own triples.
        judged: a judge's comparison of the reasoning with documents and references; None: rules compare them.
        failures: kinds of the failures that make the sample invalid.
        reasons: what `rewards.explain` puts into words.
    """

    sample: Sample
    trajectory: Trajectory
    formula: Formula
    record: dict[str, float]
    evidence: Evidence
    scored: bool
    reasoning: str = ""
    own: list[OwnText] = field(default_factory=list)
    graph: Graph | None = None
    judged: Judged | None = None
    failures: list[str] = field(default_factory=list)
    reasons: dict[str, Any] = field(default_factory=dict)

    @property
    def thoughts(self) -> list[OwnText]:
        """The own words that count as reasoning; none where nothing is scored."""
        return [piece for piece in self.own if piece.kind == "think" and self.scored]

    def failed(self, error: InfrastructureFailure) -> None:
        """Note a failure of the judge, the extractor or the encoder; the sample becomes invalid."""
        kind = f"{error.service}_{error.kind}"
        self.failures.append(kind)
        self.reasons.setdefault("said", {})[kind] = str(error)
        self.record["judge_failures"] += 1.0
