"""Verifier of yes/no/maybe answers."""

from __future__ import annotations

import re
from collections.abc import Collection

from medr3_plugin.judge.base import RIGHT, WRONG, Verdict
from medr3_plugin.rewards.answer.doubt import REFUSAL, starts_negated
from medr3_plugin.text import fold

SOURCE = "rule:yesno"
_SPELLINGS = {
    "yes": ("yes", "yeah", "true", "correct", "是", "是的", "对", "正确", "有"),
    "no": ("no", "nope", "false", "incorrect", "否", "不", "不是", "不对", "错误", "没有"),
    "maybe": ("maybe", "may be", "perhaps", "possibly", "可能", "也许", "或许", "不一定"),
}
_MEANING = {fold(spelling): word for word, spellings in _SPELLINGS.items() for spelling in spellings}
WORDS = frozenset(_SPELLINGS)
# accepted answers that make a question a yes/no question; "correct" may be the name of something
_GOLD = {
    fold(word): _MEANING[fold(word)] for word in ("yes", "no", "maybe", "true", "false", "是", "否", "可能")
}

_HEAD = re.compile(
    r"(yes|no|maybe|perhaps|possibly|true|false|是的|是|否|不是|可能)"
    r"(?:\s*[,.:;!(\n，。；：！（–—-]+\s*|\s+(?=because\b|since\b|as\b|there\b|it\b)|$)(.*)",
    re.IGNORECASE | re.DOTALL,
)
# in an explanation these words are another answer; "no" alone is not ("no difference was found")
_SECOND = re.compile(
    r"\b(?:yes|maybe|perhaps|possibly|or no|and no|be no|is no|not sure|uncertain)\b"
    # alone, also after "but", "because" and the like
    r"|(?:^|[.;:,\n/>→]|\b(?:but|yet|however|though|although|actually|also|because|since|rather|then)\b,?)"
    r"\s*(?:yes|no|nope|not|false|true|incorrect|wrong)\s*(?:$|[.;:,)\n/])|或|可能|不一定",
    re.IGNORECASE,
)


def gold_word(answers: Collection[str]) -> str | None:
    """The yes/no/maybe word that the accepted answers say, None if they are something else or disagree."""
    said = {_GOLD.get(fold(name)) for name in answers}
    return said.pop() if len(said) == 1 else None


def said_word(text: str) -> str | None:
    """The one yes/no/maybe word that the statement `text` answers; None if unclear.

    >>> said_word("Yes, no difference was seen"), said_word("yes or no"), said_word("Yes. Maybe.")
    ('yes', None, None)
    """
    word = _MEANING.get(fold(text))
    if word:
        return word
    match = _HEAD.match(text)
    if not match or _SECOND.search(match[2]) or REFUSAL.search(match[2]):
        return None
    return _MEANING.get(fold(match[1]))


def verify_yesno(text: str, answers: Collection[str]) -> Verdict | None:
    """Verdict on a bare statement; None if the question is no yes/no question or the answer is a sentence.

    >>> verify_yesno("maybe", ["yes"]).level, verify_yesno("not yes", ["no"]).level
    (0, 0)
    """
    gold = gold_word(answers)
    if gold is None:
        return None
    said = said_word(text)
    if said:
        return Verdict(RIGHT if said == gold else WRONG, f"answered {said}, accepted is {gold}", SOURCE)
    words = set(fold(text).split())
    if len(words & WORDS) > 1 or (words & WORDS and starts_negated(text)):
        return Verdict(WRONG, "gave more than one of yes, no and maybe, or negated it", SOURCE)
    if REFUSAL.search(text):
        return Verdict(WRONG, "declined to answer", SOURCE)
    return None
