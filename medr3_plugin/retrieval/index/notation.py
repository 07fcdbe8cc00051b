"""What is written with digits and signs: words in several forms, and notations that are no words.

Words: with a digit, a dose, a change of an amino acid, a Roman numeral. Notations: 0.9 %, 10^6, t(8;14), Ca2+, A&E.
"""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

ROMAN = {
    numeral: str(number)
    for number, numeral in enumerate("i ii iii iv v vi vii viii ix x xi xii xiii".split(), 1)
}

# words with a digit that are written apart, too: CYP3A4, COVID19, IL17A, ex19del; SGLT2i; 500mg
_FUSED = re.compile(r"([a-z]{2,})(\d{2,}[a-z]?|\d[a-z]\d{0,2})(?:(?<=\d)([a-z]{3,}))?")
_INHIBITOR = re.compile(r"([a-z]{2,}\d{1,2})i")
_DOSE = re.compile(r"(\d+)(mg|mcg|ug|ng|kg|g|ml|dl|iu|mmol|mm|cm|kda|gy|h|min)")
_AMINO_ACIDS = dict(
    pair.split(":")
    for pair in (
        "ala:a arg:r asn:n asp:d cys:c gln:q glu:e gly:g his:h ile:i leu:l lys:k met:m phe:f pro:p ser:s thr:t trp:w "
        "tyr:y val:v ter:x del:del".split()
    )
)
_CHANGE = re.compile(rf"p?({'|'.join(_AMINO_ACIDS)})(\d+)({'|'.join(_AMINO_ACIDS)})")
OTHER_NOTATION = {  # stage IIIB; TNFa, TGFb1, NFkB
    **{
        f"{numeral}{letter}": (f"{ROMAN[numeral]}{letter}",)
        for numeral, letter in itertools.product("ii iii iv vi vii viii ix".split(), "abc")
        if numeral + letter != "via"
    },
    **{
        f"{name}{latin}{number}": (name, f"{greek}{number}")
        for name, (latin, greek), number in itertools.product(
            "tnf ifn tgf ppar il1 hif1 nf".split(),
            (("a", "alpha"), ("b", "beta"), ("g", "gamma"), ("kb", "kappab")),
            ("", *"1234"),
        )
    },
}


def parts(word: str) -> tuple[str, ...]:
    """What else a word with a digit is: its parts where they are also written apart, another notation of the same."""
    if whole := _CHANGE.fullmatch(word):
        return (_AMINO_ACIDS[whole[1]] + whole[2] + _AMINO_ACIDS[whole[3]],)
    if whole := _INHIBITOR.fullmatch(word):
        return whole[1], "inhibitor"
    if whole := _DOSE.fullmatch(word):
        return tuple(part for part in whole.groups() if len(part) > 1)
    if whole := _FUSED.fullmatch(word):
        # a bare number says too little by itself (0.001 on PubMedQA)
        return tuple(part for part in whole.groups() if part and not part.isdecimal())
    return OTHER_NOTATION.get(word, ())


def _number(found: re.Match[str], characters: str = "0123456789") -> str:
    """The number before a sign; empty where there is none, or where it ends a word or a longer number."""
    before = found.string[max(0, found.start() - 12) : found.start()].rstrip(" per")
    rest = before.rstrip(characters)
    return "" if rest[-1:] in _WITHIN else before[len(rest) :]


def _figure(found: re.Match[str]) -> str:
    """0.90 is 0.9, 5 per cent is 5%; of a percentage with a point the number is enough."""
    number = _number(found)
    return number and (f"{number}.{found[1]}" if found[0][0] == "." else f"{number}%")


def _pair(found: re.Match[str]) -> str:
    """Gleason 3+4, a ratio of 1:2, a murmur of 2/6; numbers of two digits are words."""
    number = _number(found)
    return f"{number}{found[0]}" if len(number) == 1 or (number and len(found[1]) == 1) else ""


def _locants(found: re.Match[str]) -> str:
    """1,25- and 2,3- of a compound, and 45,X."""
    numbers = _number(found, "0123456789,")
    return f"{numbers},{found[1]}" if numbers and all(len(n) < 3 for n in numbers.split(",")) else ""


def _rearranged(found: re.Match[str]) -> str:
    """t(8;14), del(5q)."""
    name = found.string[max(0, found.start() - 4) : found.start()]
    name = name[len(name.rstrip("abcdefghijklmnopqrstuvwxyz")) :]
    return f"{name}{found[1].replace(',', ';').replace(' ', '')}" if name in _REARRANGEMENTS else ""


def _ion(found: re.Match[str]) -> str:
    """Ca2+, Ca++ and Ca+2."""
    charge = found[2] or found[3] or str(len(found[4]))
    return f"{found[1]}{charge.strip('1')}+"


def _numbered(found: re.Match[str]) -> str:
    """Factor VIII and the seventh nerve in Chinese, whatever the numeral."""
    return found[1] + (ROMAN.get(found[2]) or _CHINESE.get(found[2]) or found[2])


_WITHIN = frozenset("0123456789abcdefghijklmnopqrstuvwyz./,")
_REARRANGEMENTS = frozenset("t del inv i dup add ins der idic r".split())
_CHINESE = {
    numeral: str(n) for n, numeral in enumerate("一 二 三 四 五 六 七 八 九 十 十一 十二 十三".split(), 1)
}
_ORDINAL = "(十[一二三]?|[一二三四五六七八九]|[ivx]+|[0-9]{1,2})"
_HYDROXYL = r"([0-9][0-9])(?:-?(?:alpha|beta))?[ -]?"  # 25(OH)D, 17-OH; with one digit it says little
# what a text must hold before a pattern is tried, the pattern, the form of what it finds; a pattern that begins with a
# sign is found ten times as quickly as one that begins with a number
_NOTATIONS: tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (".", re.compile(r"\.(?<=[0-9]\.)([0-9]*[1-9])0*(?!\.?[0-9])"), _figure),
    ("%", re.compile("%"), _figure),
    ("cent", re.compile(r"cent(?<=per.cent|.percent)\b"), _figure),
    (",", re.compile(r",(?<=[0-9],)([0-9]{1,2}(?=-?[^\W\d_]|-?\()|x\b)"), _locants),
    ("10", re.compile(r"10(?:\^\(?|\()\+?(-?[0-9]{1,2})(?![0-9])"), r"10^\1"),
    *((sign, re.compile(rf"[{sign}](?<=[0-9].)([0-9][0-9]?)(?![0-9/])"), _pair) for sign in "+:/"),
    ("(a)", re.compile(r"(?:lp|lipoprotein) ?\(a\)"), "lp(a)"),
    ("(", re.compile(r"\(([0-9xy][0-9xypq;,. ]*)\)"), _rearranged),
    ("q-", re.compile(r"([0-9][0-9]?q)-(?![a-z0-9])"), r"del\1"),
    ("+", re.compile(r"(?<![a-z0-9])(na|k|h|ca|mg|fe|cu|zn|li|mn|nh4)\^?(?:([1-4])\+|\+([1-4])|(\++))(?![0-9])"), _ion),
    ("+", re.compile(r"\+(?<![\w)]\+)([0-9]{1,2})\b"), r"+\1"),
    ("&", re.compile(r"(?<![a-z0-9])([a-z]) ?& ?([a-z])(?![a-z0-9])"), r"\1&\2"),
    ("oh", re.compile(_HYDROXYL + r"\(?oh(?![a-ce-z])"), r"\1oh"),
    ("hydroxy", re.compile(_HYDROXYL + "hydroxy(?!l|st)"), r"\1oh"),
    ("羟", re.compile(_HYDROXYL + "羟"), r"\1oh"),
    ("因子", re.compile("(因子)" + _ORDINAL), _numbered),
    ("第", re.compile("(第)" + _ORDINAL), _numbered),
)  # fmt: skip


def notations(text: str) -> list[str]:
    """The notations in a folded text in lower case, each in one form; a number inside a word or a number is none.

    They begin with a sign that no word has, for they are terms beside the words and count towards no document's length:
    an abstract with figures must not rank lower for them.
    """
    found = []
    for trigger, pattern, form in _NOTATIONS:
        if trigger not in text:
            continue
        for match in pattern.finditer(text):
            start = match.start()
            if not (text[start].isdecimal() and text[start - 1 : start] in _WITHIN):
                written = match.expand(form) if isinstance(form, str) else form(match)
                found += [f"={written}"] * bool(written)
    return found
