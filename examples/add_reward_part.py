"""Add your own part to the reward: here, a small bonus for naming the evidence that was used.

    python examples/add_reward_part.py

verl requires the same keys for every sample, so a part always adds its key, even if it is 0. docs/EXTENDING.md shows
how to use it in a training run.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

from medr3_plugin import Sample, ScoredSample, build_scorer, parse
from medr3_plugin.rewards.scorer import Scorer


class CitingScorer:
    """A scorer with one more part, `citation`: share of the shown documents that the answer's reasoning names."""

    def __init__(self, scorer: Scorer, weight: float = 0.1) -> None:
        self.scorer = scorer
        self.weight = weight

    async def score(self, samples: Sequence[Sample]) -> list[ScoredSample]:
        """Score as before, then add the part to a right answer: a wrong one must not profit from it."""
        scored = await self.scorer.score(samples)
        return [self._add(one, result) for one, result in zip(samples, scored, strict=True)]

    def _add(self, one: Sample, scored: ScoredSample) -> ScoredSample:
        reasoning = parse(one.response).reasoning.casefold()
        shown = [hit.document for turn in one.searches for hit in turn.hits if hit.document.id in turn.shown]
        named = [document for document in shown if document.title.casefold() in reasoning]
        citation = len(named) / len(shown) if shown else 0.0
        bonus = self.weight * citation * scored.record["acc"]
        record = {**scored.record, "citation": citation, "score": scored.record["score"] + bonus}
        reasons = {**scored.reasons, "citation": {"named": [document.id for document in named]}}
        return dataclasses.replace(scored, record=record, reasons=reasons)


def main() -> None:
    from score_trajectories import sample

    scorer = CitingScorer(build_scorer({}))
    for scored in asyncio.run(scorer.score([sample("right", "Marfan syndrome"), sample("wrong", "gout")])):
        print(f"{scored.id:6} score {scored.record['score']:.3f}  citation {scored.record['citation']:.2f}")


if __name__ == "__main__":
    main()
