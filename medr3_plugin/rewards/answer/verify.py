"""Is an answer right: what a short grammar recognises completely, and nothing else.

A rule says "right" or "wrong" only where the whole answer is one of the question's options, yes, no or maybe, or an
accepted name, in the forms of `grammar`. Wrong are also several answers that differ, and an answer without a
word. Everything else is undecided (None): a judge decides, and without one the answer counts as wrong. So
whatever a rule does not know can cost a judge's call, but never earns a reward.
"""

from __future__ import annotations

from collections.abc import Sequence

from medr3_plugin.judge.base import RIGHT, WRONG, Verdict
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.grammar import label_of
from medr3_plugin.rewards.answer.markup import unwrap
from medr3_plugin.rewards.answer.names import Names, question_of
from medr3_plugin.text import fold


def verify(answer: str | Sequence[str], sample: Sample, vocabulary: Names | None = None) -> Verdict | None:
    """Verdict on `answer` by rule, or None if no rule can tell. Linear in the length of the answer.

    Args:
        answer: the final answer alone, or all of a trajectory's answers (`Trajectory.answers`).
        sample: the question, its accepted answers and options.
        vocabulary: synonyms to use besides `sample.answers`.

    >>> gold = Sample(id="", question="", response="", answers=("Marfan syndrome",))
    >>> verify("The most likely diagnosis is Marfan's syndrome.", gold).level
    2
    >>> verify(["Loeys-Dietz syndrome", "Marfan syndrome"], gold).level
    0
    >>> verify("A connective tissue disease", gold) is None
    True
    """
    blocks = [unwrap(block) for block in ([answer] if isinstance(answer, str) else answer)]
    if not any(map(fold, blocks)):
        return Verdict(WRONG, "no answer", "rule:empty")
    question = question_of(sample.question, sample.answers, sample.options, vocabulary)
    labels = {label_of(block, question) for block in blocks}
    if len(labels) > 1 or (None in labels and len(set(map(fold, blocks))) > 1):
        return Verdict(WRONG, "several different answers", "rule:several")
    label = labels.pop()
    if label is None:
        return None
    if question.open:
        return Verdict(RIGHT, "the answer is an accepted name", "rule:name")
    reason = f"answered {label}, accepted is {', '.join(sorted(question.right))}"
    return Verdict(
        RIGHT if label in question.right else WRONG,
        reason,
        "rule:choice" if question.letters else "rule:yesno",
    )
