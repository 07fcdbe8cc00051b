"""`medr3 search|serve`: an index or a Milvus collection is searched, once or as a service on one machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medr3_plugin.commands.options import (
    ArticleEncoderNow,
    Device,
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
from medr3_plugin.retrieval.protocol import TOKEN_ENV

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


def serve(  # noqa: PLR0917 (the options of a command)
    index: Annotated[Path | None, typer.Option(help="Index folder made by `medr3 index build`.")] = None,
    uri: MilvusUri = "",
    collection: MilvusCollection = "medr3",
    ranking: MilvusRanking = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8765,
    workers: Annotated[int, typer.Option(min=1, help="Processes, which share the memory-mapped index.")] = 1,
    topk: Annotated[
        int | None, typer.Option(min=1, help="Hits per query unless the request says otherwise [default: 5].")
    ] = None,
    max_topk: Annotated[int, typer.Option(min=1, help="Largest topk that a request may ask for.")] = 100,
    max_queries: Annotated[int, typer.Option(min=1, help="Most queries per request.")] = 4096,
    max_pending: Annotated[
        int,
        typer.Option(min=1, help="Queries that may wait; more, or too many for --timeout, get status 429."),
    ] = 2048,
    timeout: Annotated[float, typer.Option(min=0.001, help="Timeout of a search, in seconds.")] = 10.0,
    encoder: EncoderNow = "",
    article_encoder: ArticleEncoderNow = "",
    device: Device = "",
    reranker: Reranker = "",
    evidence_prior: EvidencePrior = 0.0,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Also offer the tool medical_search over MCP, at /mcp.")
    ] = False,
    stdio: Annotated[
        bool, typer.Option("--stdio", help="With --mcp: use standard input and output instead of HTTP.")
    ] = False,
    token_env: Annotated[
        str, typer.Option(help="Environment variable with a bearer token; if set, requests need it.")
    ] = TOKEN_ENV,
    uri_token_env: Annotated[
        str, typer.Option(help="Environment variable with the token of the Milvus server.")
    ] = TOKEN_ENV,
) -> None:
    """Serve an index or a Milvus collection: POST /retrieve (Search-R1's protocol), GET /health, GET /metrics."""
    from medr3_plugin.retrieval.serve.server import run_server, run_stdio
    from medr3_plugin.retrieval.serve.service import ServiceOptions

    check_one_place(index, uri, ranking)
    if index is not None and not index.is_dir():
        raise UserError(f"--index {index}: no such folder; build one with `medr3 index build`")
    if workers > 1 and uri and "://" not in uri:
        raise UserError(
            f"--workers {workers}: only one process at a time can open the Milvus Lite file {uri}"
        )
    if stdio and not mcp:
        raise UserError("--stdio needs --mcp: Search-R1's protocol is HTTP only")
    if topk is not None and topk > max_topk:
        raise UserError(f"--topk {topk} is more than --max-topk {max_topk}")
    options = ServiceOptions(
        index="" if index is None else str(index),
        uri=uri,
        collection=collection,
        ranking=ranking,
        uri_token_env=uri_token_env,
        mcp=mcp,
        host=host,
        search=search_options(encoder, article_encoder, reranker, evidence_prior, device=device),
        topk=topk or min(5, max_topk),
        max_topk=max_topk,
        max_queries=max_queries,
        max_pending=max_pending,
        timeout_s=timeout,
        token_env=token_env,
    )
    if stdio:
        run_stdio(options)
        return
    run_server(options, port=port, workers=workers)
