"""The pipeline of reference construction over many items: concurrent, bounded, resumable.

Steps of an item: suitability filter, open rewriting, difficulty filter by the policy's own pass rate,
reasoning trajectories with real searches, grading, graph extraction. An item ends in one of three ways:

* built: it has at least one verified reference;
* dropped: a step decided against it (unsuitable, too easy, too hard, no attempt good enough), with the reason;
* failed: an endpoint or the search failed; it is tried again by the next run, and what was paid is kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, model_validator

from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.references import steps
from medr3_plugin.data.references.caller import Caller, Costs
from medr3_plugin.errors import InfrastructureFailure
from medr3_plugin.knowledge.judge_extract import JudgeExtractor
from medr3_plugin.llm.transport import is_gone
from medr3_plugin.records import Reference
from medr3_plugin.retrieval.backend import RetrievalBackend
from medr3_plugin.yaml_section import Section


class BuildOptions(Section):
    """What is built, and how many attempts are made.

    Attributes:
        references: verified references per item.
        max_trajectories: most trajectories paid for per item.
        min_score: lowest grade of an accepted trajectory, 1 to 5.
        policy_attempts: answers of the policy for its pass rate; 0 leaves the difficulty filter out.
        min_pass_rate, max_pass_rate: items with a pass rate outside are dropped. The default drops what the
            policy answers more often than half of the time, and keeps what it never answers.
        concurrency: items processed at the same time.
        give_up_after: stop after this many items in a row failed because the endpoint is unreachable.
        topk, max_searches: documents per search, searches per trajectory.
        max_tokens: longest reply.
    """

    references: int = Field(default=10, ge=1)
    max_trajectories: int = Field(default=20, ge=1)
    min_score: float = Field(default=5.0, ge=1, le=5)
    policy_attempts: int = Field(default=0, ge=0)
    min_pass_rate: float = Field(default=0.0, ge=0, le=1)
    max_pass_rate: float = Field(default=0.5, ge=0, le=1)
    concurrency: int = Field(default=16, ge=1)
    give_up_after: int = Field(default=8, ge=1)
    topk: int = Field(default=3, ge=1)
    max_searches: int = Field(default=4, ge=0)
    max_tokens: int = Field(default=4096, ge=16)

    @model_validator(mode="after")
    def _in_order(self) -> BuildOptions:
        if self.max_trajectories < self.references:
            raise ValueError(
                f"max_trajectories {self.max_trajectories} is less than references {self.references}"
            )
        if self.min_pass_rate > self.max_pass_rate:
            raise ValueError(
                f"min_pass_rate {self.min_pass_rate} is more than max_pass_rate {self.max_pass_rate}"
            )
        return self


@dataclass(slots=True)
class Outcome:
    """How an item ended: `status` is `built`, `dropped`, `failed` or `unreached`; `reason` says why."""

    item: Item
    status: str
    reason: str = ""
    pass_rate: float | None = None
    scores: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Pipeline:
    """Builds references for items.

    Attributes:
        teacher: endpoint that filters, rewrites, reasons, grades and extracts.
        policy: endpoint of the policy, for the difficulty filter; None skips the filter.
        backend: where trajectories search; None lets them reason without searches.
        check: decides answers of the policy that no rule can decide, see `steps.AnswerCheck`.
        progress: called after each item with its outcome.
        stopped_by: what ended the run early, if anything did.
    """

    teacher: Caller
    options: BuildOptions
    policy: Caller | None = None
    backend: RetrievalBackend | None = None
    check: steps.AnswerCheck | None = None
    progress: Callable[[Outcome], object] = lambda _: None
    stopped_by: str = ""
    _failures_in_a_row: int = 0

    async def run(self, items: Sequence[Item]) -> list[Outcome]:
        """Outcomes in the order of `items`. Never raises for an endpoint's failure."""
        slots = asyncio.Semaphore(self.options.concurrency)

        async def one(item: Item) -> Outcome:
            async with slots:
                if self.stopped_by:
                    return Outcome(item, "unreached", "the run had stopped")
                outcome = await self._outcome(item)
            self.progress(outcome)
            return outcome

        return list(await asyncio.gather(*(one(item) for item in items)))

    async def _outcome(self, item: Item) -> Outcome:
        try:
            outcome = await self._build(item)
        except InfrastructureFailure as failure:
            if is_gone(failure.kind):
                self._failures_in_a_row += 1
                if self._failures_in_a_row >= self.options.give_up_after:
                    self.stopped_by = str(failure)
            return Outcome(item, "failed", str(failure))
        self._failures_in_a_row = 0
        return outcome

    async def _build(self, item: Item) -> Outcome:
        suitable = await steps.is_suitable(self.teacher, item)
        if not suitable.suitable:
            return Outcome(item, "dropped", f"unsuitable: {suitable.reason}")
        question = await steps.open_form(self.teacher, item)
        item = dataclasses.replace(item, question=question, options=None)
        outcome = Outcome(item, "built")
        if self.policy is not None and self.options.policy_attempts:
            rate = await steps.pass_rate(self.policy, item, self.options.policy_attempts, self.check)
            outcome.pass_rate = rate
            if not self.options.min_pass_rate <= rate <= self.options.max_pass_rate:
                outcome.status = "dropped"
                outcome.reason = (
                    f"too {'easy' if rate > self.options.max_pass_rate else 'hard'}: pass rate {rate:.2f}"
                )
                return outcome
        references = await self._references(item, outcome)
        if not references:
            outcome.status = "dropped"
            outcome.reason = (
                f"no trajectory of {len(outcome.scores)} was graded {self.options.min_score:g} or better"
            )
        outcome.item = dataclasses.replace(item, references=tuple(references))
        return outcome

    async def _references(self, item: Item, outcome: Outcome) -> list[Reference]:
        options = self.options
        extractor = JudgeExtractor(self.teacher.of("graph"))
        references: list[Reference] = []
        for attempt in range(options.max_trajectories):
            if len(references) >= options.references:
                break
            made = await steps.trajectory(
                self.teacher,
                item,
                attempt,
                self.backend,
                topk=options.topk,
                max_searches=options.max_searches,
            )
            graded = await steps.grade(self.teacher, item, made)
            outcome.scores.append(graded.score)
            if graded.score >= options.min_score:
                reference = await steps.graph(extractor, made)
                if reference.triples and all(reference.text != other.text for other in references):
                    references.append(reference)
        return references


def summary(outcomes: Sequence[Outcome], costs: Costs) -> dict[str, Any]:
    """What was built, dropped and failed, why, and what it took."""
    return {
        "items": dict(Counter(outcome.status for outcome in outcomes)),
        "references": sum(len(o.item.references) for o in outcomes if o.status == "built"),
        "dropped": dict(Counter(o.reason.split(":")[0] for o in outcomes if o.status == "dropped")),
        "failures": [{"id": o.item.id, "reason": o.reason} for o in outcomes if o.status == "failed"],
        "not_built": [{"id": o.item.id, "reason": o.reason} for o in outcomes if o.status == "dropped"],
        "steps": {
            step: {
                "calls": stats.replies,
                "replayed": stats.cache_hits,
                "prompt_tokens": stats.prompt_tokens,
                "completion_tokens": stats.completion_tokens,
                "bad_replies": stats.unreadable,
            }
            for step, stats in sorted(costs.items())
        },
        "tokens": {
            "prompt": sum(stats.prompt_tokens for stats in costs.values()),
            "completion": sum(stats.completion_tokens for stats in costs.values()),
        },
    }
