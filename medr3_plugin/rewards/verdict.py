"""How good an answer is: rules decide, else the judge, else nothing. Used by training, evaluation and `score`."""

from __future__ import annotations

from medr3_plugin.judge.base import WRONG, AnswerJudge, Verdict
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.names import Names
from medr3_plugin.rewards.answer.verify import verify
from medr3_plugin.trajectory import Trajectory

UNDECIDED = "rule:undecided"
"""Source of the verdict on an answer that no rule decides where there is no judge; it counts as wrong."""


async def decide(
    trajectory: Trajectory,
    sample: Sample,
    *,
    vocabulary: Names | None = None,
    judge: AnswerJudge | None = None,
) -> Verdict | None:
    """The verdict on a trajectory's answer; None if it holds none.

    Raises:
        JudgeFailure: the judge was needed and failed.
    """
    answer = trajectory.answer
    if answer is None:
        return None
    verdict = verify(trajectory.answers, sample, vocabulary)
    if verdict is not None:
        return verdict
    if judge is None:
        return Verdict(WRONG, "no rule decides it, and there is no judge", UNDECIDED)
    return await judge.verdict(
        question=sample.question,
        answer=answer,
        answers=sample.answers,
        options=sample.options,
        dataset=sample.dataset,
    )
