"""The one analyser of BM25: text of a document or a query to terms, the same for both.

* Unicode forms, accents, case and Greek letters are folded: full-width letters, ligatures and subscripts become
  plain ones, Sjögren is sjogren, TNFα is tnf alpha.
* A word of two or more characters is its English stem, in American spelling too (`spelling`); Cyrillic, Greek,
  Arabic and Devanagari words are stemmed by Snowball's Russian, Greek, Arabic and Hindi.
* **A single letter or digit means nothing alone and much beside its word**, so it is joined with the word before it
  (hepatitis C: `hepatc`, type 1: `type1`, COVID-19: `covid19`) and often with the word after it (B cells: `bcell`,
  5-HT: `5ht`, H. pylori: `hpylori`). IL-6, IL 6 and IL6 thereby share a term. After type, grade and their like a Roman
  numeral is a number (type II: `type2`). "a" is an article except after words such as vitamin, after a hyphen, as a
  capital, or at the end of a phrase. (As terms of their own, single digits cost 0.03 nDCG@10 on lists of findings;
  docs/benchmarks/retrieval.md.)
* What is written as one word or as two is both: pre-eclampsia is also `preeclampsia`, COVID19 also `covid`,
  CYP3A4 also `3a4`, 500mg also `500` and `mg`, PD-L1 also `pdl1`. Numerals, alleles and changes of amino acids have one
  form, too (MPS II: `mps2`, stage IIIB: `3b`, HLA-B*57:01: `b5701`, p.Val600Glu: `v600e`), and so have plurals
  (metastases: `metastasi`) and drugs of two names (`spelling`).
* A code with a point is a term (E11.9, 22q11.2: `q11.2`), and so are the abbreviations that are stop words but for
  their capitals (NO, AS, IT, IF). (All numbers with a point make abstracts with figures long: 0.004 on PubMedQA.)
* Scripts written without spaces, and Korean, are cut into pairs of characters, Chinese into single ones too;
  traditional Chinese is folded into simplified. A Latin letter or number joins the character beside it
  (维生素C: `素c`, 2型: `2型`).
* Notations that are no words (0.9 %, 10^6, t(8;14), Ca2+, A&E, 1,25-; `notation`) are terms, too, and so is the single
  letter of another script with its word (гепатит С: `=гепатc`). They do not make a document longer.

`VERSION` goes into the manifest of an index. Each version has the terms of the one before (but for a few of version 2,
such as those of ß for a beta) and more, so an older index is searched as well as before, but for the number of a dose
such as 2.5mg, which is a notation; one of another version is refused. Version 4 adds notations, so queries without any
rank the documents of version 3.
"""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import threading
from collections.abc import Iterable

from medr3_plugin.retrieval.index.folding import GRAM_RUN, fold
from medr3_plugin.retrieval.index.notation import OTHER_NOTATION, ROMAN, notations, parts
from medr3_plugin.retrieval.index.spelling import singular, spellings

VERSION = 4
"""Raise it with every change of what text gives which terms."""
READABLE = (2, 3, 4)
"""Versions whose indexes are searched."""

STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they "
    "this to was will with".split()
)
"""Lucene's English stop words: no terms."""

_NEVER_JOINED = STOP_WORDS | frozenset(
    "what which who whom whose how why when where do does did can could should would may might must has have had "
    "he she we you his her its our your from than also am been were about after before between during over under "
    "versus vs per only both each all any one two three".split()
)
_BEFORE_A = frozenset(
    "vitamin vitamins hepatitis influenza flu group groups type types class grade category factor protein lipid "
    "coenzyme toxin enterotoxin exotoxin botulinum haemophilia hemophilia apolipoprotein immunoglobulin amyloid "
    "cyclosporin cyclosporine ciclosporin coxsackie coxsackievirus enterovirus rotavirus concanavalin galactosidase "
    "sulfatase arylsulfatase monoamine oxidase mao hla haemoglobin hemoglobin kinase calcineurin lamin annexin cyclin "
    "stanford pugh blood streptococcus streptococci streptococcal strep subtype variant serogroup ring trisomy "
    "neuraminidase spectrin cathepsin filamin receptor receptors gaba nucleoprotein chromogranin mucopolysaccharidosis "
    "endothelin".split()
)
_CONJUNCTIONS = frozenset({"and", "or"})
_CAPITALS = ("NO", "AS", "IT", "IS", "IF", "AT", "AN")  # nitric oxide, aortic stenosis, intrathecal, ...
_PREFIXES = frozenset(
    "anti non pre post co re sub semi micro macro multi inter intra extra infra hyper hypo peri para auto immuno "
    "cardio cerebro neuro gastro broncho hepato thrombo mono poly pseudo endo nf".split()
)
"""Beginnings that are written with a hyphen, with a space, or as one word with what follows."""
_NUMBERED = frozenset(
    "type types subtype grade grades stage stages class classes phase phases factor factors group groups category "
    "degree level levels".split()
)
_FACTORS = frozenset({"factor", "factors"})
_NUMBERS = frozenset([*ROMAN, "10", "11", "12", "13"])

_POINTED = re.compile(r"[a-z]\d{1,3}\.\d+")  # E11.9, 22q11.2
_CODE = re.compile(r"[a-z]\d{1,3}\Z")
_STAR = re.compile(r"([a-z]\w*)\*(\d{1,3})(?::(\d\d))?")  # HLA-B*57:01, CYP2C19*2

_MARKS = "\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0970-\u0dff"  # of scripts whose words \w would cut at vowels

_WORDS = "".join(c if c.isalnum() or c == "_" else " " for c in map(chr, range(128)))
"""Lower-case ASCII with spaces between its words: translating and splitting is twice as quick as a pattern."""
_WORD_WITH_MARKS = re.compile(rf"[\w{_MARKS}]{{2,}}")
_BEFORE = re.compile(r"[^\W\d]\w+\Z")
_ENUMERATED = re.compile(r"([^\W\d]\w+)[ -][a-z0-9]{1,2}(?:, ?[a-z0-9]{1,2})*,?(?: and| or)?\Z")
_ENDS = frozenset(conjunction[-2:] for conjunction in _CONJUNCTIONS)
_SEPARATORS = frozenset(" -,")
_LONGEST_BEFORE = 40
_SPACE = "\t-\r\x1c- \x85\u2028\u2029"  # \s of folded text, likewise
# every pattern here starts with a set of characters that it is quickly tried at; what is too much, code leaves out
_SINGLE = re.compile(rf"[{_SPACE}\-(/\[\"][a-z\d][ivx\d]{{0,3}}\b")
_LEADING = re.compile(  # begins at some of these
    rf"[{_SPACE}\-(/\[\"](?:[b-hj-z](?:\. ?|[ -])|[ai]-|\d\d?-|\d (?=[a-z]{{2,3}}\b))[a-z0-9]\w*"
)
_LEADING_PARTS = re.compile(r"[\s\-(/\[\"](\w+)([ .-] ?)(\w+)")

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]")
_LATIN_BEFORE = re.compile(r"([a-z0-9]{1,4})[ -]?\Z")
_LATIN_AFTER = re.compile(r"[ -]?([a-z]|\d{1,3})(?![a-z0-9])")
_HAN_NUMERAL = re.compile("[一二三四五](?=[型期级度])")

# a letter behind a word in Cyrillic, Hebrew, Arabic or Devanagari; a small one within a text is a word of the language
_LETTER = re.compile(
    "([\u0400-\u06ff\u0900-\u0dff]{3,30})[ -]([A-ZА-Я\u05d0-\u05ea\u0621-\u064a\u0904-\u0939]|[a-zа-я]\\Z)"
    "(?![\\w\u0900-\u0dff])"
)
_LOOK_ALIKE = str.maketrans("авекмнорстхбд", "abekmhopctxbd")

_STEMMERS = (
    (re.compile("[\u0400-\u052f]"), "russian"),
    (re.compile("[\u0370-\u03ff]"), "greek"),
    (re.compile("[\u0600-\u06ff]"), "arabic"),
    (re.compile("[\u0900-\u097f]"), "hindi"),
)
_local = threading.local()


def analysed(text: str) -> tuple[list[str], list[str]]:
    """The surfaces of a text, in no particular order, and the terms that do not count as its words.

    A surface is given to `terms_of`; a builder remembers what it gave, for most occur again and again.
    """
    if text.isascii():
        return _surfaces(text), notations(text.lower())
    folded = fold(text)
    letters = [
        f"={_stem(fold(word))[:5]}{letter.lower().translate(_LOOK_ALIKE)}"
        for word, letter in _LETTER.findall(text)
    ]
    return _surfaces(folded), notations(folded.lower()) + letters


def _surfaces(capitals: str) -> list[str]:
    """The pieces of a folded text that may have terms: words, joins, pairs of characters."""
    lowered = capitals.lower()
    if lowered.isascii():
        found = lowered.translate(_WORDS).split()
    else:
        lowered, found = _script_pieces(lowered)
    found += _compounds(lowered, found) + _abbreviations(capitals)
    lowered = f" {lowered} "
    joined = []
    led = 0
    for match in _SINGLE.finditer(lowered):
        start, end = match.span()
        separator, single, after = lowered[start], lowered[start + 1 : end], lowered[end]
        if (
            after in " -."
            and (after == "-" or single != "a")
            and start >= led
            and (leading := _LEADING.match(lowered, start))
        ):
            found.append(leading.group())
            led = leading.end()
        # COVID-19, PD-L1
        if len(single) > 1 and single not in _NUMBERS and not (separator == "-" and single[1:].isdecimal()):
            continue
        if separator not in " -/" or not "0" <= single[0] <= "z":  # digits of other scripts
            continue
        if separator == "/" and (before := lowered[start - 2 : start]).isalpha() and before not in _ENDS:
            continue  # mg/l
        word = lowered[lowered.rfind(" ", 0, start) + 1 : start]
        if (
            single == "a"
            and separator == " "
            and word not in _BEFORE_A
            and not _names(capitals, lowered, start)
        ):
            continue
        if not word.isalpha() or len(word) == 1 or word in _CONJUNCTIONS or separator == "/":
            word = _word_before(lowered, start)
        if word:
            joined += _joins(
                word, single, separator == "-", word in _NEVER_JOINED and _is_upper(capitals, word, start)
            )
    return found + joined


def _compounds(lowered: str, words: list[str]) -> list[str]:
    """Prefixes with the words behind them, codes with a point, alleles."""
    found = []
    for prefix in _PREFIXES.intersection(words):
        place = -1
        with contextlib.suppress(ValueError, IndexError):  # no more of them, or at the end
            while True:
                place = words.index(prefix, place + 1)
                word = words[place + 1]
                if len(word) > 1 and word[0].isalpha():
                    found.append(prefix + word)
    point = lowered.find(".")
    while point >= 0:
        if lowered[point + 1 : point + 2].isdigit() and lowered[point - 1 : point].isdigit():
            code = _CODE.search(lowered, max(0, point - 4), point)
            if code and (whole := _POINTED.match(lowered, code.start())):
                found.append(whole.group())
        point = lowered.find(".", point + 1)
    if "*" in lowered:
        for gene, first, second in _STAR.findall(lowered):
            found += [gene + first + second, *([gene + first] if second else ())]
    return found


def _joins(word: str, single: str, hyphen: bool, upper: bool) -> list[str]:
    """The pieces of a word and the letter or number behind it."""
    if word in _NEVER_JOINED:
        return [word + single] if (hyphen or upper) and single.isdecimal() else []  # HER-2, HER 2
    if word == "hep" and single.isalpha():
        word = "hepatitis"
    return [f"{word} {single}", f"{word} 1"] if hyphen and single == "i" else [f"{word} {single}"]  # HTLV-I


def _abbreviations(text: str) -> list[str]:
    """Stop words in capitals, in a text that is not all capitals."""
    found = []
    for word in _CAPITALS:
        start = text.find(word)
        while start >= 0:
            end = start + 2
            around = f"{text[start - 1 : start]}{text[end : end + 1]}"
            if not any(map(str.isalnum, around)) and not _shouted(text, start, end):
                found.append(word)
            start = text.find(word, end)
    return found if found and (not text.isupper() or text in _CAPITALS) else []


def _shouted(text: str, start: int, end: int) -> bool:
    """Whether the word between is one of several in capitals: THE ROLE OF NO IN ASTHMA."""
    return text[max(0, start - 3) : max(0, start - 1)].isupper() or text[end + 1 : end + 3].isupper()


def _is_upper(text: str, word: str, end: int) -> bool:
    """Whether the `word` before `end` (of the text in lower case, with a space before it) stands in capitals."""
    return text[end - 1 - len(word) : end - 1] == word.upper()


def _names(capitals: str, lowered: str, start: int) -> bool:
    """Whether the "a" after `start` is no article: a capital, or the end of a phrase."""
    if lowered[start + 2 : start + 4].lstrip()[:1].isalnum():
        return len(lowered) == len(capitals) + 2 and capitals[start] == "A"
    return True


def _word_before(text: str, end: int) -> str:
    """The word that a single letter or number after `end` belongs to; empty if there is none."""
    first = max(0, end - _LONGEST_BEFORE)
    last = text[end - 1]
    word = None
    if last.isalnum() or last == "_":
        word = _BEFORE.search(text, max(first, text.rfind(" ", 0, end)), end)
    if word is None or word.group() in _CONJUNCTIONS:  # hepatitis B and C
        # the pattern is dear and seldom matches, so what must stand at its end is looked at first
        stop = end if word is None else word.start() - 1
        stop -= text[stop - 1 : stop] == ","
        one, two = text[max(0, stop - 2) : stop - 1], text[max(0, stop - 3) : max(0, stop - 2)]
        separated = one in _SEPARATORS or (two in _SEPARATORS and one.isalnum())
        if not (text[end - 2 : end] == "or" or (separated and text[stop - 1 : stop].isalnum())):
            return ""
        enumerated = _ENUMERATED.search(text, first, end)
        return enumerated.group(1) if enumerated else ""
    return "" if text[end] == "/" else word.group()


@functools.lru_cache(maxsize=1 << 16)
def terms_of(surface: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The terms of a surface, none for a stop word: those of all its spellings, and those of this one alone."""
    if surface.isascii() and surface.replace("_", "x").isalnum():  # a plain word, as most are
        return ((), ()) if len(surface) == 1 or surface in STOP_WORDS else _word_terms(surface)
    if leading := _LEADING_PARTS.fullmatch(surface):
        single, between, word = leading.groups()
        return (single + _stem(word),) if _leads(single, between, word) else (), ()
    word, space, single = surface.rpartition(" ")
    if space:
        numeral = len(single) > 1 or word in _NUMBERED
        number = ROMAN.get(single, single) if numeral else single
        # an abbreviation is no word to be stemmed: MODY 3 is MODY3
        return _unique(_stem(word) + number, *([word + number] if len(word) < 6 else ())), ()
    return (surface if GRAM_RUN.search(surface) else _stem(surface),), ()


def numbering(surfaces: Iterable[str]) -> set[str]:
    """The Roman numerals among surfaces that stand behind type, grade and their like, joined with these as numbers.

    Factor VIII is a name: its documents seldom have an 8.
    """
    pairs = (surface.rpartition(" ") for surface in surfaces if " " in surface)
    return {single for word, _, single in pairs if word in _NUMBERED - _FACTORS and single in ROMAN}


def _unique(*terms: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(terms))


def _word_terms(word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    american, own = spellings(word)
    if not word.isalpha():
        return _unique(*map(stem, (american, own, *parts(word)))), ()
    one, other = singular(american), OTHER_NOTATION.get(word, ())
    if american == own == one and not other:
        return (stem(own),), ()
    shared = _unique(*map(stem, (one, *other)))
    return shared, tuple(term for term in _unique(stem(american), stem(own)) if term not in shared)


def _leads(single: str, between: str, word: str) -> bool:
    """Whether a letter or number belongs to the word after it."""
    if word in STOP_WORDS or between in {"- ", "  "} or not (single.isdecimal() or len(single) == 1):
        return False
    if between == "-":
        return True
    if single.isdecimal():  # 5 HT, 5 mg
        return between == " " and len(single) == 1 and len(word) in {2, 3} and word.isalpha()
    return single not in {"a", "i"}


def terms(text: str) -> list[str]:
    """The terms of a text, repeated as often as they occur, in no particular order."""
    surfaces, beside = analysed(text)
    return [term for surface in surfaces for part in terms_of(surface) for term in part] + beside


def _script_pieces(text: str) -> tuple[str, list[str]]:
    """The text without runs of scripts that are cut into characters, and the pieces so far."""
    if not GRAM_RUN.search(text):
        return text, _WORD_WITH_MARKS.findall(text)
    text = _HAN_NUMERAL.sub(lambda numeral: str("一二三四五".index(numeral.group()) + 1), text)
    pieces: list[str] = []
    for run in GRAM_RUN.finditer(text):
        characters = run.group()
        pieces += _HAN.findall(characters) if len(characters) > 1 else characters
        pieces += map("".join, itertools.pairwise(characters))
        if latin := _LATIN_BEFORE.search(text, max(0, run.start() - 6), run.start()):
            pieces.append(ROMAN.get(latin[1], latin[1]) + characters[0])
        if latin := _LATIN_AFTER.match(text, run.end()):
            pieces.append(characters[-1] + latin[1])
    text = GRAM_RUN.sub(" ", text)
    return text, pieces + _WORD_WITH_MARKS.findall(text)


def _stem(word: str) -> str:
    if word.isascii():
        return stem(spellings(word)[0])
    language = next((name for script, name in _STEMMERS if script.search(word)), "english")
    return stem(word, language)


def stem(word: str, language: str = "english") -> str:
    """Snowball's stem."""
    try:
        stemmed: str = getattr(_local, language)(word)
        return stemmed
    except AttributeError:  # the first of this thread, for a Stemmer is not safe to share between threads
        import Stemmer

        # its own cache costs three times what it saves
        setattr(_local, language, Stemmer.Stemmer(language, 0).stemWord)
        return stem(word, language)
