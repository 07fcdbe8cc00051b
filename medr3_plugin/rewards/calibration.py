"""Calibration of c0: the cosine that a sentence encoder gives to unrelated reasoning texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medr3_plugin.rewards.encoder import SentenceEncoder


def c0(encoder: SentenceEncoder, texts: Sequence[str]) -> tuple[float, float]:
    """Mean and standard deviation of the cosine over all pairs of `texts`.

    Args:
        texts: reasoning texts of the task's kind about different cases, one a case: a hundred will do.
    """
    vectors = encoder.encode_now(texts)
    cosines = (vectors @ vectors.T)[np.triu_indices(len(texts), k=1)]
    return float(cosines.mean()), float(cosines.std())
