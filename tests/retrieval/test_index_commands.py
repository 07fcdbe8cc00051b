from __future__ import annotations

import json
from functools import partial

import pytest
from command_line import main
from index_helpers import rows, tiny_encoder, write_jsonl


@pytest.fixture
def medr3(monkeypatch, capsys):
    return partial(main, monkeypatch, capsys)


@pytest.fixture
def corpus(tmp_path):
    return write_jsonl(tmp_path / "corpus.jsonl", rows(30))


def test_build_search_and_info(tmp_path, corpus, medr3):
    index = tmp_path / "index"
    code, out, _ = medr3("index", "build", "--corpus", corpus, "--out", index, "--engine", "bm25")
    assert code == 0
    assert "30 documents, engine bm25" in out
    assert "kB of files" in out
    code, out, _ = medr3("search", "--index", index, "metformin glucose", "--topk", 2)
    assert code == 0
    assert out.startswith("1. [")
    assert "(d0; pubmed; rct; level 6" in out
    code, out, _ = medr3("search", "--index", index, "metformin glucose", "--topk", 2, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["rank"] for line in lines] == [1, 2]
    assert lines[0]["id"] == "d0"
    code, out, _ = medr3(
        "search", "--index", index, "metformin", "--json", "--min-level", 7, "--min-year", 1995
    )
    assert {json.loads(line)["evidence_level"] for line in out.splitlines()} == {7}
    code, out, err = medr3("search", "--index", index, "zzzz")
    assert (code, out, err) == (0, "", "no document matches\n")
    code, out, _ = medr3("index", "info", "--index", index, "--verify")
    assert code == 0
    assert "level 1: 10, level 6: 10, level 7: 10" in out
    assert out.endswith("files are intact\n")


def test_control_characters_do_not_reach_the_terminal(tmp_path, medr3):
    path = write_jsonl(tmp_path / "c.jsonl", [{"id": "a\x07b", "text": "aspirin\x1b[31m\x00\ttab"}])
    medr3("index", "build", "--corpus", path, "--out", tmp_path / "index")
    _, out, _ = medr3("search", "--index", tmp_path / "index", "aspirin")
    assert out.endswith("(a\ufffdb; other; level 1)\n   aspirin\ufffd[31m\ufffd\ttab\n")


def test_columns_of_the_corpus_do_not_hide_rank_and_score(tmp_path, medr3):
    path = write_jsonl(tmp_path / "c.jsonl", [{"id": "1", "text": "aspirin", "score": "high", "rank": 99}])
    medr3("index", "build", "--corpus", path, "--out", tmp_path / "index")
    code, out, _ = medr3("search", "--index", tmp_path / "index", "aspirin", "--json")
    found = json.loads(out)
    assert (code, found["rank"], type(found["score"])) == (0, 1, float)


def test_an_index_that_is_up_to_date_or_is_not(tmp_path, corpus, medr3):
    build = ("index", "build", "--corpus", corpus, "--out", tmp_path / "index")
    assert medr3(*build)[0] == 0
    code, out, err = medr3(*build)
    assert (code, err) == (0, f"{tmp_path / 'index'}: is up to date, nothing was built\n")
    assert "30 documents, engine bm25" in out
    write_jsonl(corpus, rows(31))
    code, out, err = medr3(*build)
    assert (code, out) == (2, "")
    assert "corpus.jsonl" in err and "--overwrite" in err
    assert medr3(*build, "--overwrite")[0] == 0
    _, out, _ = medr3("index", "info", "--index", tmp_path / "index")
    assert f"built from {corpus}\n   corpus.jsonl: {corpus.stat().st_size:,} bytes, sha256 " in out


def test_hybrid_from_the_command_line(tmp_path, corpus, medr3):
    pytest.importorskip("faiss")
    pytest.importorskip("sentence_transformers")
    model = tiny_encoder(tmp_path / "model")
    index = tmp_path / "index"
    code, out, err = medr3(
        "index", "build", "--corpus", corpus, "--out", index, "--engine", "hybrid", "--encoder", model
    )
    assert code == 0, err
    assert "dense index Flat of 32 dimensions" in out
    assert "30 documents x 32 dimensions: index Flat" in err
    code, out, _ = medr3("search", "--index", index, "metformin", "--topk", 3, "--json")
    assert code == 0
    assert len(out.splitlines()) == 3


def test_two_encoders_that_moved_are_found_by_options(tmp_path, corpus, medr3, monkeypatch):
    pytest.importorskip("faiss")
    pytest.importorskip("sentence_transformers")
    query, article = tiny_encoder(tmp_path / "query"), tiny_encoder(tmp_path / "article", seed=1)
    models = ["--encoder", query, "--article-encoder", article]
    index = tmp_path / "index"
    code, _, err = medr3("index", "build", "--corpus", corpus, "--out", index, "--engine", "dense", *models)
    assert code == 0, err
    moved = [path.rename(tmp_path / f"{path.name}-now") for path in (query, article)]
    code, _, err = medr3("search", "--index", index, "metformin", "--encoder", moved[0])
    assert code == 2
    assert "pass the model's folder with --article-encoder" in err
    options = ["--encoder", moved[0], "--article-encoder", moved[1]]
    code, out, err = medr3("search", "--index", index, "metformin", "--topk", 2, "--json", *options)
    assert (code, len(out.splitlines())) == (0, 2), err

    served = []
    monkeypatch.setattr(
        "medr3_plugin.retrieval.serve.server.run_server", lambda given, **_: served.append(given)
    )
    assert medr3("serve", "--index", index, *options)[0] == 0
    assert (served[0].search.encoder, served[0].search.article_encoder) == tuple(map(str, moved))


@pytest.mark.parametrize(
    ("option", "normalise"), [([], True), (["--normalise"], True), (["--no-normalise"], False)]
)
def test_cosine_or_raw_inner_product(tmp_path, corpus, medr3, option, normalise):
    pytest.importorskip("faiss")
    pytest.importorskip("sentence_transformers")
    model, index = tiny_encoder(tmp_path / "model"), tmp_path / "index"
    code, _, err = medr3(
        "index", "build", "--corpus", corpus, "--out", index, "--engine", "dense", "--encoder", model, *option
    )
    assert code == 0, err
    _, out, _ = medr3("index", "info", "--index", index, "--json")
    assert json.loads(out)["dense"]["encoder"]["normalise"] is normalise
    _, out, _ = medr3("search", "--index", index, "metformin", "--topk", 1, "--json")
    assert (json.loads(out)["score"] <= 1.0001) is normalise  # raw: vectors of 32 layer-normed numbers


def test_a_milvus_collection_from_the_command_line(tmp_path, medr3):
    pytest.importorskip("milvus_lite")
    from medr3_plugin.retrieval.milvus import open_collection

    path = write_jsonl(tmp_path / "c.jsonl", [*rows(20), {"id": "x"}])
    uri = tmp_path / "milvus.db"
    fill = ("index", "build", "--corpus", path, "--engine", "milvus", "--uri", uri, "--collection", "c")
    code, _, err = medr3(*fill)
    assert (code, "c.jsonl:21" in err) == (2, True)
    code, out, err = medr3(*fill, "--skip-bad")
    assert (code, "20 documents" in out, "c.jsonl:21" in err) == (3, True, True)
    engine = open_collection(str(uri), "c")
    assert engine.search(["metformin glucose"], 1)[0][0].document.id == "d0"
    engine.close()
    at = ("--uri", uri, "--collection", "c")
    code, out, err = medr3("search", *at, "metformin glucose", "--topk", 2, "--json", "--min-level", 6)
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, found[0]["id"], found[0]["rank"]) == (0, "d0", 1), err
    assert all(hit["evidence_level"] >= 6 for hit in found)
    assert medr3("search", *at, "zzzz")[2] == "no document matches\n"
    for wrong, named in (
        ((), "--index"),
        ((*at, "--index", tmp_path), "--index"),
        ((*at, "--ranking", "dense"), "vectors"),
        ((*at, "--ranking", "best"), "--ranking"),
        (("--uri", uri, "--collection", "d"), "'d'"),
    ):
        code, _, err = medr3("search", *wrong, "metformin")
        assert (code, named in err, err.count("\n")) == (2, True, 1)
    code, _, err = medr3("serve", *at, "--workers", 2)
    assert (code, "--workers" in err) == (2, True)
    assert medr3("serve")[0] == 2


def test_skipped_rows_are_listed(tmp_path, medr3):
    path = write_jsonl(tmp_path / "c.jsonl", [*rows(2), {"id": "x"}, {"text": "y"}])
    code, _, err = medr3("index", "build", "--corpus", path, "--out", tmp_path / "index")
    assert code == 2
    assert err == f"error: {path}:3: field 'text' is missing\n"
    code, out, err = medr3("index", "build", "--corpus", path, "--out", tmp_path / "index", "--skip-bad")
    assert code == 3
    assert "2 documents" in out
    assert "2 wrong rows left out:" in err
    assert "c.jsonl:4: " in err
    write_jsonl(path, [*rows(2), *[{"id": "x"}] * 23])
    code, out, err = medr3("index", "build", "--corpus", path, "--out", tmp_path / "other", "--skip-bad")
    listed = tmp_path / "other" / "documents" / "skipped_rows.jsonl"
    assert f"and 3 more, see {listed}" in err
    assert len(listed.read_text().splitlines()) == 23


def test_corpus_build_says_what_it_left_out_and_did_not_understand(tmp_path, medr3):
    path = tmp_path / "own.csv"
    path.write_text("pmid,title,abstract,evidence_type\n1,T,Sodium,banana\n2,T,,rct\n3,T,Iron,Level 1a\n")
    build = ("corpus", "build", "--out", tmp_path / "out", "--source", path)
    assert medr3(*build)[0] == 2
    code, out, err = medr3(*build, "--skip-bad")
    assert (code, "2 documents (level 1: 2)" in out) == (3, True)
    assert "own.csv:3: " in err
    code, _, err = medr3("index", "build", "--corpus", tmp_path / "out", "--out", tmp_path / "index")
    assert (code, "banana (1), Level 1a (1)" in err) == (0, True)
    code, out, _ = medr3("search", "--index", tmp_path / "index", "sodium", "--json")
    assert (json.loads(out)["id"], json.loads(out)["evidence_type_method"]) == ("pmid:1", "none")


def test_info_counts_sources_types_and_years_and_names_long_documents(tmp_path, medr3):
    long = {"id": "long", "text": "asthma " * 30_000, "source": "books"}
    short = [{"id": f"s{n}", "text": "immune thrombocytopenia (ITP) in adults"} for n in range(2)]
    path = write_jsonl(tmp_path / "c.jsonl", [*rows(30), long, *short])
    code, _, err = medr3("index", "build", "--corpus", path, "--out", tmp_path / "index")
    assert (code, "210,000" in err) == (0, True)
    code, out, _ = medr3("index", "info", "--index", tmp_path / "index", "--json")
    documents = json.loads(out)["documents"]
    assert documents["sources"]["books"] == 1
    assert sum(documents["sources"].values()) == sum(documents["evidence_types"].values()) == 33
    undated = 33 - sum(documents["years"].values())
    assert documents["years"] and undated
    code, out, _ = medr3("index", "info", "--index", tmp_path / "index")
    assert "books: 1" in out and f"without a year: {undated}" in out and "210,000" in out
    assert "abbreviations that the corpus defines: 1\n" in out
    chunked = ("--chunk-tokens", 256)
    _, _, err = medr3("index", "build", "--corpus", path, "--out", tmp_path / "cut", *chunked)
    assert "210,000" not in err


def test_named_sources_are_listed(medr3):
    code, out, _ = medr3("corpus", "sources")
    assert code == 0
    assert "hpo_profiles: " in out
