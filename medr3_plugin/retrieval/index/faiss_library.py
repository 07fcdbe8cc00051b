"""FAISS, loaded and set for machines with few cores too.

FAISS 1.15 chooses how to compare every vector by thresholds measured on 20 and more threads. With 2 they make 64
queries 3 times slower than need be, and a lone one 1.6 times (docs/benchmarks/service.md). Both settings here are
speed only: the neighbours are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medr3_plugin.errors import needs
from medr3_plugin.retrieval.index.encoder import Vectors

MEASURED_ON_MANY = 128_000
"""FAISS's default for the least `queries x dimension` that are compared by a matrix product. FAISS before 1.15
compares the number of queries alone; its default, 20, is left as it is."""
_PER_THREAD = 800
"""What FAISS's authors measured for one thread (facebookresearch/faiss#5109)."""
_SPLIT_PAYS_FROM = 4
"""Threads from which splitting the vectors of one query pays: the split costs 3.4 times the work."""


def faiss_module() -> Any:
    """FAISS, or a clear error."""
    with needs("faiss-cpu", "dense", "dense retrieval"):
        import faiss
    if faiss.cvar.distance_compute_blas_threshold == MEASURED_ON_MANY:
        least = _PER_THREAD * faiss.omp_get_max_threads()
        faiss.cvar.distance_compute_blas_threshold = min(least, MEASURED_ON_MANY)
    return faiss


def search(index: Any, vectors: Vectors, topk: int, parameters: Any = None) -> tuple[Any, Any]:
    """`index.search`: scores and row numbers, each `[queries, topk]`, -1 where there is nothing more."""
    faiss = faiss_module()
    threads = faiss.omp_get_max_threads()
    alone = len(vectors) == 1 and threads < _SPLIT_PAYS_FROM
    if alone:
        faiss.omp_set_num_threads(1)  # of the calling thread only
    try:
        scores, rows = index.search(np.ascontiguousarray(vectors, dtype=np.float32), topk, params=parameters)
    finally:
        if alone:
            faiss.omp_set_num_threads(threads)
    return scores, rows
