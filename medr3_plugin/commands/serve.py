"""`medr3 serve`: the retrieval service on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medr3_plugin.commands.engine_options import (
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
    max_topk: Annotated[int, typer.Option(min=1, help="Largest topk of a request.")] = 100,
    max_queries: Annotated[int, typer.Option(min=1, help="Most queries of a request.")] = 4096,
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
