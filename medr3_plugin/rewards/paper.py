"""The preset `paper`: the rewards as the figures of Med-R^3 (arXiv:2507.23541) draw them.

The formulas were read off the authors' pipeline figures, where they are drawn as outlines. Every function says how
certain its formula is: *read* (seen in the figure), *probable* (inferred from spacing or nesting), *ours* (the figure
is silent, so we decided). The stages, by the nesting of the figure's panels (probable):

- reasoning: R = R_answer + R_format + R_reasoning + R_retrieval_number
- retrieval: R = R_answer + R_format + R_retrieval
- joint: R = R_answer + R_format

There is no gate and no ladder: with the default weights a wrong answer can earn as much as a right one that brings
nothing else (docs/FIDELITY.md). Every term is at least 0, and 0 with a forged document; without an answer, all but
R_retrieval_number are (ours).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field, field_validator

from medr3_plugin.knowledge.graph import HOPS, Edge, Graph, hop_jaccards, jaccard
from medr3_plugin.retrieval.corpus.evidence import HIGHEST, LOWEST
from medr3_plugin.yaml_section import Section

NonNegative = Annotated[float, Field(ge=0)]

ANSWER = (0.0, 1.0, 2.0)
"""R_answer of a wrong, a partly right and a right answer. Certainty: read."""

PYRAMID = ("I", "II", "III", "IV", "V", "VI")
"""The six levels of the figure's evidence pyramid, best first. Certainty: read."""


class PaperOptions(Section):
    """The yaml section `medr3.reward.paper`: weights that the figures name without their values.

    Defaults (ours) make the terms comparable: R_reasoning and R_retrieval lie in [0, 1] as R_format and
    R_retrieval_number do, and within them every term can bring the same. `alpha` weighs a term in [0, 1], `beta` one
    in [0, 2], `gamma` one in [0, 1], `lambda` one in [0, 6] and `mu` one in [0, 1].

    Attributes:
        alpha: weight of the semantic term in R_reasoning.
        beta: weight of the statistic term in R_reasoning.
        gamma: weight of the logical term in R_reasoning.
        lambda_: weight of the quality term in R_retrieval; written `lambda` in yaml.
        mu: weight of the breadth term in R_retrieval.
        delta: searches from which on R_retrieval_number is 1.
        K: longest path, in hops, that the logical term compares.
        levels: for each level of the pyramid its levels of the nine-level scale (`retrieval.corpus.evidence`).
    """

    alpha: NonNegative = 1 / 3
    beta: NonNegative = 1 / 6
    gamma: NonNegative = 1 / 3
    lambda_: Annotated[NonNegative, Field(alias="lambda")] = 1 / 12
    mu: NonNegative = 1 / 2
    delta: Annotated[int, Field(ge=1)] = 1
    K: Annotated[int, Field(ge=1, le=HOPS)] = HOPS
    # I meta-analyses, systematic reviews and guidelines, II randomised trials, III other trials, IV cohorts,
    # V case-control studies, case series and reports, VI expert opinion and the rest
    levels: Mapping[str, tuple[int, ...]] = Field(
        default_factory=lambda: {"I": (9, 8, 7), "II": (6,), "III": (5,), "IV": (4,), "V": (3, 2), "VI": (1,)}
    )

    @field_validator("levels")
    @classmethod
    def _every_level_once(cls, levels: Mapping[str, tuple[int, ...]]) -> Mapping[str, tuple[int, ...]]:
        if set(levels) != set(PYRAMID):
            raise ValueError(f"must name {', '.join(PYRAMID)}, got {', '.join(levels) or 'none'}")
        scale = range(LOWEST, HIGHEST + 1)
        places = {level: [name for name in PYRAMID if level in levels[name]] for level in scale}
        for level, names in places.items():
            if len(names) != 1:
                raise ValueError(
                    f"evidence level {level} is listed under {' and '.join(names) or 'none'}; list each once"
                )
        if unknown := sorted({level for given in levels.values() for level in given} - places.keys()):
            raise ValueError(f"{unknown[0]} is not an evidence level; they are {LOWEST} to {HIGHEST}")
        return levels

    def rung(self, evidence_level: int) -> int:
        """e: position in the pyramid, 1 (I) to 6 (VI), of a document of this `evidence_level` (1 to 9)."""
        return next(i for i, name in enumerate(PYRAMID, start=1) if evidence_level in self.levels[name])


@dataclass(frozen=True, slots=True)
class PaperTerms:
    """The terms of one trajectory; their names with `paper_` before them are the record's keys."""

    semantic: float = 0.0
    statistic: float = 0.0
    logical: float = 0.0
    reasoning: float = 0.0
    retrieval_number: float = 0.0
    quality: float = 0.0
    breadth: float = 0.0
    retrieval: float = 0.0

    def record(self) -> dict[str, float]:
        """The terms by the record's keys."""
        return {f"paper_{name}": value for name, value in asdict(self).items()}


def semantic(cosines: Sequence[float]) -> float:
    """R_semantic = max over i of cos(v_generated, v_i), at least 0.

    Certainty: similarity of dense vectors of the reasoning, over references, is read; cosine and maximum are probable
    (the release has both). The cosine is not centred, as in the release.

    >>> semantic([0.2, 0.7]), semantic([])
    (0.7, 0.0)
    """
    return min(1.0, max((0.0, *cosines)))


def statistic(own: Graph, references: Sequence[Graph]) -> float:
    """R_statistic = max over i of (|E_i ∩ E| / |E_i ∪ E| + |L_i ∩ L| / |L_i ∪ L|), in [0, 2].

    E are a graph's entities ("Entity Coverage"), L its relations ("Relation Coverage"). Certainty: read; no factor
    1/2 was seen. How two relations compare is ours: polarity and content words (`knowledge.relation.relation_form`).

    One of three entities is common, and so is the only relation:

    >>> from medr3_plugin.records import Triple
    >>> own, reference = Graph([Triple("flu", "causes", "fever")]), Graph([Triple("flu", "can cause", "cough")])
    >>> round(statistic(own, [reference]), 3)
    1.333
    """
    return max(
        (jaccard(own.entities, r.entities) + jaccard(own.relations, r.relations) for r in references),
        default=0.0,
    )


def logical(own: Graph, references: Sequence[Graph], hops: int) -> float:
    """R_logical = max over i of 2 / (K(K + 1)) · Σ_{j=1..K} j · |P_i^j ∩ P^j| / |P_i^j ∪ P^j|, in [0, 1].

    P^j are the simple directed paths of j hops: longer chains weigh more. Certainty: read; "+ 1" and "max" are
    probable. Ours: a path compares by entities and polarities, and an index of two empty sets is 0.

    Args:
        hops: K, 1 to 3: so far, paths are counted exactly without being enumerated (`knowledge.graph.path_counts`).

    The reference's two edges and its path of two hops are there, and one edge more: 2/6 · (1 · 2/3 + 2 · 1/2)

    >>> from medr3_plugin.records import Triple
    >>> chain = [Triple("a", "causes", "b"), Triple("b", "causes", "c")]
    >>> own = Graph([*chain, Triple("d", "causes", "b")])
    >>> round(logical(own, [Graph(chain)], 2), 3)
    0.556
    """
    weights = [2 * j / (hops * (hops + 1)) for j in range(1, hops + 1)]
    return max(
        (
            sum(weight * index for weight, index in zip(weights, hop_jaccards(own, r), strict=False))
            for r in references
        ),
        default=0.0,
    )


def retrieval_number(searches: int, delta: int) -> float:
    """R_retrieval_num = 1 if n >= δ else 0, n the number of executed searches. Certainty: read; δ is ours.

    It is paid without an answer, too: a policy that seldom searches breaks off more often when it does, and would learn
    not to search (docs/LEARNING.md, cold start).

    >>> retrieval_number(0, 1), retrieval_number(3, 1)
    (0.0, 1.0)
    """
    return float(searches >= delta)


def quality(rungs: Sequence[int]) -> float:
    """R_quality = (1/D) · Σ_d (6 − (e_d − 1)), in [1, 6]; 0 without a document (ours).

    Certainty: read. D counts the documents that were shown, once each (ours); relevance plays no part.

    Args:
        rungs: for each document its place e in the pyramid, 1 (I) to 6 (VI).

    A guideline and an expert's opinion:

    >>> quality([1, 6])
    3.5
    """
    return sum(len(PYRAMID) - (rung - 1) for rung in rungs) / len(rungs) if rungs else 0.0


def breadth(flags: Sequence[bool]) -> float:
    """R_breadth = |{(h, l, t, s) ∈ G : s = 1}| / |G|, in [0, 1]; 0 for an empty graph (ours).

    Certainty: read, s being the flag `if_retrieval`. In the release a model extracts the flag from text without its
    documents, where it cannot be true. Ours: a triple of the model stems from retrieval if one document that it was
    shown holds both entities and does not say the opposite; the extractor sees the reasoning alone, no document and no
    reference.

    Args:
        flags: s of each distinct triple of the model's graph.

    >>> breadth([True, False])
    0.5
    """
    return sum(flags) / len(flags) if flags else 0.0


def measure(
    options: PaperOptions,
    own: Graph,
    references: Sequence[Graph],
    cosines: Sequence[float],
    *,
    searches: int,
    evidence_levels: Sequence[int],
    flagged: Collection[Edge],
) -> PaperTerms:
    """All terms of a trajectory.

    R_reasoning = α·semantic + β·statistic + γ·logical and R_retrieval = λ·quality + μ·breadth. Certainty: both read
    (λ and μ probable), no values.

    Args:
        own: the model's graph.
        references: the references' graphs.
        cosines: similarity with each reference's text; 0 where there is none.
        searches: searches that were executed.
        evidence_levels: for each document shown, its level on the nine-level scale.
        flagged: edges of `own` that stem from retrieval.
    """
    meaning, overlap = semantic(cosines), statistic(own, references)
    chains = logical(own, references, options.K)
    worth = quality([options.rung(level) for level in evidence_levels])
    share = breadth([edge in flagged for edge in own.edges])
    return PaperTerms(
        semantic=meaning,
        statistic=overlap,
        logical=chains,
        reasoning=options.alpha * meaning + options.beta * overlap + options.gamma * chains,
        retrieval_number=retrieval_number(searches, options.delta),
        quality=worth,
        breadth=share,
        retrieval=options.lambda_ * worth + options.mu * share,
    )


SUMMANDS: Mapping[str, tuple[str, ...]] = {
    "reasoning": ("answer", "format", "paper_reasoning", "paper_retrieval_number"),
    "retrieval": ("answer", "format", "paper_retrieval"),
    "joint": ("answer", "format"),
}
"""Keys of the record whose sum is the reward, by stage. Certainty: probable (nesting of the panels)."""


def reward(record: Mapping[str, float], stage: str) -> float:
    """The stage's reward from a record's terms, and the overlong ramp that the paper's text has.

    Args:
        stage: reasoning, retrieval or joint.
    """
    if record["forged"]:
        return 0.0
    return sum(record[key] for key in SUMMANDS[stage]) + record["penalty_overlong"]
