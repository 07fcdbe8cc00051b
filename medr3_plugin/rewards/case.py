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
        measurable: extractor, comparer and encoder gave what S, T and C need; else these stay 0 in the record, because
            what rules alone would measure is not comparable.
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
    measurable: bool = True
    judged: Judged | None = None
    failures: list[str] = field(default_factory=list)
    reasons: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Its rollout or a search failed: it is invalid whatever is said of it, so no model is asked to read it."""
        return bool(self.sample.failures or self.evidence.failures)

    @property
    def thoughts(self) -> list[OwnText]:
        """The own words that count as reasoning; none where nothing is scored."""
        return [piece for piece in self.own if piece.kind == "think" and self.scored]

    def failed(self, error: InfrastructureFailure) -> None:
        """Note a failure of the judge, the extractor or the encoder; the sample becomes invalid.

        A kind counts once, whatever was asked of the service: `failures/<kind>` and `judge_failures` count samples.
        """
        kind = f"{error.service}_{error.kind}"
        if kind not in self.failures:
            self.failures.append(kind)
        self.reasons.setdefault("said", {}).setdefault(kind, str(error))
        self.record["judge_failures"] = 1.0
