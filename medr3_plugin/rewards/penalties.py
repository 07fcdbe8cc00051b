"""Penalties: zero or negative, added to the reward. Formulas of the paper's release."""

from __future__ import annotations

import math
import re

from medr3_plugin.rewards.language import same_cjk_flag_share, same_language_share
from medr3_plugin.rewards.options import Overlong, PenaltyScales
from medr3_plugin.trajectory import THINK_CLOSE, THINK_OPEN, Trajectory

_ANSWER_TAG = re.compile("</?answer>")
_SATURATION = 1 - math.exp(-2)


def length_score(think: str, answer: str) -> float:
    """How well the think text outweighs the answer: 0 if either is empty, 1 from twice its length on.

    L = (1 − exp(−min(|think| / |answer|, 2))) / (1 − exp(−2)), lengths in characters.

    >>> round(length_score("x" * 10, "y" * 10), 3)
    0.731
    """
    if not answer:
        return 0.0
    return (1 - math.exp(-min(len(think) / len(answer), 2.0))) / _SATURATION


def overlong_penalty(tokens: int | None, ramp: Overlong) -> float:
    """Linear ramp from 0 at `max_tokens − buffer` to −`factor` at `max_tokens` (DAPO, arXiv:2503.14476).

    Args:
        tokens: length of the response, documents included; None switches the ramp off.

    >>> overlong_penalty(950, Overlong(max_tokens=1000, buffer=100, factor=1.0))
    -0.5
    """
    if tokens is None or ramp.max_tokens is None:
        return 0.0
    excess = tokens - (ramp.max_tokens - ramp.buffer)
    return -ramp.factor * min(max(excess / ramp.buffer, 0.0), 1.0)


def penalties(
    trajectory: Trajectory, question: str, shape: float, tokens: int | None, scales: PenaltyScales
) -> dict[str, float]:
    """The four penalties of a trajectory, by the record's keys.

    Args:
        shape: its format score.
        tokens: see `overlong_penalty`.
    """
    # blanks around searches are not thoughts, and differ between chat templates and the tag protocol
    think, answer = " ".join(trajectory.reasoning.split()), trajectory.answer or ""
    off = 2 - same_language_share(think, question) - same_language_share(answer, question)
    return _signed(shape, length_score(think, answer), off, tokens, scales)


def authors_penalties(
    trajectory: Trajectory, question: str, shape: float, tokens: int | None, scales: PenaltyScales
) -> dict[str, float]:
    """The same by the release's rules.

    Everything before the last `</think>` is think text; a segment's language is whether it holds a Chinese
    character.
    """
    think, answer = think_and_answer(trajectory)
    off = 2 - same_cjk_flag_share(think, question) - same_cjk_flag_share(answer, question)
    return _signed(shape, length_score(think, answer), off, tokens, scales)


def think_and_answer(trajectory: Trajectory) -> tuple[str, str]:
    """The release's split at the last `</think>`, searches and documents removed from both sides."""
    own = "".join(
        trajectory.text[span.start : span.end]
        for span in trajectory.spans
        if span.kind not in ("search", "document")
    )
    think, closed, answer = own.rpartition(THINK_CLOSE)
    if not closed:
        think, answer = own, ""
    return think.replace(THINK_OPEN, "").strip(), _ANSWER_TAG.sub("", answer).strip()


def _signed(
    shape: float, length: float, off_language: float, tokens: int | None, scales: PenaltyScales
) -> dict[str, float]:
    return {
        # 0.0 - x, because -x would write -0.0 into the record
        "penalty_format": 0.0 - scales.format * (1 - shape),
        "penalty_length": 0.0 - scales.length * (1 - length),
        "penalty_language": 0.0 - scales.language * off_language,
        "penalty_overlong": 0.0 + overlong_penalty(tokens, scales.overlong),
    }
