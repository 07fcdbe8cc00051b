"""The polarity of a relation: whether it is asserted or negated.

Two people word one relation in ten ways ("causes", "leads to", "is a cause of"), so only its polarity enters
a path: an asserted edge never matches a negated one, and wording does not matter.
"""

from __future__ import annotations

import re
from functools import lru_cache

from medr3_plugin.knowledge.stopwords import FUNCTION_WORDS
from medr3_plugin.knowledge.text import join, word_form, word_forms
from medr3_plugin.text import simplified

_NEGATION_WORDS = """
no not never none neither nor without lack lacking absent absence negative deny denied denies denying exclude
excluded excluding unlikely cannot can't isn't aren't wasn't weren't doesn't don't didn't hasn't haven't
hadn't won't wouldn't couldn't shouldn't unrelated
"""
_NEGATIONS = frozenset(word_form(word) for word in _NEGATION_WORDS.split())
_RULED_OUT = re.compile(r"\brul(?:e|es|ed|ing)[\s_-]+out\b", re.IGNORECASE)
# the two-character words come first, so that each is counted once
_CHINESE = re.compile("排除|否认|缺乏|不存在|[不没无未非]")


@lru_cache(maxsize=16384)
def is_negated(relation: str) -> bool:
    """Whether `relation` is negated; a double negation is an assertion.

    >>> is_negated("does not cause"), is_negated("rules out"), is_negated("not without")
    (True, True, False)
    """
    count = sum(form in _NEGATIONS for form in word_forms(relation))
    return (count + len(_RULED_OUT.findall(relation)) + len(_CHINESE.findall(simplified(relation)))) % 2 == 1


@lru_cache(maxsize=16384)
def relation_form(relation: str) -> str:
    """Comparison key of a relation: its polarity and its words' normal forms without function words.

    >>> relation_form("does not cause"), relation_form("can cause"), relation_form("causes")
    ('- cause', '+ cause', '+ cause')
    """
    forms = [form for form in word_forms(relation) if form not in _NEGATIONS]
    content = [form for form in forms if form not in FUNCTION_WORDS] or forms
    return f"{'-' if is_negated(relation) else '+'} {join(content)}" if content else ""
