"""Normalisation of names and answers: two spellings of one name get one key.

`fold` is a many-to-one map used only to compare; its result is never shown. It removes what does not change
which thing a medical name names: width, case, accents, invisible characters, punctuation, British spelling,
plural, possessive, the notation of numbers, units and Greek letters. It keeps every word that does: negation,
qualifiers, the order of words.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def listed(words: str) -> tuple[str, ...]:
    """The words of a blank-separated list: long word lists read better that way."""
    return tuple(words.split())


_GREEK_LETTERS = "αβγδεζηθικλμνξοπρστυφχψω"
_GREEK_NAMES = listed(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
    "upsilon phi chi psi omega"
)
GREEK = dict(zip(_GREEK_LETTERS, _GREEK_NAMES, strict=True))
_ROMAN_NUMERALS = listed("i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx")
ROMAN = {numeral: str(value) for value, numeral in enumerate(_ROMAN_NUMERALS, start=1)}
_NUMBERS = listed("zero one two three four five six seven eight nine ten eleven twelve")
NUMBER_WORDS = {word: str(value) for value, word in enumerate(_NUMBERS)}
_ORDINALS = listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
ORDINALS = {
    word: (str(value), {1: "st", 2: "nd", 3: "rd"}.get(value, "th"))
    for value, word in enumerate(_ORDINALS, start=1)
}
UNITS = dict(
    pair.split(":")
    for pair in listed(
        "microgram:ug mcg:ug milligram:mg gram:g kilogram:kg milliliter:ml liter:l hour:h hr:h hrs:h "
        "minute:min mins:min percent:%"
    )
)

# plurals and British spellings (and words that only look like one) that the rules below would get wrong
IRREGULAR = dict(
    pair.split(":")
    for pair in listed(
        "metastases:metastasis diagnoses:diagnosis diastases:diastasis emphases:emphasis bases:basis "
        "crises:crisis testes:testis feet:foot teeth:tooth children:child women:woman men:man "
        "bacteria:bacterium criteria:criterion phenomena:phenomenon mitochondria:mitochondrion ova:ovum "
        "vertebrae:vertebra larvae:larva fungi:fungus nuclei:nucleus bronchi:bronchus thrombi:thrombus "
        "emboli:embolus calculi:calculus nevi:nevus naevi:nevus viruses:virus sinuses:sinus fetuses:fetus "
        "foetuses:fetus boluses:bolus gases:gas appendices:appendix cervices:cervix helices:helix "
        "matrices:matrix calices:calix species:species series:series diabetes:diabetes herpes:herpes "
        "rabies:rabies scabies:scabies caries:caries facies:facies ascites:ascites feces:feces faeces:feces "
        "measles:measles lens:lens grey:gray mould:mold aluminium:aluminum"
    )
)
_PLURAL_ENDINGS = (("oses", "osis"), ("yses", "ysis"), ("itides", "itis"), ("omata", "oma"))
# written apart, with a hyphen or together, these prefixes belong to the word after them
PREFIXES = frozenset(
    listed(
        "non post pre anti hyper hypo intra inter sub pseudo micro macro neo poly multi auto semi peri para "
        "extra supra trans"
    )
)

_ACCENT = re.compile("[\u0300-\u036f]")
_POSSESSIVE = re.compile(r"(?<=\w)['’‘ʼ`´]s\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# two Latin words; the endings keep English phrases out
_SPECIES = re.compile(r"([A-Z])[a-z]{3,}[aeimsx] ([a-z]{3,}(?:a|ae|ans|e|ens|i|is|os|um|us|or|ix|ax))")
_RANGE = re.compile(r"(?<=\d) to (?=\d)")
_MICRO = re.compile(r"μ(?=(?:g|l|m|mol)\b)")
_BRITISH = (
    (re.compile("ae|oe"), "e"),
    (re.compile("(?<=.{2})our$"), "or"),
    (re.compile("(?<=.{2})([tb])re$"), r"\1er"),
    (re.compile("(?<=.{3})([iy])s(?=(?:e|ed|er|ing|ation)$)"), r"\1z"),
    (re.compile("sulph"), "sulf"),
    (re.compile("^leuc"), "leuk"),
)
_MINUS = re.compile(r"(?<![\w.)])[-−](?=\d)")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+|[%<>≤≥=±+¬\u2190-\u21ff]")
_ROMAN_AND_LETTER = re.compile(r"(i{1,3}|iv|vi{0,3}|ix)([a-h])")
# "a stroke" and "A stroke", but neither "A. fumigatus" nor "A Ceftriaxone"
_ARTICLE = re.compile(r"^\s*(?:an?|An|A(?=\s+[a-z]))\s+(?=\w)")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")

_CACHED_CHARS = 256  # gold names and options are short and come back for every sample of a group


def plain(text: str) -> str:
    """NFKC text without invisible format characters; lines kept, blanks in a line squeezed, ends stripped."""
    text = unicodedata.normalize("NFKC", text)
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def has_cjk(text: str) -> bool:
    """Whether `text` holds Chinese, Japanese or Korean characters."""
    return _CJK.search(text) is not None


def _singular(word: str) -> str:
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) > 6:
        for ending, replacement in _PLURAL_ENDINGS:
            if word.endswith(ending):
                return word[: -len(ending)] + replacement
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")) and not word.endswith("aches"):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=65536)
def _canonical(word: str) -> tuple[str, ...]:
    """One or two key tokens for a case-folded word or number."""
    if word in ROMAN:
        return (ROMAN[word],)
    if word in NUMBER_WORDS:
        return (NUMBER_WORDS[word],)
    if word[0].isdigit():
        return (word.rstrip("0").rstrip(".") if "." in word else word.lstrip("0") or "0",)
    if match := _ROMAN_AND_LETTER.fullmatch(word):  # "type IIa" is "type 2A"
        return (ROMAN[match[1]], match[2])
    if word in ORDINALS:
        return ORDINALS[word]
    word = _singular(word)
    # also applied to words that are not British, which does no harm in a key
    for british, american in _BRITISH:
        word = british.sub(american, word)
    return (UNITS.get(word, word),)


def tokens(text: str) -> list[str]:
    """The comparable words of `text`, in order.

    >>> tokens("Ehlers–Danlos syndromes, type II")
    ['ehler', 'danlo', 'syndrome', 'type', '2']
    >>> tokens("non-Hodgkin lymphoma, 1,000.50 mg/dl")
    ['nonhodgkin', 'lymphoma', '1000.5', 'mg', 'dl']
    """
    text = plain(text).casefold().replace("&", " and ")
    if not text.isascii():
        text = _ACCENT.sub("", unicodedata.normalize("NFD", text))
        text = unicodedata.normalize("NFC", text)
        text = _MICRO.sub("u", text)
        for letter in set(text) & GREEK.keys():
            text = text.replace(letter, f" {GREEK[letter]} ")
    text = _MINUS.sub(" ¬ ", _RANGE.sub(" ", _THOUSANDS.sub("", _POSSESSIVE.sub("", text))))
    words: list[str] = []
    for raw in _TOKEN.findall(text):
        for word in _canonical(raw):
            if words and words[-1] in PREFIXES and word.isalpha():
                words[-1] += word
            else:
                words.append(word)
    return words


def _fold(text: str) -> str:
    words = tokens(_ARTICLE.sub("", text, count=1))
    return " ".join([word for word in words if word != "the"] or words)


_fold_cached = lru_cache(maxsize=32768)(_fold)


def fold(text: str) -> str:
    """Comparison key of a name: its `tokens` without articles, joined by blanks.

    >>> fold("The Down's Syndrome") == fold("down syndrome")
    True
    >>> fold("β-thalassaemias") == fold("Beta thalassemia")
    True
    >>> fold("Hepatitis A") == fold("hepatitis")
    False
    """
    return _fold_cached(text) if len(text) <= _CACHED_CHARS else _fold(text)


def abbreviated(name: str) -> str:
    """A species with its genus cut to one letter; empty for anything else.

    >>> abbreviated("Streptococcus pneumoniae"), abbreviated("Down syndrome")
    ('S. pneumoniae', '')
    """
    species = _SPECIES.fullmatch(name)
    return f"{species[1]}. {species[2]}" if species else ""


@lru_cache(maxsize=32768)
def compact(key: str) -> str:
    """A `fold` key without blanks, except between numbers: "PDL 1" is "PD L1", but "1 2" is not "12".

    >>> compact("pd l 1"), compact("type 1 2")
    ('pdl1', 'type1 2')
    """
    return re.sub(r"(?<!\d) | (?!\d)", "", key)
