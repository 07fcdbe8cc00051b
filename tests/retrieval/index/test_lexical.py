from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_helpers import rows

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index import lexical_build
from medr3_plugin.retrieval.index.analyser import terms
from medr3_plugin.retrieval.index.lexical import LexicalIndex
from medr3_plugin.retrieval.index.lexical_build import build_lexical

TEXTS = [f"{row['title']}. {row['text']}" for row in rows(80)]
QUERIES = ["metformin and glucose", "heart failure trials", "Iron iron iron", "case 7 of asthma in children"]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bm25")
    build_lexical(TEXTS, folder)
    return LexicalIndex(folder)


@pytest.mark.parametrize(
    ("query", "american", "british"),
    [
        ("anaemia of chronic disease", "anemia of chronic disease", "anaemia after cardiac surgery"),
        ("foetal alcohol syndrome", "fetal alcohol syndrome", "foetal growth"),
        ("liver metastases of a colon cancer", "liver metastasis of a colon cancer", "bone metastases"),
    ],
)
def test_the_querys_spelling_counts_less_than_what_it_asks_for(tmp_path, query, american, british):
    texts = [american, british, *[f"{american.split()[0]} in cohort {n}" for n in range(20)]]
    build_lexical(texts, tmp_path)
    index = LexicalIndex(tmp_path)
    assert index.search([query], 2)[0].tolist() == [[0, 1]]
    own = next(word for word in query.split() if word in british)
    assert index.search([own], 1)[0].tolist() == [[1]]  # all else equal, it comes first


def bm25s_scores(texts, queries, **parameters):
    bm25s = pytest.importorskip("bm25s")
    oracle = bm25s.BM25(method="lucene", **parameters)
    oracle.index([terms(text) for text in texts], show_progress=False)
    return np.stack([oracle.get_scores(terms(query)) for query in queries])


def test_scores_are_those_of_bm25s(index):
    expected = bm25s_scores(TEXTS, QUERIES, k1=1.5, b=0.75)
    found, scores = index.search(QUERIES, len(TEXTS))
    for number in range(len(QUERIES)):
        held = found[number] >= 0
        assert held.sum() == (expected[number] > 0).sum()
        np.testing.assert_allclose(scores[number][held], expected[number][found[number][held]], rtol=1e-5)
        assert (np.diff(scores[number]) <= 1e-6).all()


def test_bm25s_opens_the_index(tmp_path):
    bm25s = pytest.importorskip("bm25s")
    build_lexical(TEXTS, tmp_path, k1=1.2, b=0.4)
    loaded = bm25s.BM25.load(tmp_path, mmap=True)
    ours = LexicalIndex(tmp_path)
    for query in QUERIES:
        theirs = loaded.get_scores(terms(query))
        found, scores = ours.search([query], 5)
        np.testing.assert_allclose(scores[0], theirs[found[0]], rtol=1e-5)
        assert theirs.max() == pytest.approx(scores[0, 0], rel=1e-5)


@given(
    texts=st.lists(st.text(alphabet="abc dé", min_size=1, max_size=20), min_size=1, max_size=12).filter(
        lambda texts: any(terms(text) for text in texts)
    ),
    block=st.integers(1, 9),
)
@settings(max_examples=40)
def test_the_index_does_not_depend_on_the_block_size(tmp_path_factory, texts, block):
    whole, parts = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parts")
    try:
        build_lexical(texts, whole)
    except UserError:
        return  # stop words only
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lexical_build, "BLOCK", block)
        build_lexical(texts, parts)
    for name in ("data", "indices", "indptr"):
        file = f"{name}.csc.index.npy"
        np.testing.assert_array_equal(np.load(whole / file), np.load(parts / file))


@pytest.mark.parametrize("topk", [1, 2, 5, 79, 80, 10**6])
def test_topk_is_a_prefix_of_the_full_ranking(index, topk):
    full_rows, full_scores = index.search(QUERIES, 80)
    found, scores = index.search(QUERIES, topk)
    width = min(topk, 80)
    assert found.shape == (len(QUERIES), width)
    np.testing.assert_array_equal(found, full_rows[:, :width])
    np.testing.assert_array_equal(scores, full_scores[:, :width])


def test_a_mask_leaves_documents_out(index):
    mask = np.zeros(80, dtype=bool)
    mask[::3] = True
    full, _ = index.search(QUERIES, 80)
    found, _ = index.search(QUERIES, 10, mask)
    for everything, filtered in zip(full, found, strict=True):
        expected = [row for row in everything if row >= 0 and row % 3 == 0][:10]
        assert [row for row in filtered if row >= 0] == expected


@pytest.mark.parametrize(
    "query", ["", " ", "the of and", "zzzz qqqq", "\x00\x01", "<document>", "\ud800", "«»", "٩٩٩"]
)
def test_queries_without_a_known_word_have_no_hits(index, query):
    found, scores = index.search([query], 5)
    assert (found == -1).all()
    assert (scores == 0).all()


def test_odd_queries_find_what_they_name(index):
    expected = index.search(["asthma"], 3)[0].tolist()
    for query in ("ASTHMA", "\x00asthma\x1b[0m", "asthma \ud800", "</document> asthma", "asthma?!"):
        assert index.search([query], 3)[0].tolist() == expected


def test_a_megabyte_is_cut(index):
    begun = time.perf_counter()
    found, _ = index.search(["asthma " * 150_000], 3)
    assert time.perf_counter() - begun < 5
    assert found[0, 0] == index.search(["asthma"], 3)[0][0, 0]


def test_threads_get_the_same_answers(index):
    expected = index.search(QUERIES, 5)[0].tolist()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: index.search(QUERIES, 5)[0].tolist(), range(64)))
    assert all(answer == expected for answer in answers)


def test_the_best_are_those_of_a_sort():
    compiled = pytest.importorskip("medr3_plugin.retrieval.index.lexical_compiled", exc_type=ImportError)
    random = np.random.default_rng(0)
    for size in (1, 127, 128, 129, 600):  # around the blocks that are looked through at once
        for count in (1, 7, 20):
            scores = (random.integers(0, 8, size) * (random.random(size) < 0.5)).astype(np.float32)
            scores[random.integers(0, size, 2)] = -3, np.inf  # of a damaged index
            rows, values = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.float32)
            found = compiled.best(scores, rows, values)
            wanted = [row for row in np.argsort(-scores, kind="stable") if scores[row] > 0][:count]
            np.testing.assert_array_equal(rows[:found], wanted)
            np.testing.assert_array_equal(values[:found], scores[wanted])


@pytest.mark.parametrize("count", [1, 7, 80, 400])
def test_compiled_search_gives_the_same(tmp_path, count):
    pytest.importorskip("numba")
    texts = TEXTS * 5  # documents of equal score come in row order
    build_lexical(texts, tmp_path)
    plain, compiled = LexicalIndex(tmp_path), LexicalIndex(tmp_path)
    compiled.warm_up()
    assert compiled.accumulate is not plain.accumulate
    for mask in (None, np.arange(len(texts)) % 3 == 1, np.zeros(len(texts), dtype=bool)):
        rows, scores = plain.search(QUERIES, count, mask)
        compiled_rows, compiled_scores = compiled.search(QUERIES, count, mask)
        np.testing.assert_array_equal(rows, compiled_rows)
        np.testing.assert_allclose(scores, compiled_scores, rtol=1e-5)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("document", [-1, 3, 2**31 - 1])
def test_a_posting_of_no_document_is_refused(tmp_path, document, warm):
    build_lexical(["gout", "gout and fever", "fever"], tmp_path)
    documents = np.load(tmp_path / "indices.csc.index.npy")
    documents[0] = document
    np.save(tmp_path / "indices.csc.index.npy", documents)
    index = LexicalIndex(tmp_path)
    if warm:
        index.warm_up()
    with pytest.raises(IndexError, match="does not have"):
        index.search(["gout fever"], 2)


def test_opening_imports_nothing_heavy():
    import subprocess

    code = "import sys, medr3_plugin.retrieval.engine; print({'torch', 'faiss', 'numba', 'bm25s'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_corpus_without_words(tmp_path):
    with pytest.raises(UserError):
        build_lexical(["!", "?"], tmp_path)
