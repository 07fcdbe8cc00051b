"""What filling a Milvus collection and searching it share: the connection, its failures, the manifest and the terms."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medr3_plugin.errors import RetrievalFailure, UserError, needs
from medr3_plugin.retrieval.protocol import TOKEN_ENV

if TYPE_CHECKING:
    from pymilvus import MilvusClient

MANIFEST_ROW = -1
_PLAIN_TERM = re.compile(r"[a-z0-9]{1,40}")


def term_text(terms: Iterable[str]) -> str:
    """Terms as text that Milvus's `standard` tokenizer cuts into the same terms again, whatever their script."""
    return " ".join(term if _PLAIN_TERM.fullmatch(term) else _hashed(term) for term in terms)


def _hashed(term: str) -> str:
    return f"0x{hashlib.blake2s(term.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"


@contextmanager
def failures(uri: str) -> Iterator[None]:
    """Milvus's exceptions, and those of its transport, as `RetrievalFailure` of kind `milvus`."""
    import grpc
    from pymilvus import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError) as error:
        raise RetrievalFailure(f"{uri}: {_reason(error)}", "milvus") from error


def connect(uri: str, *, token_env: str = TOKEN_ENV, timeout_s: float = 30.0) -> MilvusClient:
    """A client of the server or file at `uri`.

    Args:
        token_env: name of the environment variable with the token (`user:password`); not set or empty: none.
        timeout_s: longest wait for the server.

    Raises:
        UserError: nothing answers there, or the file is in use.
    """
    with needs("pymilvus", "milvus", "retrieval from Milvus"):
        from pymilvus import MilvusClient, MilvusException
    # they log each failure with its stack before they raise it; the exception is all that we need
    for library in ("pymilvus", "milvus_lite"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    is_file = "://" not in uri
    if is_file:
        if not uri.endswith(".db"):
            raise UserError(f"uri {uri!r}: expected http://HOST:PORT of a Milvus server, or a file NAME.db")
        uri = str(Path(uri).expanduser())
        if not Path(uri).parent.is_dir():
            raise UserError(f"uri {uri!r}: no such folder; make it first")
    try:
        token = os.environ.get(token_env, "") if token_env else ""
        # Milvus Lite's server hangs up on a client that pings while nothing is asked, as pymilvus does by default
        quiet = {"grpc_options": {"grpc.keepalive_permit_without_calls": False}} if is_file else {}
        return MilvusClient(uri, token=token, timeout=timeout_s, **quiet)
    except MilvusException as error:
        if is_file:
            raise UserError(
                f"{uri}: cannot be opened ({_reason(error)}); only one process can use a Milvus Lite file, so "
                "stop the other one, or take a Milvus server where several processes search"
            ) from error
        raise UserError(
            f"uri {uri}: no Milvus server answers there ({_reason(error)}); start it, or correct the address"
        ) from error


def manifest_of(client: MilvusClient, uri: str, collection: str) -> dict[str, Any] | None:
    """What a collection was filled with; None if there is no such collection, or nothing in it.

    Raises:
        UserError: a collection that `medr3 index build` did not make.
        RetrievalFailure: the server failed.
    """
    with failures(uri):
        if not client.has_collection(collection):
            return None
        client.load_collection(collection)  # a file that is opened again has nothing loaded
        fields = {field["name"] for field in client.describe_collection(collection)["fields"]}
        if {"row", "terms", "bm25", "document"} <= fields:
            found = client.query(
                collection,
                filter=f"row == {MANIFEST_ROW}",
                output_fields=["document"],
                consistency_level="Strong",
            )
            if found:
                return dict(found[0]["document"])
            if not client.query(collection, filter="row >= 0", output_fields=["row"], limit=1):
                return None  # a build was stopped before it had begun
    raise UserError(
        f"{uri}: collection {collection!r} was not made by `medr3 index build --engine milvus`; name another one"
    )


def _reason(error: BaseException) -> str:
    """One line of an exception of Milvus or gRPC."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(message).split())[:300]
