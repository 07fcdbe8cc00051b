"""Which language a text is in: Chinese, a language in Latin letters, or another script."""

from __future__ import annotations

import re

SEGMENT_CHARS = 200
"""A text is compared segment by segment, so that a switch half-way costs half."""

_CHINESE = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002ffff]")
_LATIN_WORD = re.compile("[A-Za-z\u00c0-\u024f]{2,}")
_OTHER_LETTER = re.compile(
    "[\u0370-\u1cff\u3040-\u30ff\uac00-\ud7af]"  # Greek to Indic scripts, Japanese kana, Korean
)
# a Greek letter or two is notation ("β-blocker"), not language
_MIN_OTHER = 4


def language(text: str) -> str | None:
    """`zh`, `latin` or `other`, whichever has most words; None without any (numbers, an option letter).

    A Chinese character counts as half a word, because Chinese words have about two.
    """
    if text.isascii():  # the common case, and a quick one
        return "latin" if _LATIN_WORD.search(text) else None
    other = len(_OTHER_LETTER.findall(text))
    counts = {
        "zh": len(_CHINESE.findall(text)) / 2,
        "latin": float(len(_LATIN_WORD.findall(text))),
        "other": other / 4 if other >= _MIN_OTHER else 0.0,
    }
    name = max(counts, key=counts.__getitem__)
    return name if counts[name] else None


def same_language_share(text: str, question: str) -> float:
    """Share of `text`'s segments that are in the question's language; segments without words do not count.

    Returns:
        0 for an empty text, 1 if neither text nor question shows a language.

    >>> same_language_share("The valve is narrow.", "What is stenosis?")
    1.0
    >>> same_language_share("瓣膜狭窄。", "What is stenosis?")
    0.0
    """
    if not text.strip():
        return 0.0
    wanted = language(question)
    segments = (text[i : i + SEGMENT_CHARS] for i in range(0, len(text), SEGMENT_CHARS))
    languages = [name for name in map(language, segments) if name is not None]
    if wanted is None or not languages:
        return 1.0
    return languages.count(wanted) / len(languages)


def same_cjk_flag_share(text: str, question: str) -> float:
    """The release's check: share of segments that hold a Chinese character exactly if the question does."""
    if not text:
        return 0.0
    wanted = bool(_CHINESE.search(question))
    flags = [bool(_CHINESE.search(text, i, i + SEGMENT_CHARS)) for i in range(0, len(text), SEGMENT_CHARS)]
    return flags.count(wanted) / len(flags)
