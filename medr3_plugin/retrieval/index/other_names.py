"""Other names of what a query asks for, searched for beside its own words.

The analyser gives one form to what is written in several ways, in documents and queries alike. What has different
words altogether (EKG and ECG, FVIII and factor VIII, I-131 and 131I, SSRIs and SSRI), and what is one word here and two
there (BI-RADS, breast feeding), is looked for here instead: only queries change, so no index is built anew.
"""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from medr3_plugin.retrieval.index.analyser import STOP_WORDS, stem, terms
from medr3_plugin.retrieval.index.folding import fold
from medr3_plugin.retrieval.index.notation import ROMAN

_SAME = tuple(
    tuple(line.split("|"))
    for line in """
ecg|ekg
levodopa|l-dopa
levothyroxine|l-thyroxine
mesalazine|mesalamine
ursodiol|ursodeoxycholic acid
nitroglycerin|nitroglycerine|glyceryl trinitrate
cotrimoxazole|co-trimoxazole|trimethoprim sulfamethoxazole|tmp-smx
co-amoxiclav|amoxicillin clavulanate
breastfeeding|breast feeding
healthcare|health care
metaanalysis|meta-analysis
strep|streptococcus
c diff|c. diff|c difficile
ciclosporine|cyclosporine
t1d|t1dm|type 1 diabetes
t2d|t2dm|type 2 diabetes
diarrhoeal|diarrheal|diarrhea
f508del|deltaf508|delta f508|phe508del
""".split("\n")
    if line
)
_SAME += tuple(
    (short, f"{short}s")
    for short in "ssri snri ppi uti sti tki ici mri bmi aki maoi acei nrti nnrti cni ssi tbi pci gpi rti lrti".split()
)
_OTHERS = {name: tuple(other for other in names if other != name) for names in _SAME for name in names}
"""A name of one word or two -> its other names."""
_FIRST_WORDS = frozenset(name.partition(" ")[0] for name in _OTHERS)

_ELEMENTS = {
    **dict(
        pair.split(":")
        for pair in "i:iodine tc:technetium lu:lutetium ga:gallium f:fluorine y:yttrium".split()
    ),
    **dict(
        pair.split(":")
        for pair in "sr:strontium ra:radium in:indium tl:thallium rb:rubidium c:carbon".split()
    ),
}
_SYMBOLS = {name: symbol for symbol, name in _ELEMENTS.items()}
_SYMBOL, _FACTOR = "|".join((*_ELEMENTS, *_SYMBOLS)), "xiii|xii|xi|x|ix|viii|vii|v|ii"
_SCALES = "nyha asa ecog gleason killip mallampati pugh apgar".split()
_SCALE = "|".join(_SCALES)
_DIGITS = frozenset("0123456789")


def _isotope(element: str, number: str) -> list[str]:
    symbol = _SYMBOLS.get(element.lower(), element.lower())
    return [f"{number}{symbol}", f"{symbol}{number}", f"{_ELEMENTS[symbol]}-{number}"]


_Others = Callable[[re.Match[str]], list[str]]
_ANY_CASE = re.IGNORECASE
# what a query must hold (in lower case) before a pattern is tried, the pattern, the other names of what it finds
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str], _Others], ...] = (
    (("*",), re.compile(r"\b([A-Z]\w*)\*(\d\d):?(\d\d)\b"),
     lambda found: [f"{found[1]}*{found[2]}:{found[3]}", f"{found[1]}*{found[2]}{found[3]}"]),
    (("inhibitor",), re.compile(r"\b([a-z\d/-]{3,}) inhibitors?\b", _ANY_CASE), lambda found: [f"{found[1]}i"]),
    (("factor",), re.compile(rf"\bfactor ({_FACTOR})(a?)\b", _ANY_CASE), lambda found: [f"f{found[1]}{found[2]}"]),
    (tuple(_SCALES), re.compile(rf"\b({_SCALE}) (?:class|score|grade|ps) ([ivx]{{1,3}}|\d|[a-c])\b", _ANY_CASE),
     lambda found: [f"{found[1]} {found[2]}"]),
    (tuple(_SCALES), re.compile(rf"\b({_SCALE}) ([ivx]{{1,3}}|\d|[a-c])\b", _ANY_CASE),
     lambda found: [f"{word}{ROMAN.get(found[2].lower(), found[2])}" for word in ("class", "score")]),
)  # fmt: skip
_WITH_DIGITS: tuple[tuple[re.Pattern[str], _Others], ...] = (
    (re.compile(r"\b([pc]?T\d[a-d]?) ?(N\d[a-c]?) ?(M\d)?\b"),
     lambda found: [joint.join(filter(None, found.groups())) for joint in ("", " ")]),
    (re.compile(rf"\b(\d{{2,3}}m?)({_SYMBOL})\b", _ANY_CASE), lambda found: _isotope(found[2], found[1])),
    (re.compile(rf"\b({_SYMBOL})-?(\d{{2,3}}m?)\b", _ANY_CASE), lambda found: _isotope(found[1], found[2])),
    (re.compile(r"\b(4[5-9])[, ]{0,2}(x[xy]*)\b", _ANY_CASE),
     lambda found: [f"{found[1]}{joint}{found[2]}" for joint in ("", " ")]),
)  # fmt: skip
_CAPITALS = re.compile(
    rf"\b(?:(?P<one>[A-Z][A-Z\d-]+)s|(?P<stem>[A-Z][A-Z\d/-]{{2,}})i|F(?P<factor>{_FACTOR.upper()})(?P<a>a?))\b"
)
_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


def other_names(query: str) -> Iterator[tuple[str, Sequence[str]]]:
    """What stands in a query, and the terms of another name of it; most joined words exist nowhere, and do no harm."""
    text = query if query.isascii() else fold(query)
    lowered = text.lower()
    for own, other in _by_rule(text, lowered):
        yield own, terms(other)
    words = _WORD.findall(lowered)
    for word in words:
        if "-" in word:
            yield word, terms(word.replace("-", ""))
        if word in _OTHERS:
            yield from ((word, terms(other)) for other in _OTHERS[word])
    for one, next_one in itertools.pairwise(words):
        if one in _FIRST_WORDS and (both := f"{one} {next_one}") in _OTHERS:
            yield from ((both, terms(other)) for other in _OTHERS[both])
        if one.isalpha() and next_one.isalpha() and one not in STOP_WORDS and len(one) > 1:
            yield f"{one} {next_one}", (stem(one + next_one),)


def _by_rule(text: str, lowered: str) -> Iterator[tuple[str, str]]:
    if lowered != text:
        for found in _CAPITALS.finditer(text):
            if found["one"]:
                yield found.group(), found["one"]
            else:
                yield (
                    found.group(),
                    f"{found['stem']} inhibitor"
                    if found["stem"]
                    else f"factor {found['factor']}{found['a']}",
                )
    rules = [(pattern, others) for triggers, pattern, others in _RULES if any(t in lowered for t in triggers)]
    if not _DIGITS.isdisjoint(lowered):
        rules += _WITH_DIGITS
    for pattern, others in rules:
        for match in pattern.finditer(text):
            yield from ((match.group(), other) for other in others(match))
