"""Rule verifiers of the final answer: choice, yes/no/maybe, names with aliases.

A rule says "right" only for a clean single answer, "wrong" where no reading could be right, and nothing
(None) where it cannot tell. Then a judge decides; without one the answer counts as wrong. So whatever a rule
does not know can cost a judge's call, but never earns a reward.
"""

from __future__ import annotations

from medr3_plugin.judge.base import RIGHT, WRONG, Verdict
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer_alias import Names, verify_alias
from medr3_plugin.rewards.answer_choice import verify_choice
from medr3_plugin.rewards.answer_doubt import takes_back
from medr3_plugin.rewards.answer_statement import bare, statement
from medr3_plugin.rewards.answer_text import fold
from medr3_plugin.rewards.answer_yesno import verify_yesno

MAX_CHARS = 4096
"""Longest answer that is read, in characters, unless an accepted answer is itself a long text."""
_LONGER_THAN_GOLD = 4
_COPY_CHARS = 60  # from this length on, an answer that is a piece of the question was copied


def verify(answer: str, sample: Sample, vocabulary: Names | None = None) -> Verdict | None:
    """Verdict on `answer` by rule, or None if no rule can tell.

    Args:
        answer: the final answer alone, as `Trajectory.answer` gives it.
        sample: the question, its accepted answers and options.
        vocabulary: synonyms to use besides `sample.answers`.

    Takes bounded time whatever the answer; answers over `MAX_CHARS` (or four times the longest
    accepted answer) are wrong unread.

    >>> gold = Sample(id="", question="", response="", answers=("Marfan syndrome",))
    >>> verify("The most likely diagnosis is Marfan's syndrome.", gold).level
    2
    >>> verify("Marfan syndrome or Loeys-Dietz syndrome", gold).level
    0
    >>> verify("A connective tissue disease", gold) is None
    True
    """
    limit = max(MAX_CHARS, _LONGER_THAN_GOLD * max(map(len, sample.answers), default=0))
    if len(answer) > limit:
        return Verdict(WRONG, f"the answer is longer than {limit} characters", "rule:length")
    if len(answer) > MAX_CHARS:  # prose for prose: no rule but equality
        same = fold(answer) in {fold(name) for name in sample.answers}
        return Verdict(RIGHT, "the answer is an accepted text", "rule:alias") if same else None
    whole = bare(answer)
    if len(whole) > 2 * MAX_CHARS:  # one character may stand for eighteen
        return Verdict(WRONG, "the answer is too long", "rule:length")
    text = statement(whole)
    if not fold(text):
        return Verdict(WRONG, "no answer", "rule:empty")
    if len(text) >= _COPY_CHARS and fold(text) in fold(sample.question):
        return Verdict(WRONG, "the answer is copied from the question", "rule:copy")
    verdict = None
    if sample.options:
        verdict = verify_choice(whole, text, sample.options, sample.answers)
    verdict = verdict or verify_yesno(text, sample.answers)
    verdict = verdict or verify_alias(whole, text, sample.answers, vocabulary)
    right = verdict is not None and verdict.level == RIGHT
    # the first words alone may be right: then a rule cannot tell
    return None if right and takes_back(text, sample.answers, _options(sample)) else verdict


def _options(sample: Sample) -> dict[str, str]:
    """The options that are there, by upper-case letter."""
    given = (sample.options or {}).items()
    return {letter.strip().upper(): str(text) for letter, text in given if text is not None and text != ""}
