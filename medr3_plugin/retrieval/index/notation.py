"""Words that are written in several ways: with a digit, a dose, a change of an amino acid, a Roman numeral."""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

import itertools
import re

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
