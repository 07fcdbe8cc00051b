"""`medr3 corpus build|sources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Collect corpora to build indexes from.", no_args_is_help=True)
    group.command("build", short_help="Collect sources into one folder, with evidence levels.")(build)
    group.command("sources")(sources)
    app.add_typer(group, name="corpus")


def build(
    out: Annotated[Path, typer.Option(help="Folder to write to; it can be given to `medr3 index build`.")],
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="A name of `medr3 corpus sources`, pubmedqa=FILE or bioasq=FILE (their documents, from the file of "
            "questions), a file, a folder, or a Hugging Face dataset such as MedRAG/textbooks "
            "(owner/name[[:config]:split]); repeatable. Default: every named source."
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count and list wrong rows.")] = False,
) -> None:
    """Collect sources into a folder of jsonl.gz files with evidence levels, licences kept."""
    from medr3_plugin.data.benchmark_corpora import FROM_QUESTIONS
    from medr3_plugin.data.corpora import SOURCES
    from medr3_plugin.retrieval.corpus import BadRows
    from medr3_plugin.retrieval.corpus_build import build_corpus

    bad = BadRows() if skip_bad else None
    summary = build_corpus(source or sorted(SOURCES), out, SOURCES, readers=FROM_QUESTIONS, bad_rows=bad)
    for file, about in summary.items():
        levels = ", ".join(f"level {level}: {count}" for level, count in about["evidence_levels"].items())
        typer.echo(f"{out / file}: {about['documents']:,} documents ({levels})")
        for licence, count in about["licenses"].items():
            typer.echo(f"   {licence}: {count:,}")
    if bad is not None and bad.count:
        typer.echo(f"{bad.count} wrong rows were left out:", err=True)
        for message in bad.messages:
            typer.echo(f"  {message}", err=True)


def sources() -> None:
    """List the corpora that PyPI packages hold."""
    from medr3_plugin.data.corpora import SOURCES

    for name, rows in sorted(SOURCES.items()):
        typer.echo(f"{name}: {(rows.__doc__ or '').strip().splitlines()[0]}")
