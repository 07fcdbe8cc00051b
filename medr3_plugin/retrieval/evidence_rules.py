"""Study design from title and abstract, by patterns over English text.

`classify` tries the designs from the most to the least telling; the title weighs more than the abstract,
because an abstract mentions other designs (a case report cites trials, a trial calls for meta-analyses).
Animal and laboratory work is told apart first: "rats were randomly assigned" is no trial.
`benchmarks/evidence.py` measures the rules on documents of known type.
"""

from __future__ import annotations

import re

_ANIMALS = (
    r"mice|mouse|murine|rats?|rabbits?|sheep|lambs?|pigs?|piglets?|porcine|swine|dogs?|canine|beagles?|cats?|feline"
    r"|monkeys?|macaques?|primates|zebrafish|drosophila|yeast|cattle|cows?|calves|horses?|chickens?|broilers?"
    r"|hens?|goats?|ewes|hamsters?|guinea pigs?|ferrets?"
)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


_META = _any(
    r"meta[- ]?analys[ei]s", r"meta[- ]?analytic(?:al)?", r"meta[- ]?regression", r"pooled analysis of"
)
_SYSTEMATIC = _any(
    r"systematic(?:ally)? (?:literature |scoping |and critical |and meta-analytic )?(?:re)?(?:view|search)\w*",
    r"cochrane (?:database )?review",
    r"umbrella review",
    r"review of (?:randomi[sz]ed|controlled|clinical) (?:controlled |clinical )?trials",
)
_GUIDELINE = _any(
    r"(?:clinical )?practice guidelines?",
    r"guidelines? (?:for|on|of) (?:the )?(?:diagnosis|management|treatment|prevention|use|care|screening)",
    r"consensus (?:statement|guidelines?|recommendations?|conference)",
    r"(?:position|scientific) statement",
    r"practice (?:parameters?|guidance|bulletin|advisory)",
    r"recommendations? (?:of|from|by) the",
)
_RCT = _any(
    r"randomi[sz]ed (?:\w+[- ,/]+){0,5}(?:trials?|study|studies|comparison|evaluation)",
    r"randomi[sz]ed,? (?:double|single|triple|placebo|controlled|crossover|cross-over|open)[\w-]*",
    r"(?:were|was|are|been|be) (?:\w+ ){0,2}(?:randomi[sz]ed|randomly (?:assigned|allocated|divided|distributed|selected to receive))",
    r"randomly (?:assigned|allocated|divided) (?:\w+ ){0,4}(?:to|into|in)",
    r"randomi[sz]ed (?:to|into|in (?:a )?\d|\d+)",
    r"random(?:i[sz]ation| allocation| assignment)",
    r"(?:double|single|triple)[- ]blind(?:ed)?",
    r"placebo[- ]controlled",
    r"cluster[- ]randomi[sz]ed",
    r"rct",
)
_NON_RANDOMISED = _any(
    r"(?:non|un)[- ]?randomi[sz]ed",
    r"quasi[- ](?:experimental|randomi[sz]ed)",
    r"(?:open[- ]label|single[- ]arm|phase (?:i|ii|iii|1|2|3)[ab]?(?:/(?:i|ii|iii|1|2|3))?) (?:\w+ ){0,3}(?:trial|study)",
    r"controlled before[- ](?:and[- ])?after",
    r"(?:controlled|clinical|intervention) trial",
    r"pilot trial",
)
_COHORT = _any(
    r"cohorts?",
    r"prospective(?:ly)?",
    r"retrospective(?:ly)?",
    r"longitudinal(?:ly)?",
    r"follow(?:ed)?[- ]up (?:study|of|for)",
    r"registry[- ](?:based|study)",
    r"(?:medical|patient|hospital) records (?:of|were|from)",
    r"(?:chart|record) review",
    r"consecutive patients",
    r"population[- ]based (?:study|registry)",
)
_CASE_CONTROL = _any(r"case[- ]control(?:led)?", r"matched controls", r"cases and controls")
_CROSS_SECTIONAL = _any(
    r"cross[- ]sectional", r"prevalence (?:study|survey)", r"(?:questionnaire|national|postal) survey"
)
_CASE_SERIES = _any(
    r"case series", r"series of \w+ (?:cases|patients)", r"(?:two|three|four|five|six|\d) cases of"
)
_CASE_REPORT = _any(
    r"case reports?",
    r"we (?:report|present|describe) (?:a|an|the|our|one) (?:\w+ ){0,4}(?:case|patient|man|woman|boy|girl|infant|child|male|female)",
    r"report of (?:a|one) case",
    r"an? \d+[- ](?:year|month|week|day)s?[- ]old",
)
_REVIEW = _any(
    r"(?:this|our|present|the|narrative|literature|critical|brief|short|mini) ?-?reviews?",
    r"we (?:\w+ )?review",
    r"is reviewed|are reviewed",
    r"an overview",
    r"state of the art",
)
_ANIMAL = _any(_ANIMALS)
_LABORATORY = _any(
    r"in vitro",
    r"cell lines?",
    r"cultured (?:\w+ )?cells",
    r"transgenic",
    r"knock(?:out|down|ed)",
    r"wild[- ]type",
    r"in vivo model",
    r"mouse model",
    r"cadaver\w*",
)
_PEOPLE = _any(
    r"patients?",
    r"women",
    r"men",
    r"children",
    r"adults?",
    r"volunteers",
    r"participants",
    r"infants",
    r"adolescents",
    r"persons?",
    r"people",
    r"individuals",
    r"neonates",
    r"newborns",
    r"nurses",
    r"students",
    r"parturients",
    r"males",
    r"females",
    r"boys",
    r"girls",
    r"outpatients",
    r"human subjects",
    r"healthy subjects",
    r"residents",
    r"smokers",
)

_TITLE_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (_META, "meta_analysis"),
    (_SYSTEMATIC, "systematic_review"),
    (_GUIDELINE, "guideline"),
    (_CASE_CONTROL, "case_control"),
)


def is_animal_or_laboratory(title: str, text: str) -> bool:
    """Whether the study was done on animals or in the laboratory, with no people in it to speak of."""
    whole = f"{title}. {text}"
    people = len(_PEOPLE.findall(whole))
    animals = len(_ANIMAL.findall(whole))
    laboratory = len(_LABORATORY.findall(whole))
    if _ANIMAL.search(title) and people <= animals:
        return True
    return (animals >= 2 or laboratory >= 2) and animals + laboratory > 2 * people


def classify(title: str, text: str) -> str | None:
    """The study design, one of the keys of `evidence.LEVELS`; None if nothing tells it."""
    for pattern, kind in _TITLE_RULES:
        if pattern.search(title):
            return kind
    if is_animal_or_laboratory(title, text):
        return "animal_or_in_vitro"
    whole = f"{title}. {text}"
    for pattern, kind in _ORDER:
        if pattern.search(whole):
            return kind
    return None


_ORDER: tuple[tuple[re.Pattern[str], str], ...] = (
    (_NON_RANDOMISED, "non_randomised_trial"),
    (_RCT, "rct"),
    (_META, "meta_analysis"),
    (_SYSTEMATIC, "systematic_review"),
    (_CASE_REPORT, "case_report"),
    (_CASE_SERIES, "case_series"),
    (_CASE_CONTROL, "case_control"),
    (_COHORT, "cohort"),
    (_CROSS_SECTIONAL, "cross_sectional"),
    (_GUIDELINE, "guideline"),
    (_REVIEW, "review"),
)
