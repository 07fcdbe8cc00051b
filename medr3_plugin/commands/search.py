"""`medr3 search`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medr3_plugin.commands.engine_options import (
    ArticleEncoderNow,
    EncoderNow,
    EvidencePrior,
    MilvusCollection,
    MilvusRanking,
    MilvusUri,
    Reranker,
    check_one_place,
    search_options,
)
from medr3_plugin.errors import UserError

if TYPE_CHECKING:
    from medr3_plugin.records import Hit

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def search(  # noqa: PLR0917
    query: Annotated[str, typer.Argument(help="What to search for.")],
    index: Annotated[Path | None, typer.Option("--index", help="Index folder.")] = None,
    uri: MilvusUri = "",
    collection: MilvusCollection = "medr3",
    ranking: MilvusRanking = None,
    topk: Annotated[int, typer.Option(min=1, help="Documents to show.")] = 5,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; repeatable.")] = None,
    min_level: Annotated[int | None, typer.Option(min=1, max=9, help="Lowest evidence level.")] = None,
    min_year: Annotated[int | None, typer.Option(help="First year of publication.")] = None,
    max_year: Annotated[int | None, typer.Option(help="Last year of publication.")] = None,
    encoder: EncoderNow = "",
    article_encoder: ArticleEncoderNow = "",
    reranker: Reranker = "",
    evidence_prior: EvidencePrior = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per hit.")] = False,
) -> None:
    """Search an index or a Milvus collection and print the hits, best first."""
    from medr3_plugin.retrieval.engine import Filters
    from medr3_plugin.retrieval.place import SearchedPlace
    from medr3_plugin.yaml_section import validated

    if not query.strip():
        raise UserError("the query is empty")
    options = search_options(encoder, article_encoder, reranker, evidence_prior)
    wanted = {"min_evidence_level": min_level, "min_year": min_year, "max_year": max_year}
    filters = validated(Filters, {"sources": source or None, **wanted}, "filters")
    check_one_place(index, uri, ranking)
    place = SearchedPlace(
        index=str(index or ""), uri=uri, collection=collection, ranking=ranking, search=options
    )
    engine = place.opened()
    hits = engine.search([query], topk, filters)[0]
    engine.close()
    for rank, hit in enumerate(hits, 1):
        own = {"rank": rank, "score": hit.score}
        row = {**own, **hit.document.row(), **own}  # ours first, and not a column's of that name
        typer.echo(json.dumps(row, ensure_ascii=False) if as_json else _shown(rank, hit))
    if not hits and not as_json:
        typer.echo("no document matches", err=True)


def _shown(rank: int, hit: Hit) -> str:
    document = hit.document
    about = [
        document.id,
        document.source,
        document.evidence_type,
        f"level {document.evidence_level}",
        document.year,
    ]
    head = f"{rank}. [{hit.score:.3f}] {document.title}".rstrip()
    text = document.text if len(document.text) <= 300 else f"{document.text[:297]}..."
    shown = f"{head}\n   ({'; '.join(str(part) for part in about if part)})\n   {text}"
    return _CONTROL.sub("\ufffd", shown)  # they would move the terminal's cursor or colour what follows
