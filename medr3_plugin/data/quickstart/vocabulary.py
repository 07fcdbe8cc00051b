"""Vocabulary files for the lexicon extractor: `{"id", "name", "synonyms", "kind"}` a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medr3_plugin.data.quickstart import disease_names, hpo
from medr3_plugin.text import bare_words

_SCOPES = ("EXACT", "RELATED")


def phenotype_entries(ontology: hpo.Ontology) -> Iterator[dict[str, Any]]:
    """HPO terms with their exact and related synonyms, layperson words among them."""
    for term in ontology.terms.values():
        # an exact synonym is a plain string; any other says so
        synonyms = {
            s.text: s.text if s.scope == "EXACT" else {"text": s.text, "scope": s.scope}
            for s in term.synonyms
            if s.scope in _SCOPES and len(s.text) > 2
        }
        synonyms.pop(term.name, None)
        yield {"id": term.id, "name": term.name, "synonyms": list(synonyms.values()), "kind": "phenotype"}


def disease_entries(ontology: hpo.Ontology) -> Iterator[dict[str, Any]]:
    """Annotated diseases with their aliases; diseases of one name (OMIM and Orphanet) become one entry."""
    merged: dict[str, dict[str, Any]] = {}
    for disease in ontology.diseases.values():
        name, *others = disease_names.aliases(disease.name)
        entry = merged.setdefault(
            bare_words(name), {"id": disease.id, "name": name, "synonyms": [], "kind": "disease"}
        )
        entry["synonyms"].extend(alias for alias in others if alias not in entry["synonyms"])
    yield from merged.values()


def entries(ontology: hpo.Ontology) -> Iterator[dict[str, Any]]:
    """Every vocabulary row of the release: phenotypes, then diseases.

    A disease that is also a phenotype term (`Ankyloglossia`) appears once, as the phenotype.
    """
    known = set()
    for entry in phenotype_entries(ontology):
        known.add(bare_words(entry["name"]))
        yield entry
    for entry in disease_entries(ontology):
        if bare_words(entry["name"]) not in known:
            yield entry
