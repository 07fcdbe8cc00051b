"""British and other spellings of medical words in one: American, folded for comparison only.

Whatever compares words passes both sides through here, so a rule need not give a word that exists (`exercise` becomes
`exercize`); it must not give two words of different meaning one form.
"""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

import re

_EXCEPTIONS = dict(
    pair.split(":")
    for pair in (
        "grey:gray greyish:grayish programme:program programmes:programs tyre:tire tyres:tires plough:plow mould:mold "
        "moulds:molds mouldy:moldy moult:molt draught:draft cheque:check aluminium:aluminum ageing:aging "
        "judgement:judgment practise:practice practised:practiced practising:practicing disc:disk discs:disks "
        "neurone:neuron neurones:neurons motoneurone:motoneuron glycerine:glycerin speciality:specialty "
        "specialities:specialties sceptic:skeptic sceptical:skeptical learnt:learned burnt:burned spoilt:spoiled "
        "orientated:oriented disorientated:disoriented enrol:enroll enrols:enrolls enrolment:enrollment "
        "fulfil:fulfill fulfils:fulfills fulfilment:fulfillment instil:instill skilful:skillful wilful:willful "
        "haem:heme whilst:while amongst:among sjoegren:sjogren schoenlein:schonlein moebius:mobius "
        "loeffler:loffler loefgren:lofgren waldenstroem:waldenstrom roentgen:rontgen roentgenogram:rontgenogram "
        "koebner:kobner koehler:kohler huerthle:hurthle muenchausen:munchausen muenchhausen:munchausen "
        "munchhausen:munchausen mueller:muller mullerian:mullerian muellerian:mullerian boehler:bohler "
        "moersch:morsch koenig:konig caesarian:cesarean caesarians:cesareans cesarian:cesarean "
        "artefact:artifact artefacts:artifacts distention:distension fibreoptic:fiberoptic "
        # drugs, as the international names spell them
        "ciclosporin:cyclosporine cyclosporin:cyclosporine amoxycillin:amoxicillin cephalexin:cefalexin "
        "cephalosporin:cefalosporin cephalosporins:cefalosporins amfetamine:amphetamine aciclovir:acyclovir "
        "valaciclovir:valacyclovir beclometasone:beclomethasone indometacin:indomethacin "
        "colecalciferol:cholecalciferol colestyramine:cholestyramine"
    ).split()
)

_OUR = (
    "tum|col|discol|od|lab|fav|hum|vap|behavi|neighb|harb|rum|flav|vig|rig|ard|clam|arm|endeav|savi|val|hon"
)
_ER = "fib|lit|cent|met|calib|tit|goit|spect|maneuv|sept|lust"
_LL = "label|signal|travel|counsel|model|tunnel|channel|level|cancel|fuel|dial|equal|marshal|panel|pedal|initial|total"


def _rules(*rules: tuple[str, str, str]) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """A plain substring that a word must hold before the pattern is tried, the pattern, its replacement."""
    return tuple((trigger, re.compile(pattern), replacement) for trigger, pattern, replacement in rules)


_IZE = _rules(
    ("is", r"(?<=[a-z]{2})is(e[ds]?|ers?|ing|ations?|able)$", r"iz\1"),
    ("lys", r"lys(e[ds]?|ers?|ing|able)$", r"lyz\1"),
)
_RULES = _rules(
    # anaemia, haemorrhage, oedema, foetus; not larvae, toe, aerobic
    ("ae", r"(?<=\w)ae(?=[b-hj-z]\w)|^ae(?=[gst])", "e"),
    ("oe", r"(?<=\w)oe(?=[a-z]{2}|a$)|^oe(?=\w{3})", "e"),
    ("our", rf"^((?:\w*(?:{_OUR}))o)ur", r"\1r"),
    ("re", rf"({_ER})re(s?)$", r"\1er\2"),
    ("red", rf"({_ER})red$", r"\1ered"),
    ("ll", rf"^((?:re|un|mis)?(?:{_LL}))l(ed|ing|ers?|ors?)$", r"\1\2"),
    ("ence", r"^(def|off|lic|pret)ence(s?)$", r"\1ense\2"),
    ("sulph", r"sulph", "sulf"),
    ("ogue", r"(?<=[a-z]{2})ogue(s?)$", r"og\1"),
    ("leuc", r"leuc(?=[aeo])", "leuk"),
)


def ized(word: str) -> str:
    """A lower-case word as it is written, but that -ise is always -ize.

    >>> ized("catheterised"), ized("tumour")
    ('catheterized', 'tumour')
    """
    return _applied(_IZE, word)


def american(word: str) -> str:
    """A lower-case word in American spelling.

    >>> [american(word) for word in ("haematoma", "behavioural", "manoeuvre", "practised", "neurones")]
    ['hematoma', 'behavioral', 'maneuver', 'practiced', 'neurons']
    """
    return _applied(_RULES, _EXCEPTIONS.get(word) or ized(word))


def _applied(rules: tuple[tuple[str, re.Pattern[str], str], ...], word: str) -> str:
    for trigger, pattern, replacement in rules:
        if trigger in word:
            word = pattern.sub(replacement, word)
    return word
