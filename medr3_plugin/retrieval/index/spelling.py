"""Spellings and names of a word in one, for search; plurals. Both index and query pass through here."""

# ruff: noqa: SIM905  (word lists are easier to read and to check on one line)

from __future__ import annotations

from medr3_plugin.spelling import american, ized

_NAMES = dict(
    pair.split(":")
    for pair in (
        "hba1c:a1c vit:vitamin flu:influenza mcg:ug lignocaine:lidocaine frusemide:furosemide "
        # drugs whose British (or older) names are others
        "adrenaline:epinephrine noradrenaline:norepinephrine paracetamol:acetaminophen salbutamol:albuterol "
        "pethidine:meperidine glibenclamide:glyburide rifampicin:rifampin suxamethonium:succinylcholine "
        "isoprenaline:isoproterenol phenobarbitone:phenobarbital thiopentone:thiopental "
        "dexamfetamine:dextroamphetamine bendrofluazide:bendroflumethiazide "
        "chlorphenamine:chlorpheniramine dosulepin:dothiepin "
        "hydroxycarbamide:hydroxyurea mercaptamine:cysteamine "
        "thiamazole:methimazole acetylsalicylic:aspirin cromoglycate:cromolyn "
        "orciprenaline:metaproterenol"
    ).split()
)


def spellings(word: str) -> tuple[str, str]:
    """A lower-case word in American spelling, and as it is written, but that -ise is always -ize.

    Both are terms: a document in the query's own spelling comes a little before one in the other. (One term for
    all cost 0.002 nDCG@10 on PubMedQA, own terms for -ise 0.001; docs/benchmarks/retrieval.md.)
    """
    return american(_NAMES.get(word, word)), ized(word)


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
