"""Text in one form: Unicode's variants, accents, Greek letters and their names, traditional and simplified Chinese."""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

import functools
import re
import unicodedata

from medr3_plugin.text import simplified

# letters, marks and digits of scripts that are cut into pairs of characters: CJK, Hangul, Thai, Lao, Tibetan,
# Myanmar, Khmer
_GRAMS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0f40-\u0fbc\u1000-\u1049\u1780-\u17d3\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007"
    "\u3041-\u309f\u30a1-\u30ff\u3105-\u312f\u3131-\u318e\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\U00020000-\U000323af"
)
GRAM_RUN = re.compile(f"[{_GRAMS}]+")
"""A run of such characters."""

_PLAIN = str.maketrans({
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff"),
    **dict.fromkeys("™®©℠", " "),
    **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
    **dict.fromkeys("‘’ʼ′`´", "'"),
})  # fmt: skip
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
# accents of Latin, Greek and Cyrillic letters (й is a letter of its own), points of Hebrew and Arabic
_ACCENTS = re.compile("(?<!и)[\u0300-\u036f]+|[\u0591-\u05c7\u064b-\u065f\u0670\u0640]+")
_GREEK = dict(zip(
    "αβγδεζηθικλμνξοπρστυφχψω",
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi "
    "psi omega".split(),
    strict=True,
))  # fmt: skip
_GREEK_SIGN = re.compile("(?<![α-ως])([α-ω]|[αγ][βδ])(?![α-ως])")
_SHARP_S = re.compile("(?<![a-z])ß(?![a-z])|ß(?=\\d)")  # for a beta: ß-blocker, TGF-ß1
_EXPONENT = re.compile("(?<=[0-9])([⁺⁻]?[⁰¹²³⁴-⁹]+)")
_MICRO = re.compile("(?<!\\w)μ(?=(?:g|l|m|s|mol|kat|u|v|w|a|gy|sv)\\b)")


def fold(text: str) -> str:
    """Text in one form: Unicode's variants, accents, Greek letters that stand for their names."""
    # word by word, for most words are plain and the others come again
    return " ".join([word if word.isascii() else _folded(word) for word in text.split(" ")])


@functools.lru_cache(maxsize=1 << 16)
def _folded(text: str) -> str:
    # half a surrogate pair cannot be encoded and would stop the stemmer
    text = text.translate(_PLAIN).encode("utf-8", "replace").decode()
    text = unicodedata.normalize("NFKC", _EXPONENT.sub(r"^\1", text))
    if text.isascii():
        return text
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text).lower())
    text = _SHARP_S.sub("β", unicodedata.normalize("NFC", text)).translate(_LETTERS)
    text = _GREEK_SIGN.sub(_greek_name, _MICRO.sub("u", text))
    return simplified(text)


def _greek_name(sign: re.Match[str]) -> str:
    names = "-".join(_GREEK[letter] for letter in sign.group())
    # TNFα is TNF-alpha, βhCG beta-hCG
    before, after = sign.string[: sign.start()][-1:], sign.string[sign.end() :][:1]
    return f"{'-' * before.isalnum()}{names}{'-' * after.isalpha()}"
