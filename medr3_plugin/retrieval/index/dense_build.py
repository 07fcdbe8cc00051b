"""Building the FAISS index of a dense engine: which kind, with which parameters, at which recall.

The kind follows from the number of documents unless it is given:

* `Flat` up to 100,000: exact, a few milliseconds per query;
* `SQ8` up to 400,000: every vector is still compared, in a quarter of the memory;
* `HNSW` up to 4 million: sublinear, all vectors in memory;
* `IVF` (with SQ8 codes) above: sublinear, one byte per dimension.

The effort of HNSW and IVF (`efSearch`, `nprobe`) is doubled until recall@10 against exact search reaches
`MIN_RECALL` for queries made of titles and first sentences of the corpus; the recall goes into the manifest.
"""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index.dense import FILE
from medr3_plugin.retrieval.index.encoder import Vectors
from medr3_plugin.retrieval.index.faiss_library import faiss_module
from medr3_plugin.retrieval.index.store import DocumentStore
from medr3_plugin.retrieval.index.vectors import Shards

KINDS = ("auto", "Flat", "SQ8", "HNSW", "IVF")
MIN_RECALL = 0.97
_RECALL_AT = 10
_HNSW_LINKS, _HNSW_CONSTRUCTION = 32, 200
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_TRAINING_PER_LIST = 64
_QUERIES = 256


def choose_kind(documents: int) -> str:
    """The index kind for a corpus of that many documents."""
    if documents <= 100_000:
        return "Flat"
    if documents <= 400_000:
        return "SQ8"
    return "HNSW" if documents <= 4_000_000 else "IVF"


def index_bytes(kind: str, documents: int, dimension: int) -> int:
    """Estimate of the index's size in bytes, on disk as in memory."""
    kind = choose_kind(documents) if kind == "auto" else kind
    per_vector = {
        "Flat": 4 * dimension,
        "SQ8": dimension,
        "HNSW": 4 * dimension + 4 * 2 * _HNSW_LINKS + 40,
        "IVF": dimension + 8,
    }[kind]
    return documents * per_vector


def build_faiss(shards: Shards, folder: Path, kind: str, queries: Vectors | None = None) -> dict[str, Any]:
    """Write the FAISS index of all shards into `folder`.

    Args:
        queries: `[q, dimension]` vectors to tune effort and measure recall with (not for Flat).

    Returns:
        `index`, `search` (effort) and `recall_at_10`, for the manifest.
    """
    faiss = faiss_module()
    documents, dimension = shards.documents, shards.dimension
    kind = choose_kind(documents) if kind == "auto" else kind
    if kind not in KINDS:
        raise UserError(f"unknown dense index {kind!r}; expected one of {', '.join(KINDS)}")
    index = _empty(faiss, kind, documents, dimension)
    if not index.is_trained:
        wanted = _TRAINING_PER_LIST * index.nlist if kind == "IVF" else 100_000
        index.train(shards.sample(wanted))
    for shard in shards:
        index.add(np.ascontiguousarray(shard))
    settings: dict[str, Any] = {"index": kind, "metric": "inner_product", "search": {}, "recall_at_10": 1.0}
    if kind != "Flat":
        if queries is None or not len(queries):
            raise UserError(f"dense index {kind}: no query to measure its recall with")
        settings.update(_tune(faiss, index, kind, queries, exact_neighbours(shards, queries, _RECALL_AT)))
        settings["recall_queries"] = len(queries)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        faiss.write_index(index, str(folder / FILE))
    except RuntimeError as error:
        # FAISS has one exception for everything; a full disk must look like one
        raise OSError(errno.EIO, f"FAISS could not write the index ({error})", str(folder / FILE)) from error
    return settings


def pseudo_queries(store: DocumentStore) -> list[str]:
    """Titles of a random sample of documents, or first sentences: text of the corpus that is like queries."""
    chosen = np.random.default_rng(0).permutation(len(store))[:_QUERIES]
    documents = [store[int(row)] for row in chosen]
    return [
        document.title or _SENTENCE_END.split(document.text, maxsplit=1)[0][:300] for document in documents
    ]


def exact_neighbours(shards: Shards, queries: Vectors, topk: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """`[queries, topk]` rows by exact inner product, one shard in memory at a time."""
    best_scores = np.full((len(queries), 0), -np.inf, dtype=np.float32)
    best_rows = np.full((len(queries), 0), -1, dtype=np.int64)
    start = 0
    for shard in shards:
        scores = np.concatenate([best_scores, queries @ np.asarray(shard).T], axis=1)
        new = np.broadcast_to(np.arange(start, start + len(shard)), (len(queries), len(shard)))
        rows = np.concatenate([best_rows, new], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :topk]
        best_scores, best_rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
        start += len(shard)
    return best_rows


def recall(found: Sequence[Sequence[int]], exact: Sequence[Sequence[int]]) -> float:
    """Mean share of the exact neighbours that were found."""
    shares = [len(set(f) & set(e)) / len(e) for f, e in zip(found, exact, strict=True)]
    return float(np.mean(shares))


def _empty(faiss: Any, kind: str, documents: int, dimension: int) -> Any:
    if kind == "IVF":
        lists = max(1, min(int(4 * math.sqrt(documents)), documents // 39))
        return faiss.index_factory(dimension, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    if kind == "HNSW":
        index = faiss.IndexHNSWFlat(dimension, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW_CONSTRUCTION
        return index
    return faiss.index_factory(dimension, kind, faiss.METRIC_INNER_PRODUCT)


def _tune(faiss: Any, index: Any, kind: str, queries: Vectors, exact: Any) -> dict[str, Any]:
    """Double the effort until the recall is reached or the effort is exhaustive."""
    if kind == "SQ8":
        found = index.search(queries, exact.shape[1])[1]
        return {"recall_at_10": round(recall(found.tolist(), exact.tolist()), 4)}
    name, limit = ("nprobe", index.nlist) if kind == "IVF" else ("efSearch", 4096)
    options: Callable[..., Any] = faiss.SearchParametersIVF if kind == "IVF" else faiss.SearchParametersHNSW
    effort = 8 if kind == "IVF" else 64
    while True:
        effort = min(effort, limit)
        found = index.search(queries, exact.shape[1], params=options(**{name: effort}))[1]
        reached = recall(found.tolist(), exact.tolist())
        if reached >= MIN_RECALL or effort == limit:
            return {"search": {name: effort}, "recall_at_10": round(reached, 4)}
        effort *= 2
