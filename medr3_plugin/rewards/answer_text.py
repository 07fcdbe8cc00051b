"""Normalisation of names and answers: two spellings of one name get one key.

`fold` is a many-to-one map used only to compare; it is never shown. It removes what does not change which
thing a medical name names: width, case, accents, punctuation, British spelling, plural, possessive, the
notation of numbers and Greek letters. It keeps every word that does: negation, qualifiers, word order.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        (
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma "
            "tau upsilon phi chi psi omega"
        ).split(),
        strict=True,
    )
)
ROMAN = {
    numeral: str(value)
    for value, numeral in enumerate(
        "i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx".split(), start=1
    )
}
NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}
# plurals that the suffix rules below would get wrong
IRREGULAR = {
    "metastases": "metastasis",
    "diagnoses": "diagnosis",
    "diastases": "diastasis",
    "emphases": "emphasis",
    "bases": "basis",
    "crises": "crisis",
    "testes": "testis",
    "pubes": "pubis",
    "feet": "foot",
    "teeth": "tooth",
    "children": "child",
    "women": "woman",
    "men": "man",
    "bacteria": "bacterium",
    "criteria": "criterion",
    "phenomena": "phenomenon",
    "mitochondria": "mitochondrion",
    "ova": "ovum",
    "vertebrae": "vertebra",
    "larvae": "larva",
    "fungi": "fungus",
    "nuclei": "nucleus",
    "bronchi": "bronchus",
    "thrombi": "thrombus",
    "emboli": "embolus",
    "calculi": "calculus",
    "nevi": "nevus",
    "species": "species",
    "series": "series",
    "diabetes": "diabetes",
    "herpes": "herpes",
    "rabies": "rabies",
    "scabies": "scabies",
    "caries": "caries",
    "ascites": "ascites",
    "feces": "feces",
    "measles": "measles",
    "lens": "lens",
}
IRREGULAR_ENDINGS = (("oses", "osis"), ("yses", "ysis"), ("itides", "itis"), ("omata", "oma"), ("ices", "ix"))
# hyphenated or not, these prefixes belong to the word after them
PREFIXES = frozenset(
    "non post pre anti hyper hypo intra inter sub pseudo micro macro neo poly multi auto semi peri para extra "
    "supra trans over under".split()
)

_FORMAT_OR_MARK = re.compile("[\u0300-\u036f]")
_POSSESSIVE = re.compile(r"(?<=\w)['’‘ʼ`´]s\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DECIMAL_ZEROS = re.compile(r"(\d+)\.0+(?!\d)|(\d+\.\d*?[1-9])0+(?!\d)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[%<>≤≥+=]")
_CJK = "\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af"
_HAS_CJK = re.compile(f"[{_CJK}]")


def plain(text: str) -> str:
    """NFKC, invisible format characters removed, white space runs as one blank, ends stripped."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return " ".join(text.split())


def _singular(word: str) -> str:
    if word in IRREGULAR:
        return IRREGULAR[word]
    for ending, replacement in IRREGULAR_ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word[: -len(ending)] + replacement
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _word(word: str) -> str:
    if word in GREEK:
        return GREEK[word]
    if word in ROMAN:
        return ROMAN[word]
    if word in NUMBER_WORDS:
        return NUMBER_WORDS[word]
    word = _singular(word)
    # British spelling; also applied to words that are not British, which does no harm in a key
    word = word.replace("ae", "e").replace("oe", "e")
    if len(word) > 4 and word.endswith("our"):
        word = word[:-3] + "or"
    return word


def tokens(text: str) -> list[str]:
    """The comparable words of `text`, in order.

    >>> tokens("Ehlers–Danlos syndromes, type II")
    ['ehler', 'danlo', 'syndrome', 'type', '2']
    """
    text = plain(text).casefold()
    text = _POSSESSIVE.sub("", text)
    text = _FORMAT_OR_MARK.sub("", unicodedata.normalize("NFD", text))
    text = unicodedata.normalize("NFC", text)
    text = _DECIMAL_ZEROS.sub(lambda match: match.group(1) or match.group(2), _THOUSANDS.sub("", text))
    words = [_word(word) for word in _TOKEN.findall(text)]
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in PREFIXES and word.isalpha():
            joined[-1] += word
        else:
            joined.append(word)
    return joined


@lru_cache(maxsize=16384)
def fold(text: str) -> str:
    """Comparison key of a name: its `tokens` without articles, joined by blanks.

    >>> fold("The Down's Syndrome") == fold("down syndrome")
    True
    >>> fold("β-thalassaemias") == fold("Beta thalassemia")
    True
    >>> fold("Hepatitis A") == fold("hepatitis")
    False
    """
    words = tokens(text)
    while words and words[0] in ("a", "an", "the") and len(words) > 1:
        words = words[1:]
    return " ".join(word for word in words if word != "the") or " ".join(words)


def has_cjk(text: str) -> bool:
    """Whether `text` holds Chinese, Japanese or Korean characters."""
    return _HAS_CJK.search(text) is not None
