"""`medr3 index evaluate`: an engine on a public retrieval benchmark."""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Annotated, Literal

import typer

from medr3_plugin.commands.options import (
    ArticleEncoder,
    ArticlePrefix,
    Device,
    Encoder,
    EngineName,
    Normalise,
    Pooling,
    QueryPrefix,
    Reranker,
    SkipBad,
    encoder_config,
    list_bad_rows,
    search_options,
)


def evaluate(  # noqa: PLR0917 (the options of a command)
    source: Annotated[
        str, typer.Option(help="Folder with one or more sets, or on the Hub R2MED/<set>, or R2MED for all.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the indexes; existing ones are reused.")],
    benchmark: Annotated[Literal["r2med"], typer.Option(help="Benchmark to run.")] = "r2med",
    engine: Annotated[EngineName, typer.Option(help="Engine to measure.")] = "bm25",
    encoder: Encoder = "",
    article_encoder: ArticleEncoder = "",
    query_prefix: QueryPrefix = "",
    article_prefix: ArticlePrefix = "",
    pooling: Pooling = None,
    normalise: Normalise = True,
    device: Device = "",
    reranker: Reranker = "",
    skip_bad: SkipBad = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Build the indexes again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure nDCG@10 of an engine on R2MED: index each set and run its queries.

    The same command resumes after a stop. The exit code is 3 if rows were left out (--skip-bad).
    """
    from medr3_plugin.retrieval.corpus.documents import BadRows
    from medr3_plugin.retrieval.r2med import evaluate as results_of
    from medr3_plugin.retrieval.r2med import read_sets

    config = encoder_config(
        encoder, article_encoder, query_prefix, article_prefix, pooling, normalise, device
    )
    bad = BadRows() if skip_bad else None
    found = list(
        results_of(
            read_sets(source, bad),
            out,
            engine,
            encoder=config,
            search=search_options(reranker=reranker, device=device),
            bad_rows=bad,
            overwrite=overwrite,
            notify=lambda message: typer.echo(message, err=True),
        )
    )
    mean = statistics.fmean(result.ndcg for result in found)
    if as_json:
        sets = [dataclasses.asdict(result) for result in found]
        typer.echo(
            json.dumps(
                {"benchmark": benchmark, "engine": engine, "sets": sets, "mean_ndcg_at_10": mean}, indent=2
            )
        )
    else:
        width = max(len("mean of sets"), *(len(result.name) for result in found))
        typer.echo(f"{'set':<{width}}  documents  queries  nDCG@10")
        for result in found:
            typer.echo(
                f"{result.name:<{width}}  {result.documents:>9,}  {result.queries:>7,}  {result.ndcg:>7.3f}"
            )
        if len(found) > 1:
            typer.echo(f"{'mean of sets':<{width}}  {'':>9}  {'':>7}  {mean:>7.3f}")
    list_bad_rows(bad, None)
