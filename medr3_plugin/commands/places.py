"""Where a command searches: an index folder, or a Milvus collection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medr3_plugin.commands.engine_options import EngineName
from medr3_plugin.errors import UserError

MilvusUri = Annotated[
    str, typer.Option("--uri", help="Instead of --index: http://HOST:PORT of a Milvus server, or NAME.db.")
]
MilvusCollection = Annotated[str, typer.Option("--collection", help="Collection at --uri.")]
MilvusRanking = Annotated[
    EngineName | None,
    typer.Option("--ranking", help="At --uri [default: hybrid if the collection has vectors, else bm25]."),
]


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
