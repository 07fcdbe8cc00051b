"""What several commands share: options (where to search and how, encoders, wrong rows), and checks that typer lacks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medr3_plugin.errors import UserError, counted
from medr3_plugin.tables import PACKED, SUFFIXES

if TYPE_CHECKING:
    from medr3_plugin.retrieval.corpus.documents import BadRows
    from medr3_plugin.retrieval.engine import SearchOptions
    from medr3_plugin.retrieval.index.encoder import EncoderConfig

Stage = Literal["reasoning", "retrieval", "joint"]
Structured = Literal["json_schema", "json_object", "none"]
"""How a server is asked to decode, see `llm.client.Structured`."""
JSONL = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet",)
HTML = (".html", ".htm")

Encoder = Annotated[str, typer.Option(help="Folder or Hub name of the sentence encoder (dense, hybrid).")]
ArticleEncoder = Annotated[str, typer.Option(help="Encoder of documents, if it is a different model.")]
QueryPrefix = Annotated[str, typer.Option(help='Put before each query, e.g. "query: ".')]
ArticlePrefix = Annotated[str, typer.Option(help='Put before each document, e.g. "passage: ".')]
Pooling = Annotated[
    Literal["cls", "mean"] | None,
    typer.Option(help="Pooling of a plain transformer [default: the model's own]."),
]
Dtype = Literal["auto", "float32", "bfloat16"]
EngineName = Literal["bm25", "dense", "hybrid"]
Normalise = Annotated[
    bool,
    typer.Option(
        "--normalise/--no-normalise",
        help="Cosine similarity, or the raw inner product (for MedCPT and Contriever).",
    ),
]
Device = Annotated[str, typer.Option(help="Device of the encoder: cpu, cuda, ... [default: chosen].")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave wrong rows out: exit code 3 instead of 2.")]

MilvusUri = Annotated[
    str, typer.Option("--uri", help="Instead of --index: http://HOST:PORT of a Milvus server, or NAME.db.")
]
MilvusCollection = Annotated[str, typer.Option("--collection", help="Collection at --uri.")]
MilvusRanking = Annotated[
    EngineName | None,
    typer.Option("--ranking", help="At --uri [default: hybrid if the collection has vectors, else bm25]."),
]

EncoderNow = Annotated[str, typer.Option(help="New location of a dense index's encoder.")]
ArticleEncoderNow = Annotated[str, typer.Option(help="New location of its document encoder, if separate.")]
Reranker = Annotated[str, typer.Option(help="Folder or Hub name of a cross-encoder.")]
EvidencePrior = Annotated[
    float,
    typer.Option(
        min=0.0, help="Prefer strong evidence: 0 is off, 1 doubles a meta-analysis against an opinion."
    ),
]


def encoder_config(  # noqa: PLR0917 (options as they are given)
    encoder: str,
    article_encoder: str,
    query_prefix: str,
    article_prefix: str,
    pooling: Literal["cls", "mean"] | None,
    normalise: bool,
    device: str,
    max_tokens: int = 0,
    dtype: Dtype = "auto",
) -> EncoderConfig | None:
    """The encoder that the options name, if they name one."""
    from medr3_plugin.retrieval.index.encoder import EncoderConfig

    config = EncoderConfig(
        path=encoder,
        article_path=article_encoder or None,
        query_prefix=query_prefix,
        article_prefix=article_prefix,
        pooling=pooling,
        normalise=normalise,
        max_tokens=max_tokens or None,
        dtype=dtype,
        device=device or None,
    )
    return config if encoder else None


def search_options(
    encoder: str = "",
    article_encoder: str = "",
    reranker: str = "",
    evidence_prior: float = 0.0,
    *,
    device: str = "",
) -> SearchOptions:
    """How an index is searched, as the options say."""
    from medr3_plugin.retrieval.engine import SearchOptions

    return SearchOptions(
        encoder=encoder or None,
        article_encoder=article_encoder or None,
        device=device or None,
        reranker=reranker or None,
        evidence_prior=evidence_prior,
    )


def list_bad_rows(bad: BadRows | None, index: Path | None) -> None:
    """Name the rows that were left out of an index, if any.

    Raises:
        typer.Exit: with 3, if there are any.
    """
    from medr3_plugin.retrieval.index.build import SKIPPED

    if bad is None or not bad.count:
        return
    typer.echo(f"{counted(bad.count, 'wrong row')} left out:", err=True)
    for message in bad.messages:
        typer.echo(f"  {message}", err=True)
    if bad.count > len(bad.messages):
        listed = f", see {index / 'documents' / SKIPPED}" if index else ""
        typer.echo(f"  and {bad.count - len(bad.messages)} more{listed}", err=True)
    raise typer.Exit(3)


def check_one_place(index: Path | None, uri: str, ranking: str | None = None) -> None:
    """Refuse neither and both.

    Raises:
        UserError: not exactly one was given, or a ranking for an index.
    """
    if (index is None) == (not uri):
        raise UserError("give either --index FOLDER or --uri URI (Milvus)")
    if index is not None and ranking:
        raise UserError(
            f"--ranking {ranking}: only for --uri; an index is ranked by the engine it was built with"
        )


def endpoint(option: str, url: str) -> None:
    """Raise UserError unless `url` is an HTTP address or empty."""
    from medr3_plugin.yaml_section import is_address

    if url and not is_address(url):
        raise UserError(f"{option} {url!r}: expected an address such as http://127.0.0.1:8000/v1")


def out_folder(out: Path) -> None:
    """Raise UserError if `--out` cannot be a folder, because a file is in its place or above it, or it is none."""
    if str(out) == "-":
        raise UserError("--out -: give a folder")
    if (file := next((path for path in (out, *out.parents) if path.is_file()), None)) is not None:
        raise UserError(f"--out {out}: {file} is a file; give another folder")


def out_file(out: Path, written: tuple[str, ...], sources: Iterable[Path | str | None] = ()) -> None:
    """Raise UserError if `--out` cannot be the file: a folder, below a file, named as another form of data, or read.

    Args:
        written: endings of the form that is written.
        sources: files or folders that the command reads.
    """
    # unlike Path.resolve, realpath bears a link to itself
    if any(source and os.path.realpath(source) == os.path.realpath(out) for source in sources):
        raise UserError(f"--out {out}: the command reads this file; give another one")
    if out.is_dir() or str(out) == "-":
        raise UserError(
            f"--out {out}: {'is a folder' if out.is_dir() else 'not a file name'}; give the file to write"
        )
    if (file := next((path for path in out.parents if path.is_file()), None)) is not None:
        raise UserError(f"--out {out}: {file} is a file; give another path")
    if out.suffix.lower() in (*SUFFIXES, *PACKED, ".xlsx") and not out.name.lower().endswith(written):
        name = (Path(out.stem) if out.suffix in PACKED else out).with_suffix(written[0]).name
        raise UserError(f"--out {out}: this command writes {written[0][1:]}; name it {name}")
