"""Study design from title and abstract, by patterns over English text; Chinese has its own (`evidence_rules_zh`).

`classify` asks in this order: what the title says of the design (an abstract mentions designs that are not
its own: a case report cites trials, a trial calls for meta-analyses); whether it is animal or laboratory work
("rats were randomly assigned" is no clinical trial); what the abstract says the authors did.
`benchmarks/evidence.py` measures the rules on documents of known type (docs/benchmarks/evidence.md).
"""

# ruff: noqa: E501, SIM905  (patterns and word lists are easier to read, and to check, on one line each)

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medr3_plugin.retrieval.corpus import evidence_rules_zh

_ANIMALS = frozenset(
    "mice mouse murine rat rats rabbit rabbits sheep lamb lambs ovine pig pigs piglet piglets porcine swine dog "
    "dogs canine beagle beagles cat cats feline monkey monkeys macaque macaques primates zebrafish drosophila "
    "yeast cattle cow cows calf calves bovine horse horses equine chicken chickens chick chicks broiler broilers "
    "hen hens goat goats ewe ewes hamster hamsters ferret ferrets elegans xenopus larvae".split()
)
_PEOPLE = frozenset(
    "patient patients woman women man men child children adult adults volunteer volunteers participant participants "
    "infant infants adolescent adolescents person persons people individuals neonate neonates newborn newborns "
    "nurses students parturients males females boys girls outpatients residents smokers mothers families parents "
    "athletes veterans workers physicians".split()
)
_LABORATORY = (
    "in vitro", "cell line", "cultured cells", "transgenic", "knockout", "knock-out", "knockdown", "wild-type",
    "wild type", "mouse model", "animal model", "rodent model", "cadaver", "crystal structure", "recombinant",
    "phosphorylat", "transcription factor", "signaling pathway", "gene expression", "mrna", "in vivo",
)  # fmt: skip
_BODIES = (
    "AASLD|AAP|AAN|ABA|ACC|ACCP|ACG|ACOG|ACP|ACR|ADA|AGA|AHA|AHS|ALA|AASM|AAD|APA|ASA|ASCO|ASH|ASPEN|ATS|AUA|BTF|BTS"
    "|CDC|CHEST|EAN|EASD|EASL|EAU|EHRA|EORTC|ERS|ESC|ESCMID|ESH|ESICM|ESMO|ESPEN|EULAR|Endocrine Society|GINA|GOLD"
    "|HRS|IDSA|ISTH|KDIGO|NCCN|NICE|RCOG|SAGES|SCCM|SHEA|SIGN|SMFM|USPSTF|WHO"
)


@dataclass(frozen=True, slots=True)
class _Rule:
    """A study design and how text shows it.

    Attributes:
        triggers: plain substrings, one of which lower-case text must hold before the pattern is tried: regular
            expressions over every abstract would take most of the time of building an index.
        pattern: tried at lower-case text, which is quicker than ignoring case.
        capitals: whether it is tried at the text as it is written instead.
    """

    kind: str
    triggers: tuple[str, ...]
    pattern: re.Pattern[str]
    capitals: bool

    def matches(self, text: str, lowered: str) -> bool:
        return any(trigger in lowered for trigger in self.triggers) and bool(
            self.pattern.search(text if self.capitals else lowered)
        )


def _rule(kind: str, triggers: str, *patterns: str, capitals: bool = False) -> _Rule:
    return _Rule(kind, tuple(triggers.split("|")), re.compile(rf"\b(?:{'|'.join(patterns)})"), capitals)


_TRIAL = r"(?:\w+[- ,/]+){0,5}(?:trials?|stud(?:y|ies)|comparison|evaluation|experiment|design)\b"

_GENES_AT_RANDOM = r"mendelian[- ]random"
"""What nature assigns is observed."""

_TITLE: Sequence[_Rule] = (
    _rule(
        "expert_opinion",
        "editorial|comment|letter|viewpoint|reply|re:",
        r"(?<!.)(?:invited )?(?:editorial|commentary|viewpoint)(?: comment\w*)?\s*(?:$|[:.;,(—–-])",
        r"(?<!.)(?:comments? on\b|re: |letter to the editor|(?:in |authors?'?s? )?reply(?::| to\b))",
        r"(?<=[:—–-] )(?:an? )?(?:invited )?(?:editorial|commentary|viewpoint)$",
    ),
    _rule("meta_analysis", "meta", r"(?:network )?meta-? ?analy", r"meta-? ?regression"),
    _rule(
        "systematic_review",
        "review|overview",
        r"systematic(?:ally)? (?:\w+[- ]){0,3}(?:over|re)view",
        r"umbrella review",
    ),
    _rule(
        "guideline",
        "guideline|consensus|statement|recommendation|parameter",
        r"(?:practice|clinical|management|treatment|evidence-based|international|european|national) guidelines?\b",
        r"guidelines? (?:for|on) (?:the )?(?:\w+ ){0,3}(?:diagnosis|management|treatment|prevention|use|care|screening)",
        r"(?:expert )?consensus (?:statement|guideline|recommendation|report|document)",
        r"(?:position|scientific) statement",
        r"recommendations? (?:of|from|by) the",
        r"practice parameters?\b",
    ),
    _rule(
        "guideline",
        "19|20",
        # "Rate control in atrial fibrillation, ACC/AHA 2023": a body that writes guidelines, and a year
        rf"(?:{_BODIES})(?:[/-](?:{_BODIES}))* (?:[A-Z]+\d+ )?\(?(?:19|20)\d\d\b",
        capitals=True,
    ),
    _rule("cohort", "mendelian", _GENES_AT_RANDOM),
    _rule(
        "non_randomised_trial",
        "random|quasi",
        r"(?:non|un)-?randomi[sz]ed",
        r"quasi-? ?(?:experiment|randomi)",
    ),
    _rule(
        "rct",
        "random|rct|placebo|blind",
        rf"randomi[sz]ed,? {_TRIAL}",
        r"randomi[sz]ed(?:,| and)? (?:double|single|triple|placebo|controlled|cross-?over|open)",
        r"rcts?\b",
        r"(?:double|triple|single)[- ]blind",
        r"placebo[- ]controlled",
        r"random(?:ly)? (?:assign|allocat)",
    ),
    _rule("case_control", "case", r"case[- ]control"),
    _rule("case_series", "series", r"case series", r"series of \w+ (?:cases|patients)"),
    _rule(
        "case_report",
        "case|report",
        r"(?:a |an |rare |unusual )?case reports?\b",
        r"report of (?:a|one|an) \w*? ?case",
    ),
    _rule(
        "cohort",
        "cohort|prospective|retrospective|longitudinal",
        r"cohort",
        r"(?:pro|retro)spective",
        r"longitudinal",
    ),
    _rule("cross_sectional", "cross|survey", r"cross[- ]sectional", r"\w+ survey\b"),
)
_IN_TITLE = re.compile("|".join(dict.fromkeys(trigger for rule in _TITLE for trigger in rule.triggers)))

_ABSTRACT: Sequence[_Rule] = (
    _rule(
        "meta_analysis",
        "meta",
        r"(?:we|study|paper|article|review) (?:\w+ ){0,4}(?:perform|conduct|undert[ao]|carried out|did|report|present|used)\w* "
        r"(?:\w+[- ,]+){0,6}meta-? ?(?:analy|regress)",
        r"(?:this|our|present|current|the present|updated) (?:\w+[- ]){0,3}meta-? ?analy",
        r"meta-? ?analys[ei]s (?:was|were) (?:perform|conduct|undertaken|done|carried|used)",
        r"included in (?:the|this|our) meta-? ?analy",
        r"systematic review and meta-? ?analy",
        r"(?:fixed|random)[- ]effects? (?:model|meta)\w*(?:[^.]*\bpooled)",
    ),
    _rule(
        "systematic_review",
        "systematic|cochrane|medline|pubmed|embase",
        r"(?:this|our|present|a|the) (?:\w+ )?systematic (?:\w+ )?review",
        r"systematic(?:ally)? (?:\w+ ){0,2}(?:search|review)\w* (?:of|was|were|for|the|all)",
        r"(?:we|was|were) (?:systematically )?(?:search|review)\w* (?:\w+,? ){0,6}(?:medline|pubmed|embase|cochrane|databases?)",
        r"(?:medline|pubmed|embase|cochrane)[^.]{0,120} (?:was|were) (?:\w+ )?searched",
        r"data sources?: (?:[^.]*)(?:medline|pubmed|embase|cochrane)",
    ),
    _rule(
        "non_randomised_trial",
        "random|quasi",
        r"(?:non|un)-?randomi[sz]ed[- ](?:\w+[- ]){0,4}(?:trial|study|controlled|design|comparison)",
        r"quasi-? ?(?:experiment|randomi)",
        r"(?:were|was) not randomi[sz]ed",
    ),
    _rule(
        "rct",
        "random|blind|placebo|crossover|cross-over|rct|controlled trial",
        rf"randomi[sz]ed,? {_TRIAL}",
        r"randomi[sz]ed(?:,| and|/)? ?(?:double|single|triple|placebo|controlled|cross-?over|open|prospective|clinical|field)",
        r"(?:were|was|are|be|been|being) (?:\w+ ){0,3}(?:randomi[sz]ed|allocated by random\w*|assigned at random)",
        r"randomi[sz]ed (?:to|into|in (?:a )?\d|\d+|between|either|(?:\w+ ){0,3}(?:patients|women|men|participants|subjects|children))",
        r"random(?:ly|i[sz]ed)? (?:\w+ ){0,2}?(?:assign|allocat|divid|distribut|receiv|group|separat|classif|split|enrol|placed)\w*",
        r"(?:assigned|allocated|divided|received|distributed) (?:\w+ ){0,6}(?:randomly|at random|in random order)",
        r"random(?:i[sz]ation|i[sz]ed order| order| allocation| assignment)\b",
        r"(?:double|triple|single|observer|assessor)[- ]?(?:blind|mask)",
        r"placebo[- ]controlled",
        r"randomi[sz]ed (?:cross-?over|cluster|trial|groups?|arms?)",
        r"(?<!non-)(?<!un-)randomi[sz]ed-controlled",
        r"randomi[sz]ed (?:two|three|four)-(?:parallel-)?(?:group|arm)",
        r"cluster[- ]randomi[sz]",
        r"rct\b",
        r"cross-?over (?:\w+ )?(?:trial|study|design|fashion|manner)",
        r"(?:parallel|placebo|control)[- ](?:group|arm)s? (?:\w+ ){0,3}(?:trial|design)",
    ),
    _rule(
        "case_report",
        "case|-old|year old|patient|we report|we describe",
        r"(?:this|our|the present|present) case (?:report|illustrates|demonstrates|highlights|suggests|is|was|shows)",
        r"we (?:here(?:in|by)? )?(?:report|present|describe) (?:a|an|the|our|one) (?:\w+[- ]){0,4}(?:case|patient|man|woman|boy|girl|infant|child)\b(?!s)",
        r"case reports?: ",
        r"(?:report|describe|present) (?:a|the) case of",
        r"(?:^|[.:] )(?:a|an|the|our) \d+[- ](?:year|month|week|day)s?[- ]old (?:\w+ ){0,4}(?:man|woman|boy|girl|male|female|patient|infant|child)",
    ),
    _rule(
        "case_series",
        "case|series|patients",
        r"case series",
        r"(?:report|describe|present)\w* (?:\w+ )?(?:two|three|four|five|six|seven|eight|nine|ten|\d+) (?:\w+ ){0,3}(?:cases|patients)",
        r"(?:this|our|a) series of",
    ),
    _rule(
        "case_control",
        "case|matched",
        r"case[- ]?control",
        r"cases and (?:\d+ )?(?:\w+ )?controls",
        r"matched (?:\w+ )?controls",
    ),
    _rule(
        "cohort",
        "cohort|spective|longitudinal|follow|record|chart|registr|consecutive|were reviewed|was reviewed| ratio|underwent|mendelian",
        _GENES_AT_RANDOM,
        r"cohorts?\b",
        r"(?:pro|retro)spective",
        r"longitudinal(?:ly)?\b",
        r"follow(?:ed)?[- ]?up (?:study|of|for|period|was|time)",
        r"followed (?:\w+ )?(?:for|over|until)",
        r"(?:cancer|disease|national|hospital|patient|birth|death|population|trauma) registr(?:y|ies)\b",
        r"(?:medical|patient|hospital|clinical|case|health) (?:records?|charts?|notes)",
        r"chart review",
        r"consecutive(?:ly)? (?:\w+ ){0,3}(?:patients|cases|women|men|children|admitted)",
        r"(?:records?|charts?|data|files|cases|patients) (?:\w+ ){0,6}(?:was|were) reviewed",
        r"(?:incidence|odds|hazard|risk) ratio",
        r"(?:patients|women|men|children|who) (?:had )?underwent",
    ),
    _rule(
        "cross_sectional",
        "cross|survey|questionnaire|interview|prevalence",
        r"cross[- ]?section",
        r"survey(?:s|ed)?\b",
        r"questionnaires? (?:was|were|survey|to|sent|on|about|completed)",
        r"prevalence (?:study|of|was)",
        r"interview(?:s|ed)\b",
    ),
    _rule(
        "guideline",
        "recommend|class i|guideline|statement",
        r"(?:strong|weak|conditional|good practice|ungraded) (?:recommendation|statement)",
        r"(?:conditionally|strongly) recommend",
        r"class (?:i|iia|iib|iii)\b[,;)]",
        r"(?:this|these|the present|our) (?:\w+ )?(?:guidelines?|consensus statement|recommendations)\b",
        r"recommendations? (?:\d|grade)",
    ),
    _rule(
        "non_randomised_trial",
        "trial|open-label|open label|single-arm|pilot study|intervention study|before-and-after|before and after|control group",
        r"(?:open[- ]label|single[- ]arm|phase (?:i|ii|iii|iv|1|2|3|4)[ab]?(?:/(?:i|ii|iii|1|2|3)[ab]?)?) (?:\w+[- ]){0,4}(?:trial|study)\b",
        r"(?:this|our|the present|present|a) (?:\w+[- ]){0,4}(?:trial|(?:pilot|intervention|feasibility) study)\b",
        r"before[- ]and[- ]after (?:\w+ )?(?:study|design|comparison)",
        r"(?:intervention|treatment|experimental|exercise|training) (?:group|arm)s?\b[^.]{0,80} control (?:group|arm)",
        r"(?:the|and a|and|or a|or) control (?:group|arm)\b",
    ),
    _rule(
        "review",
        "review|overview|state of the art",
        r"(?:this|our|the present|present|narrative|literature|critical|brief|short|mini) ?-?(?:article |paper )?reviews?\b",
        r"we (?:\w+ )?review\b",
        r"(?:is|are|has been|have been) reviewed",
        r"here,? we (?:\w+ )?(?:review|discuss|summari[sz]e)",
        r"overview of",
        r"state of the art",
    ),
)

_PROTOCOL = _rule(
    "other",
    "protocol|rationale",
    r"(?:study|trial|review|research) protocol\b(?=$|[:.,;(]| for\b| of\b| and\b)",
    r"(?<!.)(?:the )?protocol (?:for|of) (?:an? |the )?(?:[\w-]+,? ){0,6}?(?:trial|study|review|meta-?analys|cohort|rct)",
    r"(?<=: )(?:an? |the )?protocol\b(?=$|[:.,;(]| for\b| of\b)",
    r"rationale(?:,| and) (?:study )?(?:design|methods)(?!,? and)",
)
_PLANNED = _rule(
    "other",
    "protocol|we will|will be|dissemination",
    r"ethics and dissemination",
    r"this (?:study |review |trial )?protocol (?:describes|outlines|presents|reports|is for|details)",
    r"we will (?:\w+ )?(?:search|include|screen|randomi[sz]e|randomly|recruit|enrol)",
    r"will be (?:\w+ )?(?:searched|screened|randomi[sz]ed|randomly|recruited|enrolled|allocated|pooled)",
)
_FINDINGS = ("significant", "p<", "p <", "p=", "p =")
"""What is only planned has no results, whatever its design."""

_RANDOM = (
    r"(?:random(?:i[sz]ed|i[sz]ation)?[- ,]+(?:(?!(?:to|into|in|between|by|at|were|was|patients)\b)[\w-]+[ ,]+){0,5}?"
    r"(?:trials?|stud(?:y|ies)|data|evidence|comparisons?|rcts?)\b|rcts?\b|randomi[sz]ation\b)"
)
_SUCH = (
    "(?:large|larger|large-scale|published|prospective|well-designed|well-conducted|well|designed|adequate|adequately|"
    "powered|previous|prior|other|controlled|double-blind|placebo-controlled|blinded|further|future|more|additional|"
    "multicent(?:er|re)|multi-cent(?:er|re)|definitive|high-quality|quality|high|good|clinical|such|available|recent|"
    "head-to-head|phase (?:2|3|ii|iii)|an?|any|the|and|or|rigorous|properly|of|evidence from|data from|results of)"
)
_NOT_OWN = re.compile(
    # no randomized trials exist; we need randomized trials
    rf"\b(?:no|lack(?:ing|s)? (?:of )?|absence of|paucity of|scarcity of|dearth of|need(?:s|ed)? (?:for )?|requires?|await(?:s|ing)?"
    rf"|pending|future|further|few|without|never been|not been) ?(?:{_SUCH}[- ,]+){{0,6}}{_RANDOM}"
    # randomized trials of this are needed; in this randomized trial, patients were required to fast
    rf"|{_RANDOM}(?: (?!(?:patients|participants|subjects|who|we)\b)[\w-]+){{0,8}}? (?:(?:is|are|has|have|seems?|remains?)"
    r" (?:\w+ ){0,2}?(?:needed|required|warranted|lacking|awaited|necessary|scarce|sparse|few|unavailable|missing|desirable)(?! to\b)"
    r"|should be|must be|need to|ought to)\b"
    rf"|(?<=\b{_GENES_AT_RANDOM})i[sz]\w*"
)
"""Trials that a text says are missing or needed, and the randomisation of genes by nature, are none of the authors'."""

_RESEARCH = (
    " we ", " our ", "results", "methods", "objective", "conclusion", "background:", "aim:", "purpose:",
    "this study", "the study", "studied", "evaluate", "investigat", "compared", "p <", "p<", "p =", "p=",
    "95%", "recommend", "random", "review",
)  # fmt: skip
"""One of these is in nearly every abstract, and few are in text for patients."""
_WORD = re.compile(r"[a-z]+")
_ENOUGH_ANIMALS = 2


def is_animal_or_laboratory(title: str, text: str) -> bool:
    """Whether the study was done on animals or in the laboratory, with no people in it to speak of."""
    lowered = f"{title}. {text}".lower()
    words = _WORD.findall(lowered)
    people = sum(map(_PEOPLE.__contains__, words))
    animals = sum(map(_ANIMALS.__contains__, words))
    if animals and people <= animals and not _ANIMALS.isdisjoint(_WORD.findall(title.lower())):
        return True
    bench = animals + sum(lowered.count(phrase) for phrase in _LABORATORY)
    return bench >= _ENOUGH_ANIMALS and bench > 2 * people


def classify(title: str, text: str) -> str | None:
    """The study design, one of the keys of `evidence.LEVELS`; None if nothing tells it."""
    # Chinese journals put English abstracts below Chinese titles
    if evidence_rules_zh.is_chinese(title or text[:200]):
        found = evidence_rules_zh.classify(title, text)
        if found or not title:
            return found
    found = _by_title(title)
    if found in evidence_rules_zh.CLINICAL or not found:
        found = "animal_or_in_vitro" if is_animal_or_laboratory(title, text) else found
    return found or _by_abstract(text)


def _by_title(title: str) -> str | None:
    lowered = title.lower()
    if _PROTOCOL.matches(title, lowered):
        return _PROTOCOL.kind
    lowered = _own(lowered)
    if not _IN_TITLE.search(lowered):
        return None
    return next((rule.kind for rule in _TITLE if rule.matches(title, lowered)), None)


def _by_abstract(text: str) -> str | None:
    lowered = text.lower()
    marked = f" {lowered} "
    if not any(mark in marked for mark in _RESEARCH):
        return None
    if _PLANNED.matches(text, lowered) and not any(mark in lowered for mark in _FINDINGS):
        return _PLANNED.kind
    lowered = _own(lowered)
    return next((rule.kind for rule in _ABSTRACT if rule.matches(text, lowered)), None)


def _own(lowered: str) -> str:
    """A text in lower case without the trials that are none of the authors'."""
    return _NOT_OWN.sub("", lowered) if "random" in lowered or "rct" in lowered else lowered
