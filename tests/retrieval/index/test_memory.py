from __future__ import annotations

from pathlib import Path

import pytest
from index_helpers import rows, write_jsonl

from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index import memory
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.index.memory import (
    MemoryEstimate,
    available_memory,
    estimate_memory,
    warn_if_short,
)

WORKING = 300 << 20


def manifest(path, article_path=None):
    encoder = {"path": str(path), "article_path": article_path and str(article_path)}
    return {"files": {"vectors": {"bytes": 5 << 20}}, "dense": {"encoder": encoder}}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A local Hugging Face cache; returns a function that puts a model of some bytes into it."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: pytest.fail("asked the network"))

    def put(name, files):
        repository = tmp_path / f"models--{name.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("0123abcd")
        (repository / "blobs").mkdir()
        snapshot = repository / "snapshots" / "0123abcd"
        snapshot.mkdir(parents=True)
        for number, (file, size) in enumerate({"config.json": 2, **files}.items()):
            (repository / "blobs" / str(number)).write_bytes(bytes(size))
            (snapshot / file).symlink_to(repository / "blobs" / str(number))

    return put


def test_an_encoder_in_the_cache_is_counted(cache):
    cache("ncbi/query", {"model.safetensors": 1000, "pytorch_model.bin": 1001, "tokenizer.json": 50})
    estimate = estimate_memory(manifest("ncbi/query", "ncbi/article"))  # searching loads the first alone
    assert (estimate.resident, estimate.mapped) == (WORKING + 1000, 5 << 20)
    assert str(estimate) == "about 300 MB a process, and 5 MB of memory-mapped files"


def test_a_name_without_owner(cache):
    cache("sentence-transformers/mini", {"pytorch_model.bin": 77})
    assert estimate_memory(manifest("mini")).resident == WORKING + 77


@pytest.mark.parametrize("path", ["ncbi/query", "/no/such/model", "a/b/c", "~/none"])
def test_an_encoder_that_is_not_here_is_said_to_be_missing(cache, path):
    estimate = estimate_memory(manifest(path))
    assert estimate.resident == WORKING
    assert str(estimate) == "about 300 MB a process plus the encoder, and 5 MB of memory-mapped files"


def test_weights_not_downloaded_yet(cache):
    cache("ncbi/query", {})
    assert estimate_memory(manifest("ncbi/query")).without_encoder


def test_an_encoder_that_moved(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(30))
    assert estimate_memory(manifest("/no/such/model"), str(tmp_path)).resident == WORKING + 30


def test_bm25_needs_no_encoder():
    estimate = estimate_memory({"files": {}, "bm25": {"terms": 10}})
    assert (estimate.resident, estimate.without_encoder) == (1300, False)


def test_vectors_and_a_reranker_are_counted(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(30))
    content = {"files": {"dense/vectors.faiss": {"bytes": 70}, "documents/rows.jsonl": {"bytes": 5}}}
    estimate = estimate_memory(content, reranker=str(tmp_path))
    assert (estimate.mapped, estimate.scanned, estimate.resident) == (75, 70, 30)


@pytest.mark.parametrize(
    ("free", "processes", "warns"),
    [(170, 1, False), (169, 1, True), (269, 2, True), (270, 2, False), (None, 9, False)],
)
def test_a_warning_only_when_it_does_not_fit(monkeypatch, caplog, free, processes, warns):
    monkeypatch.setattr(memory, "available_memory", lambda: free)
    warn_if_short(Path("index"), MemoryEstimate(mapped=9_000, resident=100, scanned=70), processes)
    assert ("of memory in" in caplog.text) == warns


def test_opening_an_index_that_does_not_fit(tmp_path, monkeypatch, caplog):
    build_index(write_jsonl(tmp_path / "c.jsonl", rows(20)), tmp_path / "index")
    open_index(tmp_path / "index").close()
    assert caplog.text == ""
    monkeypatch.setattr(memory, "available_memory", lambda: 99)
    open_index(tmp_path / "index").close()
    assert f"{tmp_path / 'index'}: needs about" in caplog.text
    assert "99 B is free" in caplog.text


def test_the_limit_of_a_control_group(tmp_path):
    inner = tmp_path / "job" / "task"
    inner.mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("1:name=systemd:/x\n0::/job/task\n")
    assert list(memory._left_in_groups(tmp_path, own)) == []
    for folder, limit in ((inner, "max"), (inner.parent, "1000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text("900\n")
        (folder / "memory.stat").write_text("anon 500\nfile 300\n")
    assert list(memory._left_in_groups(tmp_path, own)) == [400]


def test_what_is_free_here():
    free = available_memory()
    assert free is None or 0 <= free < 1 << 50
