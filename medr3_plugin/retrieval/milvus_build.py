"""Filling a Milvus collection from a corpus: document by document, resumable, nothing on the local disk."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from medr3_plugin.errors import RetrievalFailure, RowError, UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval.corpus.documents import BadRows, read_corpus
from medr3_plugin.retrieval.index import analyser
from medr3_plugin.retrieval.index.build import BuildOptions, chunker_of
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig, with_own_prompts
from medr3_plugin.retrieval.index.provenance import provenance
from medr3_plugin.retrieval.index.store import indexed_text
from medr3_plugin.retrieval.milvus_access import MANIFEST_ROW, connect, failures, manifest_of, term_text

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_BATCH = 256  # rows of one request
_FIELD_BYTES = 65_535  # Milvus's limit for a text and for a JSON object
_SOURCE_BYTES = 1024
_SOURCES = 1000  # so many names at most are recorded; a filter's sources are not checked beyond


def fill_collection(
    corpus: Sequence[str | Path],
    uri: str,
    collection: str,
    *,
    encoder: EncoderConfig | None = None,
    options: BuildOptions | None = None,
    bad_rows: BadRows | None = None,
    overwrite: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Fill a collection and return its manifest; nothing is done if it is up to date.

    Started again after a stop, it resumes behind the last batch that arrived.

    Args:
        corpus: see `corpus.documents.read_corpus`.
        uri: `http://host:port` of a server or cluster, or a Milvus Lite file, which is made if it is not there.
        collection: is made if it is not there.
        encoder: documents get vectors, too.
        options: chunking, BM25's parameters and the encoder's batch size; the kind of a dense index is Milvus's choice.
        bad_rows: count and skip wrong rows, and documents that are too long for Milvus, instead of raising.
        overwrite: replace a collection that was filled with something else.
        notify: told when nothing is to be done, or where a build resumes.

    Raises:
        UserError: a wrong row or option, no server, or a collection of something else.
        RetrievalFailure: (`milvus`) the server failed; what arrived stays.
    """
    options = options or BuildOptions()
    config = with_own_prompts(encoder) if encoder else None
    made_of = _made_of(corpus, config, options, skip_bad=bad_rows is not None)
    client = connect(uri)
    try:
        manifest = manifest_of(client, uri, collection)
        if manifest is not None and (changed := _difference(manifest["made_of"], made_of)):
            if not overwrite:
                raise UserError(
                    f"{uri}: collection {collection!r} was filled with something else: {changed}; name another "
                    "--collection, or replace it with --overwrite"
                )
            manifest = None
        if manifest is not None and manifest["finished"] and not overwrite:
            notify(f"{uri} {collection}: is up to date, nothing was built")
            return manifest
        model = Encoder(config) if config else None
        if manifest is None or overwrite:
            manifest = {
                "finished": False,
                "analyser": analyser.VERSION,
                "made_of": made_of,
                "dense": model.record() if model else None,
                "documents": {},
            }
            _create(client, uri, collection, manifest, options)
        there = _arrived(client, uri, collection)
        if there:
            notify(f"{uri} {collection}: resuming after {there:,} documents")
        send = functools.partial(_upsert, client, uri, collection)
        summary = _send_documents(corpus, send, model, options, bad_rows, skip=there)
        manifest["finished"], manifest["made_of"] = True, made_of
        manifest["documents"] = {**summary, "skipped_rows": bad_rows.count if bad_rows else 0}
        send([_manifest_row(manifest)])
        with failures(uri):
            client.flush(collection)
        return manifest
    finally:
        client.close()


def _send_documents(
    corpus: Sequence[str | Path],
    send: Callable[[list[dict[str, Any]]], None],
    model: Encoder | None,
    options: BuildOptions,
    bad_rows: BadRows | None,
    *,
    skip: int,
) -> dict[str, Any]:
    """Send the documents after the first `skip`; what the manifest says of all."""
    documents: Iterable[Document] = read_corpus(corpus, bad_rows=bad_rows)
    if (chunker := chunker_of(options)) is not None:
        documents = chunker.chunk_all(documents)
    levels: Counter[int] = Counter()
    sources: set[str] = set()
    with tqdm(desc="documents", unit=" documents", disable=None) as bar:
        rows = enumerate(_storable(documents, bad_rows))
        while batch := list(itertools.islice(rows, _BATCH)):
            levels.update(document.evidence_level for _, (document, _) in batch)
            if len(sources) <= _SOURCES:
                sources.update(document.source for _, (document, _) in batch)
            if batch[-1][0] >= skip:
                send(_rows(batch, model, options.batch_size))
            bar.update(len(batch))
    if not levels:
        raise UserError("no document of the corpus fits into Milvus; cut them with --chunk-tokens 512")
    known = len(sources) <= _SOURCES and len(json.dumps(sorted(sources)).encode()) < _FIELD_BYTES // 2
    return {
        "count": levels.total(),
        "evidence_levels": {str(level): count for level, count in sorted(levels.items())},
        "sources": sorted(sources) if known else None,
    }


def _made_of(
    corpus: Sequence[str | Path], config: EncoderConfig | None, options: BuildOptions, *, skip_bad: bool
) -> dict[str, Any]:
    """What decides the content of a collection; short, for it must fit into one field."""
    full = provenance(corpus, "milvus", config, {}, skip_bad=skip_bad)
    contents = [
        [entry["sha256"] for entry in part["files"].values()] or part["source"] for part in full["corpus"]
    ]
    return {
        "corpus": hashlib.sha256(json.dumps(contents).encode()).hexdigest(),
        "encoder": full["encoder"],
        "chunk tokens": options.chunk_tokens,
        "chunk overlap": options.chunk_overlap,
        "chunk tokenizer": options.chunk_tokenizer,
        "k1": options.k1,
        "b": options.b,
        "analyser": analyser.VERSION,
        "skip bad rows": skip_bad,
    }


def _difference(recorded: dict[str, Any], wanted: dict[str, Any]) -> str:
    for key, value in wanted.items():
        if key == "skip bad rows" and value:
            continue  # whatever is there was read before the first wrong row, or without it
        if recorded.get(key) != value:
            if key in {"corpus", "encoder"}:
                return f"the {key} is different"
            return f"{key}: {recorded.get(key)!r} then, {value!r} now"
    return ""


def _create(
    client: MilvusClient, uri: str, collection: str, manifest: dict[str, Any], options: BuildOptions
) -> None:
    from pymilvus import DataType, Function, FunctionType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("row", DataType.INT64, is_primary=True)
    # term_text writes the terms so that this tokenizer, which every Milvus has, gives them back
    analysis = {"tokenizer": "standard"}
    schema.add_field(
        "terms", DataType.VARCHAR, max_length=_FIELD_BYTES, enable_analyzer=True, analyzer_params=analysis
    )
    schema.add_field("bm25", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_field("source", DataType.VARCHAR, max_length=_SOURCE_BYTES)
    schema.add_field("evidence_level", DataType.INT8)
    schema.add_field("year", DataType.INT16, nullable=True)
    schema.add_field("document", DataType.JSON)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["terms"],
            output_field_names=["bm25"],
        )
    )
    indexes = client.prepare_index_params()
    indexes.add_index(
        "bm25",
        index_type="SPARSE_INVERTED_INDEX",
        metric_type="BM25",
        params={"bm25_k1": options.k1, "bm25_b": options.b},
    )
    if manifest["dense"]:
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=manifest["dense"]["dimension"])
        indexes.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    with failures(uri):
        if client.has_collection(collection):
            client.drop_collection(collection)
        client.create_collection(collection, schema=schema, index_params=indexes)
        client.load_collection(collection)
    _upsert(client, uri, collection, [_manifest_row(manifest)])


def _manifest_row(manifest: dict[str, Any]) -> dict[str, Any]:
    row = {
        "row": MANIFEST_ROW,
        "terms": "",
        "source": "",
        "evidence_level": 0,
        "year": None,
        "document": manifest,
    }
    return {**row, "vector": [0.0] * manifest["dense"]["dimension"]} if manifest["dense"] else row


def _arrived(client: MilvusClient, uri: str, collection: str) -> int:
    """Documents of whole batches that are there: batches are sent in order, and only the last can be there in part."""
    with failures(uri):
        found = client.query(
            collection, filter="row >= 0", output_fields=["count(*)"], consistency_level="Strong"
        )
    count = int(found[0]["count(*)"])
    return count - count % _BATCH


def _storable(documents: Iterable[Document], bad_rows: BadRows | None) -> Iterator[tuple[Document, str]]:
    """The documents that Milvus can hold, and the text of their terms."""
    for document in documents:
        terms = term_text(analyser.terms(indexed_text(document)))
        problem = _too_long(document, terms)
        if not problem:
            yield document, terms
        elif bad_rows is None:
            raise RowError(problem)
        else:
            bad_rows.add(problem)


def _too_long(document: Document, terms: str) -> str:
    row = json.dumps(document.row(), ensure_ascii=False).encode("utf-8", "replace")
    size, what = max((len(row), "the document takes"), (len(terms), "its terms take"))
    if size > _FIELD_BYTES:
        return (
            f"document {document.id!r}: {what} {size:,} bytes, Milvus holds at most {_FIELD_BYTES:,}; cut documents "
            "with --chunk-tokens 512"
        )
    if len(document.source.encode("utf-8", "replace")) > _SOURCE_BYTES:
        return f"document {document.id!r}: field 'source' is longer than {_SOURCE_BYTES} bytes"
    return ""


def _rows(
    batch: Sequence[tuple[int, tuple[Document, str]]], model: Encoder | None, batch_size: int | None
) -> list[dict[str, Any]]:
    rows = [
        {
            "row": number,
            "terms": terms,
            "source": document.source,
            "evidence_level": document.evidence_level,
            "year": document.year,
            "document": document.row(),
        }
        for number, (document, terms) in batch
    ]
    if model is not None:
        texts = [indexed_text(document) for _, (document, _) in batch]
        for row, vector in zip(rows, model.encode_articles(texts, batch_size).tolist(), strict=True):
            row["vector"] = vector
    return rows


def _upsert(client: MilvusClient, uri: str, collection: str, rows: list[dict[str, Any]]) -> None:
    try:
        with failures(uri):
            client.upsert(collection, rows)
    except RetrievalFailure as failure:
        message = f"{failure}; fix that and start the build again, which resumes after what arrived"
        raise RetrievalFailure(message, failure.kind) from failure
