"""The judge without a model: the rule verifiers, and "wrong" where they cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medr3_plugin.judge.base import WRONG, Verdict
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.names import Names
from medr3_plugin.rewards.answer.verify import verify

UNDECIDED = "no rule decides, and there is no judge model"


class RuleJudge:
    """An `AnswerJudge` that needs nothing and never fails.

    Args:
        vocabulary: synonyms that count besides the accepted answers.
    """

    def __init__(self, vocabulary: Names | None = None) -> None:
        self._vocabulary = vocabulary

    async def verdict(
        self,
        *,
        question: str,
        answer: str,
        answers: Sequence[str],
        options: Mapping[str, str] | None,
        dataset: str,
    ) -> Verdict:
        """Judge one answer, see `AnswerJudge.verdict`."""
        sample = Sample(
            id="",
            question=question,
            response="",
            answers=tuple(answers),
            options=options,
            dataset=dataset,
        )
        return verify(answer, sample, self._vocabulary) or Verdict(WRONG, UNDECIDED, "rule:undecided")
