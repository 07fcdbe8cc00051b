"""Encoder and reranker on a GPU give what they give on a CPU."""

from __future__ import annotations

import numpy as np
import pytest
from index_helpers import tiny_encoder

from medr3_plugin.records import Document, Hit
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig
from medr3_plugin.retrieval.rerank import CrossEncoderReranker

pytestmark = pytest.mark.gpu

TEXTS = ["Metformin lowers blood glucose.", "hepatitis C treatment", "心力衰竭", "a " * 600]


def test_the_encoder(tmp_path):
    tiny_encoder(tmp_path / "model")
    vectors = {
        device: Encoder(EncoderConfig(str(tmp_path / "model"), device=device)).encode_articles(TEXTS)
        for device in ("cpu", "cuda")
    }
    cosine = (vectors["cpu"] * vectors["cuda"]).sum(axis=1)
    assert np.all(cosine > 0.99)


def test_the_reranker(tmp_path):
    from transformers import AutoModelForSequenceClassification

    tiny_encoder(tmp_path / "model")
    plain = tmp_path / "model-plain"
    AutoModelForSequenceClassification.from_pretrained(plain, num_labels=1).save_pretrained(plain)
    hits = [Hit(Document(id=str(i), title="", text=text), 1.0) for i, text in enumerate(TEXTS)]
    scores = {
        device: {
            hit.document.id: hit.score
            for hit in CrossEncoderReranker(str(plain), device=device).apply(["glucose"], [hits])[0]
        }
        for device in ("cpu", "cuda")
    }
    assert scores["cuda"] == pytest.approx(scores["cpu"], rel=0.05, abs=0.01)
