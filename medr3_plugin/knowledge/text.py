"""Words with their places, and the normal form under which entities are compared.

The normal form of a word is that of `medr3_plugin.text`: NFKC, case, accents, plural, British spelling, Greek
letters and numerals folded. Here every word keeps its offsets, because extraction
looks at what stands between two entities, and every Chinese character is a word of its own, because Chinese
does not separate words.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from medr3_plugin.text import word_keys

_CJK = "\u3400-\u9fff\uf900-\ufaff"
# a Chinese character, a decimal number, or letters and digits together ("FBN1", "don't")
_LETTERS = rf"[^\W_{_CJK}]+"
_WORD = re.compile(rf"[{_CJK}]|\d+\.\d+|{_LETTERS}(?:['’]{_LETTERS})*")
_ASCII_WORD = re.compile(r"\d+\.\d+|[a-zA-Z0-9]+(?:'[a-zA-Z0-9]+)*")  # the same in a third less time
_SPLIT = re.compile(f"({_WORD.pattern})")
_ASCII_SPLIT = re.compile(f"({_ASCII_WORD.pattern})")
_BETWEEN_CJK = re.compile(f"(?<=[{_CJK}]) (?=[{_CJK}])")
# opened by a set of characters, as that is searched for several times as fast
_SENTENCE_END = re.compile(r"[\s;](?:(?<=[.!?]\s)\s*|(?<=[;\n])[;\n]*)")
_CHINESE_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|[；;\n]+")
_CHINESE_END = re.compile("[。！？；]")
# Emphasis and quotation marks around words (HLA-B*27 keeps its star), and references to documents. Linear in any text:
# a run of marks is tried at its start alone, and nothing that opens a bracket is read over.
_EMPHASIS = re.compile(r"""\*\*+|(?<!\w)[*_`"“”]+|(?<![*_`"“”])[*_`"“”]+(?!\w)""")
_REFERENCE = re.compile(
    r" ?\[\d+(?: ?[,–-] ?\d+)*\]"
    r"| ?[\[(（【](?:see )?(?:doc(?:ument)?|source|ref(?:erence)?|passage|文[献档])s?\.? ?#?\d+"
    r"[^\[\](（)）【】]{0,30}[\])）】]",
    re.IGNORECASE,
)
_DASH = re.compile(r"(?<=\w) *— *|(?<=\w) [–-] (?=[^\W\d])|(?<=[^\W\d]) [–-] (?=\d)")  # "5 - 10" is a range
# most texts have none of these, and are searched for single characters in a tenth of the time
_MARKS, _OPENING, _DASHES = re.compile('[*_`"“”]'), re.compile(r"[\[(（【]"), re.compile("[—–-]")
_ARTICLES = frozenset(("a", "an", "the"))


Word = tuple[str, int, int]
"""A word of a text: its normal form, start and end (`text[start:end]`). A plain tuple: millions are made."""


@lru_cache(maxsize=65536)
def word_form(word: str) -> str:
    """Normal form of one word; empty if nothing comparable is left.

    >>> word_form("Tumours"), word_form("β"), word_form("don't")
    ('tumor', 'beta', 'dont')
    """
    return "".join(word_keys(word))


def words(text: str) -> list[Word]:
    """The words of `text` in order, with offsets into it."""
    split = (_ASCII_SPLIT if text.isascii() else _SPLIT).split
    parts = split(text)  # between, word, between, word, ..., between: a match object per word costs more
    ends = list(itertools.accumulate(map(len, parts)))
    forms = list(map(word_form, parts[1::2]))
    found = list(zip(forms, ends[::2], ends[1::2], strict=False))
    return found if all(forms) else [word for word in found if word[0]]


def raw_words(text: str) -> list[str]:
    """The words of `text` as they are written, in order."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def word_forms(text: str) -> list[str]:
    """The normal forms of the words of `text`, in order."""
    return list(filter(None, map(word_form, raw_words(text))))


def sentences(text: str) -> Iterator[str]:
    """Sentences of English or Chinese text, stripped, empty ones left out."""
    end = _CHINESE_SENTENCE_END if _CHINESE_END.search(text) else _SENTENCE_END
    for piece in end.split(text):
        if stripped := piece.strip():
            yield stripped


def prose(text: str) -> str:
    """`text` without emphasis, quotation marks and references to documents; dashes between clauses become commas.

    So that the same words say the same, however they are dressed.

    >>> prose("Urate does **not** fall [1] - it *rises* (Doc 2).")
    'Urate does not fall, it rises.'
    """
    if _MARKS.search(text):
        text = _EMPHASIS.sub("", text)
    if _OPENING.search(text):
        text = _REFERENCE.sub("", text)
    return _DASH.sub(", ", text) if _DASHES.search(text) else text


def name_forms(name: str) -> list[str]:
    """Word forms of an entity's name, leading articles left out ("the heart", but "hepatitis A")."""
    forms = word_forms(name)
    first = next((i for i, form in enumerate(forms) if form not in _ARTICLES), 0)
    return forms[first:]


@lru_cache(maxsize=65536)
def normal_form(text: str) -> str:
    """Comparison key of an entity's name: its words' normal forms; empty if it holds no word.

    >>> normal_form("The Ventricular Septal Defects") == normal_form("ventricular septal defect")
    True
    >>> normal_form("高血压病")
    '高血压病'
    """
    return join(name_forms(text))


def join(forms: Iterable[str]) -> str:
    """Write word forms as one key: separated by blanks, except between Chinese characters."""
    return _BETWEEN_CJK.sub("", " ".join(forms))
