"""Evidence levels, 1 (expert opinion and everything else) to 9 (meta-analysis).

The level of a document comes from, in this order:
1. its `evidence_level` column;
2. its `evidence_type` column, unless `evidence_type_method` says that a rule guessed it;
3. its `publication_types` column (PubMed's vocabulary);
4. the rules of `evidence_rules` over title and abstract;
5. the guessed `evidence_type` of 2.

A type that is none of ours (`banana`, `Level 1a`) is no type: the level comes from 3 on, and the document keeps what
was stated as `evidence_type_stated`, which builds and `medr3 index info` count. How a level was found stays with the
document as `evidence_type_method`, also when a corpus is read and written again.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from medr3_plugin.retrieval.corpus import evidence_rules, evidence_rules_zh

LEVELS: Mapping[str, int] = {
    kind: level
    for level, kinds in (
        (9, "meta_analysis"),
        (8, "systematic_review"),
        (7, "guideline"),
        (6, "rct"),
        (5, "non_randomised_trial"),
        (4, "cohort retrospective"),
        (3, "case_control cross_sectional case_series"),
        (2, "case_report"),
        (
            1,
            "expert_opinion review animal_or_in_vitro consumer_health_reference disease_profile textbook other",
        ),
    )
    for kind in kinds.split()
}
"""Evidence type -> level. Types that the hierarchy does not name stand with their nearest kin: retrospective
studies with cohorts, case-control and cross-sectional studies with case series and studies."""

LOWEST, HIGHEST = 1, 9
UNKNOWN_TYPES = frozenset((
    "", "unspecified", "unknown", "none", "n_a", "na", "nan", "article", "journal_article", "research_article",
    "研究", "论著", "论文",
))  # fmt: skip
"""Names that tell nothing of the design."""

# PubMed publication types, most telling first: an article often carries several
_PUBLICATION_TYPES: tuple[tuple[str, str], ...] = tuple(
    (name, kind)
    for names, kind in (
        ("meta-analysis|network meta-analysis", "meta_analysis"),
        ("systematic review", "systematic_review"),
        ("practice guideline|guideline|consensus development conference", "guideline"),
        ("randomized controlled trial|equivalence trial|pragmatic clinical trial", "rct"),
        ("controlled clinical trial|clinical trial", "non_randomised_trial"),
        ("observational study", "cohort"),
        ("case reports", "case_report"),
        ("review", "review"),
        ("editorial|comment|letter", "expert_opinion"),
    )
    for name in names.split("|")
)
_ALIASES: Mapping[str, str] = {
    other: kind
    for kind, others in (
        ("meta_analysis", "systematic_review_and_meta_analysis metaanalysis"),
        (
            "guideline",
            "practice_guideline clinical_practice_guideline clinical_guideline "
            "evidence_based_practice_guideline",
        ),
        ("rct", "randomized_controlled_trial randomized_clinical_trial randomized_trial"),
        ("non_randomised_trial", "non_randomized_trial non_randomized_controlled_trial clinical_trial"),
        ("cohort", "prospective prospective_cohort retrospective_cohort"),
        ("review", "narrative_review literature_review"),
        ("expert_opinion", "opinion"),
        ("animal_or_in_vitro", "animal in_vitro"),
    )
    for other in others.split()
}
"""In American spelling, in the singular and without a closing "study"."""

Method = Literal["column", "source", "publication_type", "classifier", "rule", "none"]
METHODS: Mapping[str, Method] = {method: method for method in get_args(Method)}
GUESSED: frozenset[str] = frozenset({"rule", "none"})
"""Methods that leave the level open to somebody who reads better."""
STATED = "evidence_type_stated"
"""Column of an evidence type that is none of `LEVELS`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Type and level of a document, and how they were found."""

    type: str
    level: int
    method: Method


@functools.lru_cache(maxsize=1 << 10)  # a corpus has few
def normalise_type(name: str) -> str:
    """`Randomised Controlled Trials` -> `rct`: lower case, underscores, other names, PubMed's publication types."""
    if evidence_rules_zh.is_chinese(name):
        return evidence_rules_zh.classify(name.strip(), "") or name.strip()
    key = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if key in LEVELS or key in UNKNOWN_TYPES:
        return key
    singular = re.sub(r"ies$", "y", key.replace("analyses", "analysis").replace("randomis", "randomiz"))
    plain = re.sub(r"(?<![is])s$|_study$", "", singular)
    found = next(
        (_ALIASES.get(form, form) for form in (singular, plain) if _ALIASES.get(form, form) in LEVELS), ""
    )
    return found or from_publication_types([name]) or key


def is_unknown(name: str) -> bool:
    """Whether a stated evidence type is a name of something, and of none of `LEVELS`."""
    return normalise_type(name) not in LEVELS.keys() | UNKNOWN_TYPES


def assess(row: Mapping[str, Any]) -> Evidence:
    """Evidence type and level of a validated corpus row (columns as in the module's text)."""
    stated = normalise_type(row.get("evidence_type") or "")
    level, method = row.get("evidence_level"), str(row.get("evidence_type_method"))
    if level is not None:
        kind = stated if stated not in UNKNOWN_TYPES else "other"
        return Evidence(kind, int(level), METHODS.get(method, "column"))
    if stated in LEVELS and method not in GUESSED:
        return Evidence(stated, LEVELS[stated], "source")
    if published := from_publication_types(row.get("publication_types") or ()):
        return Evidence(published, LEVELS[published], "publication_type")
    if ruled := evidence_rules.classify(row.get("title") or "", row.get("text") or ""):
        return Evidence(ruled, LEVELS[ruled], "rule")
    if stated in LEVELS:
        return Evidence(stated, LEVELS[stated], "rule")
    return Evidence("other", LOWEST, "none")


def from_publication_types(names: str | Iterable[str]) -> str | None:
    """The most telling of PubMed's publication types, as one of our types; None if none tells anything."""
    if isinstance(names, str):
        names = re.split(r"[;|,]", names)
    # "Clinical Trial, Phase III" and "Consensus Development Conference, NIH" are kinds of what stands first; a
    # "Randomized Controlled Trial, Veterinary" is no evidence for people
    parts = [str(name).strip().lower().partition(",") for name in names]
    given = {head for head, _, rest in parts if rest.strip() != "veterinary"}
    for name, kind in _PUBLICATION_TYPES:
        if name in given:
            return kind
    return None
