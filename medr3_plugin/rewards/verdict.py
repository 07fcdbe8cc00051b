"""How good an answer is: the rules, then the judge, then nothing decides. Training, evaluation and `score` ask here."""

from __future__ import annotations

from medr3_plugin.judge.base import RIGHT, WRONG, AnswerJudge, Verdict
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.alias import Names
from medr3_plugin.rewards.answer.verify import verify
from medr3_plugin.text import fold
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

    Several different answers are wrong, unless a rule finds every one of them right ("C" and "C. Heparin").

    Raises:
        JudgeFailure: the judge was needed and failed.
    """
    answer = trajectory.answer
    if answer is None:
        return None
    different = {fold(given): given for given in trajectory.answers}
    if len(different) > 1:
        ruled = [verify(given, sample, vocabulary) for given in different.values()]
        if not all(verdict is not None and verdict.level == RIGHT for verdict in ruled):
            return Verdict(WRONG, "several different answers", "rule:several")
    verdict = verify(answer, sample, vocabulary)
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
