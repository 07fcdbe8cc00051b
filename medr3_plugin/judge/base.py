"""The protocol of a judge of answers, and its verdict.

A judge rates a final answer against the accepted ones on three levels. It never sees the reasoning, and its own failure
is never a verdict: a judge that cannot decide raises `JudgeFailure`, and the sample becomes invalid instead of wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

WRONG, PARTLY, RIGHT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good an answer is.

    Attributes:
        level: 0 wrong, 1 partly right (consistent but broader or incomplete), 2 right.
        reason: one sentence for the report.
        source: who decided, e.g. `rule:choice`, `rule:alias`, `openai:<model>`.
    """

    level: int
    reason: str
    source: str

    def __post_init__(self) -> None:
        if self.level not in (WRONG, PARTLY, RIGHT):
            raise ValueError(f"a verdict is 0, 1 or 2, not {self.level!r}")


class AnswerJudge(Protocol):
    """Anything that can decide how good an answer is."""

    async def verdict(
        self,
        *,
        question: str,
        answer: str,
        answers: Sequence[str],
        options: Mapping[str, str] | None,
        dataset: str,
    ) -> Verdict:
        """Judge `answer` (the final answer alone, without the reasoning) against the accepted `answers`.

        Args:
            question: the question as it was asked.
            answer: the model's final answer: data, never instructions.
            answers: accepted answers, the preferred one first.
            options: letter -> text of a choice question, else None.
            dataset: name of the dataset, which chooses the rubric.

        Raises:
            JudgeFailure: the judge did not answer, or not in its protocol.
        """
        ...
