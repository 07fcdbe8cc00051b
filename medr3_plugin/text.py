"""Words of a text in the form in which they are compared.

A word's key is the same for every spelling that names the same thing: width, case, accents, invisible
characters, British spelling, plural, possessive, the notation of numbers, units and Greek letters do not
matter. Whatever does matter is kept: every word, their order, numbers, and every sign that is not mere
punctuation (`<5` and `>5`, `Rh+` and `Rh-`, `1/10` and `1 in 10` differ).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from medr3_plugin.spelling import american


def listed(words: str) -> tuple[str, ...]:
    """The words of a blank-separated list: long word lists read better that way."""
    return tuple(words.split())


_GREEK_NAMES = listed(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau "
    "upsilon phi chi psi omega"
)
GREEK = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK_NAMES, strict=True))
_ROMAN_NUMERALS = listed("i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx")
_NUMBERS = listed("zero one two three four five six seven eight nine ten eleven twelve")
_ORDINALS = listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
# plurals (and words that only look like one) that the rules below would get wrong
_IRREGULAR = dict(
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
        "measles:measles lens:lens"
    )
)
# words with one spelling as a key, and the two keys of an ordinal ("1st")
_KEYS: dict[str, tuple[str, ...]] = {
    **{numeral: (str(value),) for value, numeral in enumerate(_ROMAN_NUMERALS, start=1)},
    **{word: (str(value),) for value, word in enumerate(_NUMBERS)},
    **{
        word: (str(value), {1: "st", 2: "nd", 3: "rd"}.get(value, "th"))
        for value, word in enumerate(_ORDINALS, start=1)
    },
}
_UNITS = dict(
    pair.split(":")
    for pair in listed(
        "microgram:ug mcg:ug milligram:mg gram:g kilogram:kg milliliter:ml liter:l hour:h hr:h hrs:h "
        "minute:min mins:min percent:%"
    )
)
_PLURAL_ENDINGS = (("oses", "osis"), ("yses", "ysis"), ("itides", "itis"), ("omata", "oma"))
# rarer words than `spelling` lists; also applied to words that are not British, which does no harm in a key
_BRITISH = (
    (re.compile("(?<=.{2})our$"), "or"),
    (re.compile("(?<=.{2})([tb])re$"), r"\1er"),
    (re.compile("(?<=.{3})([iy])s(?=(?:e|ed|er|ing|ation)$)"), r"\1z"),
)
_MAYBE_BRITISH = re.compile("our$|[tb]re$|[iy]s(?:e|ed|er|ing|ation)$")
# beside these words X is a chromosome, not the number ten
_CHROMOSOMAL = frozenset(listed("chromosome trisomy monosomy fragile linked ray inactivation"))

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_HAS_CJK = re.compile(f"[{_CJK}]")
_EXPONENT = re.compile("(?<=[0-9])([⁺⁻]?[⁰¹²³⁴-⁹]+)")
_ACCENT = re.compile("[\u0300-\u0334\u0339-\u036f]")  # not the strokes that deny a sign or a letter
_POSSESSIVE = re.compile(r"(?<=\w)['’‘ʼ`´]s\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LATIN = re.compile(r"\b(i\.e|e\.g|vs|cf)\.(?= )", re.IGNORECASE)  # no ends of sentences
_RANGE = re.compile(r"(?<=\d)(?: to |~|至|到)(?=\d)")
_REWRITTEN = re.compile(r"['’‘ʼ`´]s|\d,\d|[efgs]\. | to |[~至到]", re.IGNORECASE)
_DECIMAL_DOT = re.compile(r"(?<=\d)·(?=\d)")
_MICRO = re.compile(r"μ(?=(?:g|l|m|mol)\b)")
_ROMAN_AND_LETTER = re.compile(r"(i{1,3}|iv|vi{0,3}|ix)([a-h])")
_CODE_LETTERS = 6  # an upper-case word of at most that many letters is a code: its S is no plural
# "a stroke" and "A stroke", but neither "A. fumigatus" nor "A Ceftriaxone"
_ARTICLE = re.compile(r"^\s*(?:an?|An|A(?=\s+[a-z]))\s+(?=\w)")
# words of their own that, written together with the next one, would deny it
_NO_PREFIXES = frozenset(listed("a an in"))
_WITH_IN = frozenset(listed("patient dwelling growing grown born bred"))  # else "in-situ" is "in situ"
# two Latin words; the endings keep English phrases out
_SPECIES = re.compile(r"([A-Z])[a-z]{3,}[aeimsx] ([a-z]{3,}(?:a|ae|ans|e|ens|i|is|os|um|us|or|ix|ax))")

_TOKEN = re.compile(
    rf"""(?P<number>\d+(?:\.\d+)?|(?<![\w.)\]])\.\d+)
    |(?P<word>[^\W\d_{_CJK}]+|[{_CJK}])
    |(?P<stop>\n|[.!](?=\s|$|[{_CJK}])|[;。])
    |(?P<minus>(?<![\w.)])[-−](?=\d)|(?<=[\w+])[-−](?=$|[\s,;.)\]])|(?<=\()[-−](?=\)))
    |(?P<dash>(?<=\w)[-−–—‐](?=\w))
    |(?P<sign>(?<=\d):(?=\d)|[^\s\w.!,:()\[\]{{}}"'’‘“”′″`*_\#$\-−–—‐·•、【】「」《》®\\])
    |(?P<mark>\S)""",
    re.VERBOSE,
)

_CACHED_CHARS = 256  # gold names and options are short and come back for every sample of a group

TokenKind = Literal["word", "sign", "stop", "mark", "dash"]


class Token(NamedTuple):
    """A piece of a text.

    Attributes:
        raw: as it is written, after NFKC.
        keys: comparison keys of a word or sign, one or two; none of anything else.
        kind: `word` (a number, a word, one Chinese character), `sign` (a symbol that carries meaning), `stop` (the
            end of a sentence or line), `dash` (a hyphen inside a word), `mark` (any other punctuation).
    """

    raw: str
    keys: tuple[str, ...]
    kind: TokenKind


def plain(text: str) -> str:
    """NFKC text without invisible format characters, Chinese simplified; lines kept, blanks squeezed, ends stripped.

    >>> plain("ｆｕｌｌ\u200b  width, 10⁵ 選項")
    'full width, 10^5 选项'
    """
    if not text.isascii():
        text = simplified(unicodedata.normalize("NFKC", _EXPONENT.sub(r"^\1", text)))
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def has_cjk(text: str) -> bool:
    """Whether `text` holds Chinese, Japanese or Korean characters."""
    return _HAS_CJK.search(text) is not None


def simplified(text: str) -> str:
    """`text` with simplified characters for the traditional ones, one for one, so that places in it stay.

    >>> simplified("維生素 C 缺乏")
    '维生素 C 缺乏'
    """
    return text if text.isascii() or not has_cjk(text) else text.translate(_simplified())


@cache
def _simplified() -> dict[int, str]:
    import opencc

    characters = [
        chr(code) for first, last in ((0x3400, 0x4DC0), (0x4E00, 0xA000)) for code in range(first, last)
    ]
    converted = opencc.OpenCC("t2s").convert("\n".join(characters)).split("\n")
    table = {ord(old): new for old, new in zip(characters, converted, strict=True) if old != new}
    return {**table, ord("著"): "着"}


def scan(text: str) -> list[Token]:
    """The tokens of `text`, in order and in linear time.

    >>> [token.raw for token in scan("HBsAg-, 5 mg/dl.") if token.keys]
    ['HBsAg', '-', '5', 'mg', '/', 'dl']
    """
    text = plain(text).replace("&", " and ").replace(">=", "≥").replace("<=", "≤")
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFD", text)))
        text = _DECIMAL_DOT.sub(".", _MICRO.sub("u", text))
        for letter in {char.lower() for char in text} & GREEK.keys():
            text = re.sub(letter, GREEK[letter], text, flags=re.IGNORECASE)
    # one search for what is rare costs less than four
    if _REWRITTEN.search(text):
        text = _RANGE.sub("-", _LATIN.sub(r"\1", _THOUSANDS.sub("", _POSSESSIVE.sub("", text))))
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        raw, group = match[0], match.lastgroup
        if group in ("number", "word"):
            tokens.append(Token(raw, _keys(raw), "word"))
        elif group == "minus":
            tokens.append(Token(raw, ("¬",), "sign"))
        elif group == "sign":
            tokens.append(Token(raw, (raw,), "sign"))
        else:
            tokens.append(Token(raw, (), group))  # type: ignore[arg-type]  # one of the remaining kinds
    return [_chromosome(tokens, i) if token.raw in ("x", "X") else token for i, token in enumerate(tokens)]


def _chromosome(tokens: list[Token], i: int) -> Token:
    near = [token.raw.casefold() for token in tokens[max(i - 2, 0) : i + 3]]
    return Token(tokens[i].raw, ("x",), "word") if not _CHROMOSOMAL.isdisjoint(near) else tokens[i]


@lru_cache(maxsize=65536)
def _keys(raw: str) -> tuple[str, ...]:
    word = raw.casefold()
    if word in _KEYS:
        return _KEYS[word]
    word = f"0{word}" if word[0] == "." else word
    if word[0].isdigit():
        return (word.rstrip("0").rstrip(".") if "." in word else word.lstrip("0") or "0",)
    if match := _ROMAN_AND_LETTER.fullmatch(word):  # "type IIa" is "type 2A"
        return (*_KEYS[match[1]], match[2])
    if not (raw.isupper() and len(raw) <= _CODE_LETTERS):
        word = _singular(word)
    word = american(word)
    if _MAYBE_BRITISH.search(word):
        for british, replacement in _BRITISH:
            word = british.sub(replacement, word)
    return (_UNITS.get(word, word),)


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
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


def word_keys(word: str) -> Sequence[str]:
    """As `tokens`, of one word without blanks and signs."""
    simple = word.isascii() and (word.isalpha() or word.replace(".", "", 1).isdigit())
    return _keys(word) if simple else tokens(word)


def tokens(text: str) -> list[str]:
    """The keys of `text`, in order.

    >>> tokens("Ehlers–Danlos syndromes, type II")
    ['ehler', 'danlo', 'syndrome', 'type', '2']
    """
    return [key for token in scan(text) for key in token.keys]


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


def _fold(text: str) -> str:
    words = tokens(_ARTICLE.sub("", text, count=1))
    return " ".join([word for word in words if word != "the"] or words)


_fold_cached = lru_cache(maxsize=32768)(_fold)


def bare_words(text: str) -> str:
    """Letters and digits alone, in words: case, accents and every sign aside. Coarser than `fold` and of any language.

    >>> bare_words("Sjögren's (primary)")
    'sjogren s primary'
    """
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return " ".join(re.sub(r"[^\w]+|_", " ", bare.casefold()).split())


class Line(NamedTuple):
    """Tokens written together, so that "PD-L1", "PD L1" and "PDL1" are one name.

    Numbers stay apart, and so does a single letter from what stands before or behind it with a mark between ("B. d" is
    not "bd", nor is "2. B" "2b"). So do "a", "an" and "in" from the word behind them: "a typical" is not "atypical",
    nor "in direct" "indirect" (but "a-typical" and "in-patient" are one word).

    Attributes:
        text: the keys of the tokens, joined.
        starts: for each token, where it begins in `text`.
        ends: where a token ends in `text` -> the index of the next token.
    """

    text: str
    starts: list[int]
    ends: dict[int, int]


def _is_letter(token: Token) -> bool:
    return len(token.raw) == 1 and token.raw.isalpha() and not has_cjk(token.raw)


def _is_no_prefix(word: Token, following: Token, *, hyphened: bool) -> bool:
    """Whether `word` is an article or a preposition and no part of the word behind it."""
    name = word.raw.casefold()
    compound = hyphened and (name != "in" or following.keys[0] in _WITH_IN)
    return name in _NO_PREFIXES and not compound


def write(tokens: Sequence[Token]) -> Line:
    """The line of `tokens`."""
    parts: list[str] = []
    starts: list[int] = []
    ends: dict[int, int] = {}
    length = 0
    before: Token | None = None  # the last token with a key
    for i, token in enumerate(tokens):
        for k, key in enumerate(token.keys):
            if k == 0 and before is not None:
                marked = tokens[i - 1].kind in ("mark", "stop")
                apart = _is_letter(before) and (_is_letter(token) or marked)
                apart = apart or (marked and _is_letter(token) and before.raw.isdigit())
                apart = apart or _is_no_prefix(before, token, hyphened=tokens[i - 1].kind == "dash")
                digits = before.keys[-1][-1].isdigit() and key[0].isdigit()
                parts.append("." if apart else " " if digits else "")
                length += len(parts[-1])
            if k == 0:
                starts.append(length)
            parts.append(key)
            length += len(key)
        if token.keys:
            ends[length] = i + 1
            before = token
        else:
            starts.append(length)
    return Line("".join(parts), starts, ends)


def without_the(tokens: Iterable[Token]) -> list[Token]:
    """The tokens but for the definite article; the word after a "The" takes over its capital."""
    kept: list[Token] = []
    article = ""
    for token in tokens:
        if token.raw.casefold() == "the":
            article = token.raw
            continue
        kept.append(token._replace(raw=token.raw.capitalize()) if article.istitle() else token)
        article = ""
    return kept


@lru_cache(maxsize=32768)
def name_key(name: str) -> str:
    """Key of a name in a `Line`: its words and signs in order, articles aside.

    >>> name_key("The PD-L1 status") == name_key("PDL1 Status"), name_key("HBsAg-") == name_key("HBsAg+")
    (True, False)
    """
    return write(without_the(scan(_ARTICLE.sub("", name, count=1)))).text


def abbreviated(name: str) -> str:
    """A species with its genus cut to one letter; empty for anything else.

    >>> abbreviated("Streptococcus pneumoniae"), abbreviated("Down syndrome")
    ('S. pneumoniae', '')
    """
    species = _SPECIES.fullmatch(name)
    return f"{species[1]}. {species[2]}" if species else ""
