"""`medr3 index build` and `medr3 search`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(help="Build retrieval indexes.", no_args_is_help=True)
    group.command("build")(build)
    app.add_typer(group, name="index")
    app.command("search")(search)


def build(
    corpus: Annotated[
        list[str], typer.Option(help="jsonl(.gz), parquet, a folder, or a Hugging Face dataset; repeatable.")
    ],
    out: Annotated[Path, typer.Option(help="Index folder to create.")],
    engine: Annotated[str, typer.Option(help="bm25, dense or hybrid.")] = "bm25",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Count and list wrong rows instead of stopping.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing index.")] = False,
) -> None:
    """Build an index folder from a corpus."""
    from medr3_plugin.retrieval.build import build_index
    from medr3_plugin.retrieval.corpus import BadRows

    bad = BadRows() if skip_bad else None
    manifest = build_index(corpus, out, engine, bad_rows=bad, overwrite=overwrite)
    typer.echo(f"{out}: {manifest['documents']['count']} documents, engine {manifest['engine']}")
    if bad is not None and bad.count:
        typer.echo(f"{bad.count} wrong rows were left out:", err=True)
        for message in bad.messages:
            typer.echo(f"  {message}", err=True)


def search(
    query: Annotated[str, typer.Argument(help="What to search for.")],
    index: Annotated[Path, typer.Option(help="Index folder.")],
    topk: Annotated[int, typer.Option(help="Documents to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a hit.")] = False,
) -> None:
    """Search an index and print the hits, best first."""
    from medr3_plugin.retrieval.engine import open_index
    from medr3_plugin.retrieval.store import document_to_row

    engine = open_index(index)
    for rank, hit in enumerate(engine.search([query], topk)[0], 1):
        document = hit.document
        if as_json:
            typer.echo(
                json.dumps(
                    {"rank": rank, "score": hit.score, **document_to_row(document)}, ensure_ascii=False
                )
            )
            continue
        about = ", ".join(
            str(part) for part in (document.source, document.evidence_type, document.year) if part
        )
        typer.echo(
            f"{rank}. [{hit.score:.3f}] {document.title or document.id}  ({document.id}; level {document.evidence_level}; {about})"
        )
        typer.echo(f"   {document.text[:300]}")
