from __future__ import annotations

import pytest

from medr3_plugin.retrieval.memory import estimate_memory

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
