"""British and other spellings of medical words in one: American, folded for comparison only; plurals.

Both index and query pass through here, so a rule need not give a word that exists (`exercise` becomes `exercize`
on both sides); it must not give two words of different meaning one form.
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
        "ciclosporin:cyclosporine cyclosporin:cyclosporine amoxycillin:amoxicillin cephalexin:cefalexin "
        "cephalosporin:cefalosporin cephalosporins:cefalosporins lignocaine:lidocaine frusemide:furosemide "
        "haem:heme whilst:while amongst:among sjoegren:sjogren schoenlein:schonlein moebius:mobius "
        "loeffler:loffler loefgren:lofgren waldenstroem:waldenstrom roentgen:rontgen roentgenogram:rontgenogram "
        "koebner:kobner koehler:kohler huerthle:hurthle muenchausen:munchausen muenchhausen:munchausen "
        "munchhausen:munchausen mueller:muller mullerian:mullerian muellerian:mullerian boehler:bohler "
        "moersch:morsch koenig:konig caesarian:cesarean caesarians:cesareans cesarian:cesarean hba1c:a1c vit:vitamin "
        "flu:influenza mcg:ug "
        # drugs whose British (or older) names are others
        "adrenaline:epinephrine noradrenaline:norepinephrine paracetamol:acetaminophen salbutamol:albuterol "
        "pethidine:meperidine glibenclamide:glyburide rifampicin:rifampin suxamethonium:succinylcholine "
        "isoprenaline:isoproterenol phenobarbitone:phenobarbital thiopentone:thiopental amfetamine:amphetamine "
        "dexamfetamine:dextroamphetamine bendrofluazide:bendroflumethiazide beclometasone:beclomethasone "
        "aciclovir:acyclovir valaciclovir:valacyclovir chlorphenamine:chlorpheniramine dosulepin:dothiepin "
        "hydroxycarbamide:hydroxyurea mercaptamine:cysteamine colecalciferol:cholecalciferol "
        "colestyramine:cholestyramine thiamazole:methimazole acetylsalicylic:aspirin cromoglycate:cromolyn "
        "orciprenaline:metaproterenol indometacin:indomethacin"
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
    ("re", rf"({_ER})re(s|d)?$", r"\1er\2"),
    ("ll", rf"^({_LL})l(ed|ing|ers?|ors?)$", r"\1\2"),
    ("ence", r"^(def|off|lic|pret)ence(s?)$", r"\1ense\2"),
    ("sulph", r"sulph", "sulf"),
    ("ogue", r"(?<=[a-z]{2})ogue(s?)$", r"og\1"),
    ("leuc", r"leuc(?=[aeo])", "leuk"),
)


def spellings(word: str) -> tuple[str, str]:
    """A lower-case word in American spelling, and as it is written, but that -ise is always -ize.

    Both are terms: a document in the query's own spelling comes a little before one in the other. (One term for
    all cost 0.002 nDCG@10 on PubMedQA, own terms for -ise 0.001; docs/benchmarks/retrieval.md.)
    """
    own = _applied(_IZE, word)
    return _applied(_RULES, _EXCEPTIONS.get(word, own)), own


_ONE = dict(
    pair.split(":")
    for pair in (
        "bacteria:bacterium mycobacteria:mycobacterium criteria:criterion mitochondria:mitochondrion ova:ovum "
        "septa:septum atria:atrium sera:serum diverticula:diverticulum ganglia:ganglion phenomena:phenomenon "
        "spermatozoa:spermatozoon foramina:foramen lumina:lumen genera:genus viscera:viscus corpora:corpus apices:apex "
        "cortices:cortex indices:index vertices:vertex matrices:matrix appendices:appendix cervices:cervix "
        "varices:varix helices:helix phalanges:phalanx crises:crisis foci:focus loci:locus fungi:fungus cocci:coccus "
        "villi:villus nevi:nevus feet:foot teeth:tooth mice:mouse lice:louse"
    ).split()
)
_PLURALS = dict(
    pair.split(":")
    for pair in (
        "oses:osis yses:ysis lyzes:lysis stases:stasis theses:thesis reses:resis itides:itis omata:oma cci:ccus "
        "bacilli:bacillus mboli:mbolus thrombi:thrombus calculi:calculus stimuli:stimulus nuclei:nucleus "
        "bronchi:bronchus alveoli:alveolus"
    ).split()
)
_ENDINGS = tuple(_PLURALS)


def singular(word: str) -> str:
    """The singular of a Latin, Greek or irregular plural in American spelling, which no stemmer knows; others as is."""
    if word in _ONE:
        return _ONE[word]
    if len(word) > 5 and word.endswith(_ENDINGS):
        plural = next(ending for ending in _ENDINGS if word.endswith(ending))
        return word.removesuffix(plural) + _PLURALS[plural]
    return word


def _applied(rules: tuple[tuple[str, re.Pattern[str], str], ...], word: str) -> str:
    for trigger, pattern, replacement in rules:
        if trigger in word:
            word = pattern.sub(replacement, word)
    return word
