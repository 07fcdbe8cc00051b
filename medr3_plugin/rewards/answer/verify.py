"""Rule verifiers of the final answer: choice, yes/no/maybe, names with aliases.

A rule says "right" only for a clean single answer, "wrong" where no reading could be right, and nothing
(None) where it cannot tell. Then a judge decides; without one the answer counts as wrong. So whatever a rule
does not know can cost a judge's call, but never earns a reward.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medr3_plugin.judge.base import RIGHT, WRONG, Verdict
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.alias import Names, is_accepted, verify_alias
from medr3_plugin.rewards.answer.choice import given_options, right_letters, verify_choice
from medr3_plugin.rewards.answer.doubt import takes_back
from medr3_plugin.rewards.answer.statement import bare, echoes, readings
from medr3_plugin.rewards.answer.yesno import verify_yesno
from medr3_plugin.text import fold, plain

MAX_CHARS = 4096
"""Longest answer that is read, in characters, unless an accepted answer is itself a long text."""
_LONGER_THAN_GOLD = 4
_COPY_CHARS = 60  # from this length on, an answer that is a piece of the question was copied


def verify(  # noqa: PLR0911
    answer: str | Sequence[str], sample: Sample, vocabulary: Names | None = None
) -> Verdict | None:
    """Verdict on `answer` by rule, or None if no rule can tell.

    Args:
        answer: the final answer alone, or all of a trajectory's answers (`Trajectory.answers`): several
            different ones are a hedge, and wrong.
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
    if not isinstance(answer, str):
        if len({fold(one) for one in answer}) != 1:
            return Verdict(WRONG, "several different answers" if answer else "no answer", "rule:several")
        answer = answer[-1]
    limit = max(MAX_CHARS, _LONGER_THAN_GOLD * max(map(len, sample.answers), default=0))
    if len(answer) > limit:
        return Verdict(WRONG, f"the answer is longer than {limit} characters", "rule:length")
    if len(answer) > MAX_CHARS:  # prose for prose: no rule but equality
        same = fold(answer) in {fold(name) for name in sample.answers}
        return Verdict(RIGHT, "the answer is an accepted text", "rule:alias") if same else None
    whole = bare(answer)
    if len(whole) > 2 * MAX_CHARS:  # one character may stand for eighteen
        return Verdict(WRONG, "the answer is too long", "rule:length")
    said = readings(whole)
    text = said[-1]
    if not fold(text):
        return Verdict(WRONG, "no answer", "rule:empty")
    if len(text) >= _COPY_CHARS and fold(text) in fold(sample.question):
        return Verdict(WRONG, "the answer is copied from the question", "rule:copy")
    options = given_options(sample.options)
    right = right_letters(options, sample.answers)
    answers = (
        *(options[letter] for letter in sorted(right)),
        *(answer for answer in sample.answers if answer.strip().upper() not in options),
    )
    verdict = verify_choice(said, options, right) if right else None
    verdict = verdict or verify_yesno(text, answers)
    if verdict is None and is_accepted(echoes(text, sample.question), answers, vocabulary):
        verdict = Verdict(RIGHT, "an accepted name after words of the question", "rule:echo")
    verdict = verdict or verify_alias(said, answers, vocabulary)
    # the first words alone may be right: then a rule cannot tell
    names = (*answers, *options.values())
    clean = verdict is not None and verdict.level == RIGHT
    return None if clean and (_asks(text, names) or takes_back(text, answers, options)) else verdict


def _asks(text: str, names: Iterable[str]) -> bool:
    """Whether `text` asks rather than answers ("Gout?")."""
    return text.endswith(("?", "？")) and not any("?" in plain(name) for name in names)
