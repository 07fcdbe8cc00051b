"""A Milvus collection as an index: what is in it, and how it is searched.

A server or cluster (`http://host:19530`) and Milvus Lite (a file that ends in `.db`) take the same calls. A document
is a row:

* `row`: its number in the corpus, the primary key. Row -1 holds the manifest: what the collection was filled with.
* `terms`: the terms of our own analyser, for Milvus's cannot tell hepatitis C from hepatitis B and Milvus Lite has none
  for English; its BM25 function turns them into `bm25`, and keeps the statistics as rows come in.
* `vector`: the document's embedding, if the collection was filled with an encoder.
* `source`, `evidence_level`, `year`: what filters look at.
* `document`: the document, as a JSON object.

Hybrid search is two searches and our own fusion, whose weights depend on the query.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.records import Hit
from medr3_plugin.retrieval.engine import Engine, SearchOptions
from medr3_plugin.retrieval.hybrid import FIRST, fuse_one
from medr3_plugin.retrieval.index import analyser
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.index.lexical import Rows, Scores, query_terms
from medr3_plugin.retrieval.index.store import document_from_row
from medr3_plugin.retrieval.milvus_access import MANIFEST_ROW, connect, failures, manifest_of, term_text
from medr3_plugin.retrieval.protocol import TOKEN_ENV

if TYPE_CHECKING:
    from collections.abc import Collection

    from pymilvus import MilvusClient

    from medr3_plugin.retrieval.index.encoder import Encoder

Ranking = Literal["bm25", "dense", "hybrid"]

_PAGE = 1000  # documents of one request: 2 MB of abstracts, far from gRPC's limits


def expression(filters: Filters | None) -> str:
    """Filters in Milvus's language; empty where everything passes. Documents without a year pass no bound of years."""
    if filters is None:
        return ""
    conditions = []
    if filters.sources is not None:
        # JSON's escapes are Milvus's; ASCII, so that no letter depends on the server's locale
        conditions.append(f"source in {json.dumps(list(filters.sources), ensure_ascii=False)}")
    for field, low, high in (
        ("evidence_level", filters.min_evidence_level, filters.max_evidence_level),
        ("year", filters.min_year, filters.max_year),
    ):
        conditions += [f"{field} >= {low}"] * (low is not None) + [f"{field} <= {high}"] * (high is not None)
    return " and ".join(conditions)


class MilvusEngine(Engine):
    """`engine.Engine` over a collection. Use `open_collection`.

    Attributes:
        manifest: what the collection was filled with.
    """

    def __init__(
        self,
        client: MilvusClient,
        uri: str,
        collection: str,
        manifest: dict[str, Any],
        *,
        ranking: Ranking,
        encoder: Encoder | None,
        options: SearchOptions,
        timeout_s: float,
    ) -> None:
        self.manifest = manifest
        self._client = client
        self._uri = uri
        self._collection = collection
        self._ranking = ranking
        self._encoder = encoder
        self._timeout_s = timeout_s
        super().__init__(options)

    def __len__(self) -> int:
        return int(self.manifest["documents"]["count"])

    def candidates(self, queries: Sequence[str], count: int, filters: Filters | None) -> list[list[Hit]]:
        """See `engine.Engine.candidates`.

        Raises:
            UserError: a source that no document has.
            RetrievalFailure: (`milvus`) the server failed.
        """
        sources = self.manifest["documents"]["sources"]
        if filters is not None and sources is not None:
            filters.check_sources(sources)
        if filters is not None and filters.sources == ():
            return [[] for _ in queries]
        ranked = self._rank(queries, count, expression(filters))
        documents = self._documents({int(row) for rows, _ in ranked for row in rows})
        return [
            [Hit(documents[int(row)], float(score)) for row, score in zip(rows, scores, strict=True)]
            for rows, scores in ranked
        ]

    def warm_up(self) -> None:
        """See `engine.Engine.warm_up`."""
        self.search(["warm up"], 1)
        super().warm_up()

    def close(self) -> None:
        """See `engine.Engine.close`."""
        self._client.close()

    def _rank(self, queries: Sequence[str], topk: int, where: str) -> list[tuple[Rows, Scores]]:
        """Row numbers and scores of each query, best first."""
        if self._ranking == "bm25":
            return self._lexical(queries, topk, where)
        if self._ranking == "dense":
            return self._dense(queries, topk, where)
        depth = max(topk, self._options.depth, FIRST)
        both = zip(self._lexical(queries, depth, where), self._dense(queries, depth, where), strict=True)
        return [
            fuse_one(sum(map(len, query_terms(query))), lexical, dense, topk)
            for query, (lexical, dense) in zip(queries, both, strict=True)
        ]

    def _lexical(self, queries: Sequence[str], topk: int, where: str) -> list[tuple[Rows, Scores]]:
        return self._nearest("bm25", [term_text(query_terms(query)[0]) for query in queries], topk, where)

    def _dense(self, queries: Sequence[str], topk: int, where: str) -> list[tuple[Rows, Scores]]:
        if self._encoder is None:
            raise RuntimeError("a ranking by vectors was chosen without an encoder")
        return self._nearest("vector", self._encoder.encode_queries(queries).tolist(), topk, where)

    def _nearest(self, field: str, data: list[Any], topk: int, where: str) -> list[tuple[Rows, Scores]]:
        with failures(self._uri):
            found = self._client.search(
                self._collection,
                data=data,
                anns_field=field,
                filter=where,
                # one more, for the manifest has a vector, too
                limit=min(topk, len(self)) + 1,
                output_fields=["row"],  # without this Milvus Lite sends whole rows
                timeout=self._timeout_s,
            )
        ranked = []
        for hits in found:
            kept = [(int(hit["row"]), float(hit["distance"])) for hit in hits if hit["row"] != MANIFEST_ROW]
            rows = np.array([row for row, _ in kept[:topk]], dtype=np.int64)
            scores = np.array([score for _, score in kept[:topk]], dtype=np.float32)
            # Milvus Lite gives BM25 as a distance, that is, negated; the order is right in both
            ranked.append((rows, np.abs(scores) if field == "bm25" else scores))
        return ranked

    def _documents(self, rows: Collection[int]) -> dict[int, Any]:
        documents, wanted = {}, sorted(rows)
        for start in range(0, len(wanted), _PAGE):
            with failures(self._uri):
                found = self._client.get(
                    self._collection,
                    ids=wanted[start : start + _PAGE],
                    output_fields=["row", "document"],
                    timeout=self._timeout_s,
                )
            documents.update({int(row["row"]): document_from_row(dict(row["document"])) for row in found})
        if missing := set(wanted) - documents.keys():
            raise RetrievalFailure(f"{self._uri}: row {min(missing)} was found and is gone", "milvus")
        return documents


def open_collection(
    uri: str,
    collection: str,
    options: SearchOptions | None = None,
    *,
    ranking: Ranking | None = None,
    token_env: str = TOKEN_ENV,
    timeout_s: float = 30.0,
) -> MilvusEngine:
    """Open a collection for searching.

    Args:
        uri: `http://host:port` of a server or cluster, or a Milvus Lite file.
        options: how to search it; an encoder may be elsewhere than it was.
        ranking: None takes `hybrid` where the collection has vectors, else `bm25`.
        token_env: see `connect`.
        timeout_s: deadline of a request to the server.

    Raises:
        UserError: no server, no such collection, an unfinished or older one, or another encoder.
        RetrievalFailure: the server failed.
    """
    options = options or SearchOptions()
    if "://" not in uri and not Path(uri).expanduser().exists():
        raise UserError(
            f"uri {uri!r}: no such file; fill it with `medr3 index build --engine milvus --uri {uri}`"
        )
    client = connect(uri, token_env=token_env, timeout_s=timeout_s)
    try:
        manifest = manifest_of(client, uri, collection)
        if manifest is None:
            raise UserError(
                f"{uri}: no collection {collection!r}; fill it with `medr3 index build --engine milvus --uri {uri} "
                f"--collection {collection}`"
            )
        if manifest["analyser"] not in analyser.READABLE:
            raise UserError(
                f"{uri}: collection {collection!r} was filled by another version of the analyser "
                f"({manifest['analyser']}, now {analyser.VERSION}); fill it again with --overwrite"
            )
        if not manifest["finished"]:
            raise UserError(
                f"{uri}: collection {collection!r} is not complete; run its build again, which resumes"
            )
        vectors = manifest["dense"]
        chosen = ranking or ("hybrid" if vectors else "bm25")
        if chosen != "bm25" and not vectors:
            raise UserError(
                f"{uri}: collection {collection!r} has no vectors, so it cannot be searched with {chosen}; fill it "
                "with --encoder, or search with bm25"
            )
        encoder = None
        if chosen != "bm25":
            from medr3_plugin.retrieval.index.encoder import Encoder, check_probe

            encoder = Encoder(options.encoder_config(vectors["encoder"]))
            check_probe(encoder, vectors["probe"], Path(f"{uri} {collection}"))
        return MilvusEngine(
            client,
            uri,
            collection,
            manifest,
            ranking=chosen,
            encoder=encoder,
            options=options,
            timeout_s=timeout_s,
        )
    except BaseException:
        client.close()
        raise
