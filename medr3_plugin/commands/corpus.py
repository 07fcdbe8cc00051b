"""`medr3 corpus build|sources`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medr3_plugin.commands.options import SkipBad, Structured, endpoint, list_bad_rows, out_folder
from medr3_plugin.errors import counted

if TYPE_CHECKING:
    from collections.abc import Mapping


def build(  # noqa: PLR0917  (every option is a keyword on the command line)
    out: Annotated[Path, typer.Option(help="Folder to write; pass it to `medr3 index build`.")],
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="A name of `medr3 corpus sources`, pubmedqa=FILE or bioasq=FILE (the documents in that file of "
            "questions), a file, a folder, or a Hugging Face dataset such as MedRAG/textbooks "
            "(owner/name[[:config]:split]); repeatable [default: all that `medr3 corpus sources` lists]."
        ),
    ] = None,
    evidence_judge: Annotated[
        str,
        typer.Option(
            help="URL (up to /v1) of an OpenAI-compatible server that classifies documents whose metadata gives no "
            "evidence level; its key comes from MEDR3_JUDGE_API_KEY."
        ),
    ] = "",
    evidence_model: Annotated[
        str, typer.Option(help="Model of the evidence judge [default: the one served].")
    ] = "",
    evidence_for: Annotated[
        Literal["guessed", "lowest"],
        typer.Option(
            help="guessed: every document without a level in its metadata; lowest: only those "
            "that the rules leave at level 1."
        ),
    ] = "guessed",
    evidence_concurrency: Annotated[int, typer.Option(min=1, help="Concurrent requests.")] = 32,
    evidence_structured: Annotated[Structured, typer.Option(help="Constrained decoding.")] = "json_schema",
    evidence_parameters: Annotated[
        str, typer.Option(help="JSON object of request parameters; null omits one.")
    ] = "",
    skip_bad: SkipBad = False,
) -> None:
    """Collect sources into a folder of jsonl.gz files, with evidence levels and licences.

    Resumable: after a failure, run the same command again; replies of --evidence-judge are never paid for twice.
    The exit code is 3 if rows were left out (--skip-bad).
    """
    from medr3_plugin.data.benchmark_corpora import FROM_QUESTIONS
    from medr3_plugin.data.quickstart.corpora import SOURCES
    from medr3_plugin.retrieval.corpus.build import build_corpus, check_sources
    from medr3_plugin.retrieval.corpus.documents import BadRows

    out_folder(out)
    sources = source or sorted(SOURCES)
    check_sources(sources, SOURCES, FROM_QUESTIONS)
    bad = BadRows() if skip_bad else None
    if not evidence_judge:
        _tell(build_corpus(sources, out, SOURCES, readers=FROM_QUESTIONS, bad_rows=bad), out)
        list_bad_rows(bad, None)
        return

    endpoint("--evidence-judge", evidence_judge)
    from medr3_plugin.data.references.caller import request_parameters
    from medr3_plugin.data.references.evidence_judge import judging

    with judging(
        out / "evidence.journal",
        url=evidence_judge,
        model=evidence_model,
        scope=evidence_for,
        concurrency=evidence_concurrency,
        structured=evidence_structured,
        parameters=request_parameters("--evidence-parameters", evidence_parameters),
    ) as judge:
        summary = build_corpus(sources, out, SOURCES, readers=FROM_QUESTIONS, judge=judge, bad_rows=bad)
        _tell(summary, out)
        typer.echo(judge.summary())
        judge.raise_for_failures()
    list_bad_rows(bad, None)


def unknown_types(counts: Mapping[str, int]) -> str:
    """A sentence about evidence types that are not known."""
    named = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:10])
    more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
    return (
        f"unknown evidence types: {named}{more}; the levels of these documents are inferred from their text"
    )


def _tell(summary: Mapping[str, Mapping[str, Any]], out: Path) -> None:
    for file, about in summary.items():
        levels = ", ".join(f"level {level}: {count}" for level, count in about["evidence_levels"].items())
        typer.echo(f"{out / file}: {counted(about['documents'], 'document')} ({levels})")
        for licence, count in about["licenses"].items():
            typer.echo(f"   licence {licence}: {count:,}")
        if unknown := about.get("unknown_evidence_types"):
            typer.echo(f"   {unknown_types(unknown)}", err=True)


def sources() -> None:
    """List the corpora that PyPI packages hold."""
    from medr3_plugin.data.quickstart.corpora import SOURCES

    for name, rows in sorted(SOURCES.items()):
        typer.echo(f"{name}: {(rows.__doc__ or '').strip().splitlines()[0]}")
