"""`medr3 index build|info`."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medr3_plugin.commands.options import (
    ArticleEncoder,
    ArticlePrefix,
    Device,
    Dtype,
    Encoder,
    Normalise,
    Pooling,
    QueryPrefix,
    SkipBad,
    encoder_config,
    list_bad_rows,
    out_folder,
)
from medr3_plugin.errors import UserError, counted

if TYPE_CHECKING:
    from collections.abc import Iterator


def build(  # noqa: PLR0917  (every option is a keyword on the command line)
    corpus: Annotated[
        list[str],
        typer.Option(
            help="jsonl, json, csv, tsv, parquet, PubMed XML, txt, md, a folder of these, or a Hub name; repeatable."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Index folder to create; not for milvus.")] = None,
    engine: Annotated[
        Literal["bm25", "dense", "hybrid", "milvus"],
        typer.Option(help="milvus fills a collection, with vectors if --encoder is given."),
    ] = "bm25",
    uri: Annotated[str, typer.Option(help="Milvus: http://HOST:PORT of a server, or a file NAME.db.")] = "",
    collection: Annotated[str, typer.Option(help="Milvus: the collection to fill.")] = "medr3",
    encoder: Encoder = "",
    article_encoder: ArticleEncoder = "",
    query_prefix: QueryPrefix = "",
    article_prefix: ArticlePrefix = "",
    pooling: Pooling = None,
    normalise: Normalise = True,
    dtype: Annotated[Dtype, typer.Option(help="Precision of the encoder.")] = "auto",
    device: Device = "",
    max_tokens: Annotated[
        int, typer.Option(min=0, help="Truncate texts for the encoder; 0: the model's limit.")
    ] = 0,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Passages encoded at a time [default: suits the device].")
    ] = None,
    dense_index: Annotated[str, typer.Option(help="auto, Flat, SQ8, HNSW or IVF.")] = "auto",
    chunk_tokens: Annotated[
        int, typer.Option(min=0, help="Cut longer documents into passages; 0: never.")
    ] = 0,
    chunk_overlap: Annotated[int, typer.Option(min=0, help="Tokens shared by neighbouring passages.")] = 0,
    chunk_tokenizer: Annotated[
        str, typer.Option(help="Model whose tokens are counted [default: words].")
    ] = "",
    encode_with: Annotated[
        Literal["process", "ray"], typer.Option(help="This process, or the workers of a Ray cluster.")
    ] = "process",
    workers: Annotated[int, typer.Option(min=0, help="Ray workers; 0: as many as fit.")] = 0,
    gpus_per_worker: Annotated[
        float, typer.Option(min=0, help="GPUs of each Ray worker; may be a fraction.")
    ] = 0.0,
    skip_bad: SkipBad = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing index or unfinished build.")
    ] = False,
) -> None:
    """Build an index folder from a corpus.

    The same command resumes after a stop, and leaves an up-to-date index alone. The exit code is 3 if rows were left
    out (--skip-bad).
    """
    from medr3_plugin.retrieval.corpus.documents import BadRows
    from medr3_plugin.retrieval.index.build import BuildOptions, build_index

    config = encoder_config(
        encoder, article_encoder, query_prefix, article_prefix, pooling, normalise, device, max_tokens, dtype
    )
    options = BuildOptions(
        dense_index=dense_index,
        chunk_tokens=chunk_tokens,
        chunk_overlap=chunk_overlap,
        chunk_tokenizer=chunk_tokenizer or None,
        batch_size=batch_size,
    )
    bad = BadRows() if skip_bad else None
    if engine == "milvus":
        if not uri:
            raise UserError(
                "--engine milvus needs --uri: http://HOST:PORT of a Milvus server, or a file NAME.db"
            )
        if out is not None or encode_with != "process":
            raise UserError(
                "--engine milvus takes neither --out nor --encode-with: the collection is the index"
            )
        from medr3_plugin.retrieval.milvus_build import fill_collection

        manifest = fill_collection(
            corpus,
            uri,
            collection,
            encoder=config,
            options=options,
            bad_rows=bad,
            overwrite=overwrite,
            notify=lambda message: typer.echo(message, err=True),
        )
        vectors = f", vectors of {manifest['dense']['dimension']} dimensions" if manifest["dense"] else ""
        typer.echo(
            f"{uri} {collection}: {counted(manifest['documents']['count'], 'document')}, BM25{vectors}"
        )
        list_bad_rows(bad, None)
        return
    if out is None:
        raise UserError("--out is missing: name the index folder to create")
    out_folder(out)
    if config and engine == "bm25":
        typer.echo("note: --encoder is not used by --engine bm25; give --engine hybrid or dense", err=True)
    encode = None
    if encode_with == "ray":
        from medr3_plugin.retrieval.index.ray_encoding import encode_corpus

        encode = functools.partial(
            encode_corpus, workers=workers or None, gpus_per_worker=gpus_per_worker, batch_size=batch_size
        )
    manifest = build_index(
        corpus,
        out,
        engine,
        encoder=config,
        options=options,
        bad_rows=bad,
        overwrite=overwrite,
        encode=encode,
        notify=lambda message: typer.echo(message, err=True),
    )
    typer.echo(f"{out}: {_summary(manifest)}")
    for note in _notes(manifest["documents"]):
        typer.echo(note, err=True)
    typer.echo(_size(manifest))
    list_bad_rows(bad, out)


def info(
    index: Annotated[Path, typer.Option(help="Index folder.")],
    verify: Annotated[bool, typer.Option("--verify", help="Read every file in full.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the manifest with sources and years as JSON.")
    ] = False,
) -> None:
    """Check an index and show what it holds: sources, evidence types, years, files."""
    from medr3_plugin.retrieval.index import manifest as manifest_file
    from medr3_plugin.retrieval.index.store import DocumentStore

    manifest = manifest_file.read(index, "full" if verify else "quick")
    store = DocumentStore(index / "documents")
    columns = store.columns()
    store.close()
    if as_json:
        documents = {**manifest["documents"], **columns}
        typer.echo(json.dumps({**manifest, "documents": documents}, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{index}: {_summary(manifest)}")
    typer.echo(f"sources: {_counts(columns['sources'], 30)}")
    levels = {f"level {level}": count for level, count in manifest["documents"]["evidence_levels"].items()}
    typer.echo(f"evidence: {_counts(levels)}")
    if types := manifest["documents"].get("evidence_types"):
        typer.echo(f"evidence types: {_counts(types)}")
    typer.echo(f"years: {_years(columns['years'], manifest['documents']['count'])}")
    if (abbreviations := manifest.get("bm25", {}).get("abbreviations")) is not None:
        typer.echo(f"abbreviations that the corpus defines: {abbreviations:,}")
    for note in _notes(manifest["documents"]):
        typer.echo(note)
    for part in manifest.get("built_from", {}).get("corpus", ()):
        typer.echo(f"built from {part['source']}")
        for name, file in part["files"].items():
            typer.echo(f"   {name}: {file['bytes']:,} bytes, sha256 {file['sha256']}")
    typer.echo(_size(manifest))
    typer.echo("files are intact" + ("" if verify else " (large ones sampled)"))


def _summary(manifest: dict[str, Any]) -> str:
    parts = [f"{counted(manifest['documents']['count'], 'document')}, engine {manifest['engine']}"]
    if dense := manifest.get("dense"):
        recall = (
            f", recall@10 against exact search {dense['recall_at_10']:.3f}"
            if dense["index"] != "Flat"
            else ""
        )
        parts.append(f"dense index {dense['index']} of {dense['dimension']} dimensions{recall}")
    return "; ".join(parts)


def _size(manifest: dict[str, Any]) -> str:
    size = sum(int(entry["bytes"]) for entry in manifest["files"].values())
    shown = f"{size / 2**20:,.1f} MB" if size >= 2**20 else f"{size / 2**10:,.1f} kB"
    return f"{shown} of files, memory-mapped and shared by all processes of a machine"


def _counts(counts: dict[str, int], most: int | None = None) -> str:
    shown = list(counts.items())[:most]
    named = ", ".join(f"{name or '(none)'}: {count:,}" for name, count in shown)
    return named + (f" and {len(counts) - len(shown)} more (--json)" if len(shown) < len(counts) else "")


def _years(years: dict[str, int], documents: int) -> str:
    """Counts by decade; by year with --json."""
    decades: dict[str, int] = {}
    for year, count in years.items():
        decade = f"{int(year) // 10 * 10}s"
        decades[decade] = decades.get(decade, 0) + count
    without = documents - sum(years.values())
    return _counts({**decades, **({"without a year": without} if without else {})})


def _notes(documents: dict[str, Any]) -> Iterator[str]:
    """What a user should know about the documents of an index."""
    from medr3_plugin.commands.corpus import unknown_types
    from medr3_plugin.retrieval.index.store import LONG

    if unknown := documents.get("unknown_evidence_types"):
        yield unknown_types(unknown)
    if long := documents.get("long", 0):
        yield (
            f"{counted(long, 'document')} longer than {LONG:,} characters, the longest {documents['longest']:,}: each "
            "hit returns its whole text, and only its beginning fits into a prompt or an encoder; "
            "--chunk-tokens 256 cuts them into passages"
        )
