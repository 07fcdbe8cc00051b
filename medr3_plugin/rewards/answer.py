"""Rule verifiers of the final answer: choice, yes/no/maybe, names with aliases.

A rule says "right" only for a clean single answer, "wrong" where no reading could be right, and nothing
(None) where it cannot tell; then a judge decides, and without one the answer counts as wrong.
"""

from __future__ import annotations

import re

from medr3_plugin.judge.base import RIGHT, WRONG, Verdict
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer_text import fold

MAX_CHARS = 4096
_LETTER = re.compile(
    r"^\W*(?:(?:the )?(?:final |correct |best )?(?:answer|option|choice)(?: is)?\s*:?\s*)?\(?([A-Z])\)?(?:[.):,]\s*(.*))?\W*$",
    re.I | re.S,
)


def verify(answer: str, sample: Sample) -> Verdict | None:
    """Verdict on `answer` by rule, or None if no rule can tell."""
    if not answer.strip():
        return Verdict(WRONG, "no answer", "rule:empty")
    if len(answer) > MAX_CHARS:
        return Verdict(WRONG, f"the answer is longer than {MAX_CHARS} characters", "rule:length")
    key = fold(answer)
    gold = {fold(name) for name in sample.answers}
    if sample.options:
        texts = {letter.upper(): fold(text) for letter, text in sample.options.items() if text}
        right = {letter for letter, text in texts.items() if text in gold}
        right = right or {name.strip().upper() for name in sample.answers} & texts.keys()
        chosen = {letter for letter, text in texts.items() if text == key}
        match = None if chosen else _LETTER.match(answer)
        if match and match.group(1).upper() in texts:
            letter = match.group(1).upper()
            rest = fold(match.group(2) or "")
            if rest and rest != texts[letter]:
                return None
            chosen = {letter}
        if chosen:
            ok = bool(chosen & right)
            return Verdict(RIGHT if ok else WRONG, f"chose {', '.join(sorted(chosen))}", "rule:choice")
    if key in gold:
        return Verdict(RIGHT, "the answer is an accepted name", "rule:alias")
    if gold & {"yes", "no", "maybe"} and key in {"yes", "no", "maybe"}:
        return Verdict(WRONG, f"answered {key}", "rule:yesno")
    return None
