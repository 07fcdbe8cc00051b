"""Collections of Milvus Lite: filling, resuming, filters as expressions, three rankings, failures."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_helpers import tiny_encoder

from medr3_plugin.errors import RetrievalFailure, RowError, UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.corpus.documents import BadRows
from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index.build import BuildOptions, build_index
from medr3_plugin.retrieval.index.encoder import EncoderConfig
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.milvus import expression, open_collection
from medr3_plugin.retrieval.milvus_access import connect, term_text

pytest.importorskip("milvus_lite")

from medr3_plugin.retrieval.milvus_build import fill_collection

SIGNS = ("fever", "cough", "rash", "headache", "nausea", "fatigue", "tremor", "oedema")
SOURCES = ('it\'s "quoted"', "back\\slash", "中文", "new\nline", "a') or (row >= 0")


def documents(count: int) -> list[Document]:
    return [
        Document(
            f"d{n}",
            f"A patient with {SIGNS[n % 8]} and {SIGNS[n % 5]}, hepatitis {'ABC'[n % 3]}, case{n}. 维生素C缺乏",
            f"Case {n}",
            SOURCES[n % 5],
            "",
            1 + n % 9,
            None if n % 7 == 0 else 1990 + n % 30,
        )
        for n in range(count)
    ]


def write(path, rows) -> str:
    path.write_text("".join(json.dumps(document.row()) + "\n" for document in rows))
    return str(path)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("milvus")
    corpus = write(folder / "corpus.jsonl", documents(120))
    encoder = tiny_encoder(folder / "encoder")
    uri = str(folder / "milvus.db")
    manifest = fill_collection([corpus], uri, "hybrid", encoder=EncoderConfig(str(encoder)))
    build_index([corpus], folder / "index", "hybrid", encoder=str(encoder))
    return uri, manifest, folder / "index", corpus, encoder


QUERIES = ["fever and hepatitis C", "tremor", "case17", "维生素C", "hepatitis B with rash", "no such wrds"]


@pytest.mark.parametrize("source", SOURCES)
def test_filters_mean_what_they_mean_in_process(filled, source):
    uri, _, index, *_ = filled
    here, there = open_index(index), open_collection(uri, "hybrid", ranking="bm25")
    for filters in (
        Filters(sources=(source,)),
        Filters(sources=(source, SOURCES[0]), min_evidence_level=3, max_year=2005),
        Filters(sources=()),
        Filters(min_year=2015),
    ):
        found = there.search(["patient"], 200, filters)[0]
        wanted = here.retriever.lexical.search(["patient"], 200, filters.mask(here.store))[0][0]
        assert {hit.document.id for hit in found} == {here.store[row].id for row in wanted if row >= 0}
    there.close()


@pytest.mark.parametrize("ranking", ["bm25", "dense", "hybrid"])
def test_rankings_are_those_of_an_index(filled, ranking):
    uri, _, index, *_ = filled
    here, there = open_index(index), open_collection(uri, "hybrid", ranking=ranking)
    if ranking != "hybrid":
        here.retriever = here.retriever.lexical if ranking == "bm25" else here.retriever.dense
    for query, wanted, found in zip(
        QUERIES, here.search(QUERIES, 10), there.search(QUERIES, 10), strict=True
    ):
        assert len(found) == len(wanted), query
        scores = [hit.score for hit in found]
        assert scores == sorted(scores, reverse=True)
        if ranking == "dense":  # which of two equal documents comes first is nobody's business
            assert np.allclose(scores, [hit.score for hit in wanted], atol=1e-3)
    if ranking != "dense":
        assert there.search(["case17"], 10)[0][0].document.id == "d17"
    there.close()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)))
def test_terms_reach_milvus_one_by_one(terms):
    text = term_text(terms)
    tokens = re.findall(r"[^\W_]+", text)
    assert tokens == text.split()
    assert len(tokens) == len(terms)
    assert len(set(tokens)) == len(set(terms))


def test_expression():
    assert expression(None) == expression(Filters()) == ""
    assert expression(Filters(sources=('a"b',), min_year=-5)) == r'source in ["a\"b"] and year >= -5'


def test_a_collection_is_filled_once_and_replaced_only_when_told(filled, tmp_path):
    uri, manifest, _, corpus, encoder = filled
    said: list[str] = []
    again = fill_collection([corpus], uri, "hybrid", encoder=EncoderConfig(str(encoder)), notify=said.append)
    assert again == manifest
    assert "up to date" in said[0]
    other = write(tmp_path / "other.jsonl", documents(5))
    with pytest.raises(UserError, match="corpus"):
        fill_collection([other], uri, "hybrid", encoder=EncoderConfig(str(encoder)))
    with pytest.raises(UserError, match="encoder"):
        fill_collection([corpus], uri, "hybrid")
    fill_collection([corpus], uri, "second")
    replaced = fill_collection([other], uri, "second", overwrite=True)
    assert replaced["documents"]["count"] == 5
    engine = open_collection(uri, "second")
    assert len(engine.search(["patient"], 50)[0]) == 5
    with pytest.raises(UserError, match="vectors"):
        open_collection(uri, "second", ranking="dense")
    engine.close()


def test_a_killed_build_resumes(tmp_path):
    corpus = write(tmp_path / "corpus.jsonl", documents(6000))
    uri = str(tmp_path / "milvus.db")
    program = (
        "import sys\n"
        "from medr3_plugin.retrieval.milvus_build import fill_collection\n"
        "fill_collection([sys.argv[1]], sys.argv[2], 'c')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, corpus, uri], stderr=subprocess.DEVNULL)
    files = tmp_path / "milvus.db"
    until = time.monotonic() + 120
    # kill it once some batches have reached the disk
    while time.monotonic() < until and process.poll() is None:
        if files.exists() and sum(f.stat().st_size for f in files.rglob("*") if f.is_file()) > 500_000:
            break
        time.sleep(0.02)
    process.kill()
    process.wait()
    with pytest.raises(UserError, match="'c'"):
        open_collection(uri, "c")
    said: list[str] = []
    manifest = fill_collection([corpus], uri, "c", notify=said.append)
    assert re.search(r"resum\w+ .*\d+ documents", said[0])
    assert manifest["documents"]["count"] == 6000
    engine = open_collection(uri, "c")
    ids = [hit.document.id for hit in engine.search(["patient"], 6000)[0]]
    assert len(ids) == len(set(ids)) == 6000
    engine.close()


def test_documents_that_milvus_cannot_hold(tmp_path):
    long = Document("long", "word " * 20_000, "Long")
    corpus = write(tmp_path / "corpus.jsonl", [*documents(3), long])
    uri = str(tmp_path / "milvus.db")
    with pytest.raises(RowError, match=r"'long'.*--chunk-tokens"):
        fill_collection([corpus], uri, "c")
    bad = BadRows()
    assert fill_collection([corpus], uri, "skipped", bad_rows=bad)["documents"]["count"] == 3
    assert bad.count == 1
    chunked = fill_collection([corpus], uri, "chunked", options=BuildOptions(chunk_tokens=512))
    assert chunked["documents"]["count"] > 30


async def test_a_failing_server_is_a_typed_failure(filled, tmp_path):
    corpus = write(tmp_path / "corpus.jsonl", documents(3))
    uri = str(tmp_path / "milvus.db")
    fill_collection([corpus], uri, "c")
    backend = make_backend({"uri": uri, "collection": "c"})
    assert (await backend.search(["patient"], 5))[0]
    client = connect(uri)
    client.drop_collection("c")
    with pytest.raises(RetrievalFailure) as caught:
        await backend.search(["cough"], 5)
    assert caught.value.kind == "milvus"
    assert "\n" not in str(caught.value)
    client.close()
    await backend.close()
    with pytest.raises(UserError, match="'c'"):
        open_collection(uri, "c")


def test_a_collection_of_somebody_else_is_left_alone(tmp_path):
    uri = str(tmp_path / "milvus.db")
    client = connect(uri)
    client.create_collection("theirs", dimension=4)
    for overwrite in (False, True):
        with pytest.raises(UserError, match="'theirs'"):
            fill_collection([write(tmp_path / "c.jsonl", documents(3))], uri, "theirs", overwrite=overwrite)
    assert client.has_collection("theirs")
    client.close()


def test_a_server_that_never_answers_is_found_at_start():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=uri):
            open_collection(uri, "c", timeout_s=1)


def test_one_process_at_a_time(filled):
    uri, *_ = filled
    engine = open_collection(uri, "hybrid", ranking="bm25")
    program = (
        "import sys\n"
        "from medr3_plugin.errors import UserError\n"
        "from medr3_plugin.retrieval.milvus import open_collection\n"
        "try:\n    open_collection(sys.argv[1], 'hybrid')\n"
        "except UserError as error:\n    print('refused:', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, uri], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused:")
    assert "Traceback" not in done.stderr
    engine.close()
