"""The accepted answers as names that can occur in a text."""

from __future__ import annotations

import re

from medr3_plugin.knowledge.text import normal_form
from medr3_plugin.records import Sample

_LETTER = re.compile(r"[\W_]*([A-Za-z])(?:[\W_]*|\s*[).:、．：,-][\W_]*\s*\S.*)", re.DOTALL)
_NOT_NAMES = frozenset(("yes", "no", "maybe", "true", "false", "是", "否", "对", "错", "不确定"))


def gold_names(sample: Sample) -> tuple[str, ...]:
    """Accepted answers in words: option letters replaced by their texts, verdicts such as "yes" left out.

    >>> sample = Sample("1", "Which drug?", "", ("B",), options={"A": "Aspirin", "B": "Heparin"})
    >>> gold_names(sample)
    ('Heparin',)
    """
    return tuple(name for name in (in_words(a, sample) for a in sample.answers) if _is_name(name))


def in_words(answer: str, sample: Sample) -> str:
    """An answer that is an option's letter as that option's text, whatever its form; any other answer unchanged.

    >>> sample = Sample("1", "Which drug?", "", ("B",), options={"A": "Aspirin", "B": "Heparin"})
    >>> [in_words(form, sample) for form in ("B", "**B**", "(b)", "B. Heparin", "Heparin", "B vitamins")]
    ['Heparin', 'Heparin', 'Heparin', 'Heparin', 'Heparin', 'B vitamins']
    >>> in_words("B. cereus", Sample("1", "Which?", "", ("A",), options={"A": "B. cereus", "B": "E. coli"}))
    'B. cereus'
    """
    letter = _LETTER.fullmatch(answer.strip())
    if not (sample.options and letter) or answer.strip() in sample.options.values():
        return answer
    return sample.options.get(letter[1].upper(), answer)


def _is_name(text: str) -> bool:
    form = normal_form(text)
    return len(form) > 1 and form not in _NOT_NAMES and not form.isdigit()
