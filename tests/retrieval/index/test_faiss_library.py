"""Speed settings must not change what is found, nor leak out of a search."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("faiss")

import faiss

from medr3_plugin.retrieval.index import faiss_library
from medr3_plugin.retrieval.index.faiss_library import faiss_module, search


@pytest.fixture
def settings():
    """FAISS as it was before the test."""
    threshold, threads = faiss.cvar.distance_compute_blas_threshold, faiss.omp_get_max_threads()
    yield
    faiss.cvar.distance_compute_blas_threshold = threshold
    faiss.omp_set_num_threads(threads)


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).standard_normal((12_000, 16), dtype=np.float32)


@pytest.fixture(scope="module")
def index(vectors):
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    return flat


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("queries", [1, 3, 300])
def test_the_neighbours_are_those_of_the_full_product(settings, index, vectors, threads, queries):
    faiss.omp_set_num_threads(threads)
    faiss.cvar.distance_compute_blas_threshold = faiss_library.MEASURED_ON_MANY
    asked = vectors[:queries] + 0.1
    expected = np.argsort(-(asked @ vectors.T), axis=1)[:, :3]
    scores, rows = search(index, asked, 3)
    assert (rows == expected).all() and (np.diff(scores) <= 0).all()
    assert faiss.omp_get_max_threads() == threads


@pytest.mark.parametrize(("threads", "threshold"), [(1, 800), (2, 1600), (400, 128_000)])
def test_the_matrix_product_begins_earlier_with_fewer_threads(settings, threads, threshold):
    faiss.omp_set_num_threads(threads)
    faiss.cvar.distance_compute_blas_threshold = faiss_library.MEASURED_ON_MANY
    assert faiss_module().cvar.distance_compute_blas_threshold == threshold


def test_a_threshold_of_ones_own_is_kept(settings):
    faiss.cvar.distance_compute_blas_threshold = 20
    assert faiss_module().cvar.distance_compute_blas_threshold == 20


def test_a_failed_search_gives_the_threads_back(settings, index):
    faiss.omp_set_num_threads(2)
    with pytest.raises(AssertionError):  # FAISS's own check of the dimension
        search(index, np.zeros((1, 3), np.float32), 1)
    assert faiss.omp_get_max_threads() == 2
