from __future__ import annotations

import pytest
from index_helpers import rows, tiny_encoder, write_jsonl

from medr3_plugin.errors import UserError
from medr3_plugin.records import Document, Hit
from medr3_plugin.retrieval.engine import SearchOptions, open_index
from medr3_plugin.retrieval.index.build import build_index
from medr3_plugin.retrieval.rerank import CrossEncoderReranker, prefer_evidence


def hits(*levels: int) -> list[Hit]:
    return [
        Hit(Document(id=str(rank), text="x", evidence_level=level), 10.0 - rank)
        for rank, level in enumerate(levels)
    ]


def order(reordered) -> list[str]:
    return [hit.document.id for hit in reordered]


def test_no_prior_changes_nothing():
    given = hits(1, 9, 5)
    assert prefer_evidence(given, 0) == given


def test_the_prior_by_hand():
    # 1/11 * 1, 1/12 * 1.5: the meta-analysis overtakes
    reordered = prefer_evidence(hits(1, 9), 0.5)
    assert order(reordered) == ["1", "0"]
    assert [hit.score for hit in reordered] == pytest.approx([1.5 / 12, 1 / 11])


def test_equal_levels_keep_their_order_and_a_far_rank_cannot_win():
    assert order(prefer_evidence(hits(3, 3, 3), 1)) == ["0", "1", "2"]
    assert order(prefer_evidence(hits(*[1] * 30, 9), 1))[0] == "0"


def test_a_missing_reranker():
    with pytest.raises(UserError, match="/no/such/model"):
        CrossEncoderReranker("/no/such/model")


def test_a_cross_encoder_reorders(tmp_path):
    pytest.importorskip("sentence_transformers")
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoModelForSequenceClassification

    tiny_encoder(tmp_path / "model")
    plain = tmp_path / "model-plain"
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(plain, num_labels=1).save_pretrained(plain)
    build_index(write_jsonl(tmp_path / "c.jsonl", rows(40)), tmp_path / "index")
    query = "heart failure trial"
    engine = open_index(tmp_path / "index", SearchOptions(reranker=str(plain), rerank_depth=20))
    found = engine.search([query, ""], 5)
    assert found[1] == []
    candidates = open_index(tmp_path / "index").search([query], 20)[0]
    oracle = CrossEncoder(str(plain)).predict(
        [
            (query, f"{hit.document.title}. {hit.document.text}" if hit.document.title else hit.document.text)
            for hit in candidates
        ]
    )
    best = sorted(range(len(candidates)), key=lambda place: -oracle[place])[:5]
    assert order(found[0]) == [candidates[place].document.id for place in best]
    assert [hit.score for hit in found[0]] == pytest.approx(
        [float(oracle[place]) for place in best], rel=1e-4
    )


def test_hits_past_the_depth_follow(monkeypatch):
    reranker = CrossEncoderReranker("owner/name", depth=2)

    class Model:
        def predict(self, pairs, **options):
            import numpy as np

            return np.arange(len(pairs), dtype=np.float32)

    monkeypatch.setattr(reranker, "_loaded", Model)
    reordered = reranker.apply(["query", "nothing"], [hits(1, 1, 1, 1), []])
    assert order(reordered[0]) == ["1", "0", "2", "3"]
    assert [hit.score for hit in reordered[0]] == sorted((hit.score for hit in reordered[0]), reverse=True)
    assert reordered[1] == []
