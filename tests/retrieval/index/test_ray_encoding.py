"""Encoding with Ray Data on this machine, with a real (small) encoder in the workers."""

from __future__ import annotations

import subprocess
import sys
import zlib

import numpy as np
import pytest
from index_helpers import rows, tiny_encoder, write_jsonl

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document
from medr3_plugin.retrieval.engine import open_index
from medr3_plugin.retrieval.index import vectors
from medr3_plugin.retrieval.index.ray_encoding import encode_corpus
from medr3_plugin.retrieval.index.store import DocumentStore, StoreWriter
from medr3_plugin.retrieval.index.vectors import SHARD_ROWS, Shards, shard_path

ray = pytest.importorskip("ray")

DOCUMENTS = SHARD_ROWS * 2 + 100  # three shards, the last a short one


class HashingEncoder:
    """Bag of hashed words: needs no model, and knows its texts apart."""

    dimension = 16

    def encode_articles(self, texts, batch_size=None):
        found = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                found[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return found


class BrokenEncoder(HashingEncoder):
    def encode_articles(self, texts, batch_size=None):
        if any("number 2049." in text for text in texts):
            raise UserError("encoder: out of order")
        return super().encode_articles(texts, batch_size)


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encode") / "documents"
    with StoreWriter(folder) as writer:
        for number in range(DOCUMENTS):
            writer.add(Document(f"d{number}", f"A patient, number {number}.", "Case"))
        writer.summary()
    return folder


@pytest.fixture(scope="module")
def cluster():
    # the workers get this module's classes by value: they have no tests folder
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_encodes_what_is_missing_and_nothing_else(cluster, documents, tmp_path):
    store = DocumentStore(documents)
    expected = HashingEncoder().encode_articles(list(store.texts()))
    assert encode_corpus(HashingEncoder, documents, tmp_path, workers=1) == DOCUMENTS
    found = Shards(tmp_path, DOCUMENTS)
    assert np.array_equal(np.concatenate(list(found)), expected)
    # killed after the first shard: only the others are encoded again
    first = shard_path(tmp_path, 0).stat().st_mtime_ns
    shard_path(tmp_path, 1).write_bytes(b"half of a file")
    shard_path(tmp_path, 2).unlink()
    assert encode_corpus(HashingEncoder, documents, tmp_path, workers=1) == DOCUMENTS - SHARD_ROWS
    assert shard_path(tmp_path, 0).stat().st_mtime_ns == first
    assert np.array_equal(np.concatenate(list(Shards(tmp_path, DOCUMENTS))), expected)
    assert encode_corpus(HashingEncoder, documents, tmp_path) == 0


@pytest.mark.slow
def test_a_failing_worker_leaves_whole_shards_and_says_why(cluster, documents, tmp_path):
    with pytest.raises(UserError, match="out of order"):
        encode_corpus(BrokenEncoder, documents, tmp_path, workers=1)
    assert not vectors.is_done(shard_path(tmp_path, 1), SHARD_ROWS)
    assert not list(tmp_path.glob(".*"))
    encode_corpus(HashingEncoder, documents, tmp_path, workers=1)
    assert Shards(tmp_path, DOCUMENTS).documents == DOCUMENTS


def test_a_finished_corpus_needs_no_cluster(documents, tmp_path):
    store = DocumentStore(documents)
    for number in range(3):
        vectors.encode_shard(HashingEncoder(), store, tmp_path, number)
    assert encode_corpus(HashingEncoder, documents, tmp_path) == 0


@pytest.mark.slow
def test_index_build_on_ray_is_the_same_index(cluster, tmp_path):
    pytest.importorskip("sentence_transformers")
    corpus = write_jsonl(tmp_path / "corpus.jsonl", rows(30))
    encoder = tiny_encoder(tmp_path / "encoder")
    found = []
    for how in ("process", "ray"):
        index = tmp_path / how
        build = f"index build --corpus {corpus} --out {index} --engine dense --encoder {encoder} --workers 1"
        done = subprocess.run(
            [sys.executable, "-m", "medr3_plugin.cli", *build.split(), "--encode-with", how],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        hits = open_index(index).search(["metformin glucose", "atrial fibrillation"], 5)
        found.append([[(hit.document.id, round(hit.score, 4)) for hit in query] for query in hits])
    assert found[0] == found[1] and len(found[0][0]) == 5
