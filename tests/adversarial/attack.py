"""An attempt to earn more than is deserved, and the ceiling it must stay under.

A ceiling says which answer level the attack may at most be given, and how much of S (reasoning), T (retrieval)
and C (coordination) it may at most earn. The reward that follows from it depends on the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cases import ANSWERS, HONEST_TURNS, QUESTION

from medr3_plugin.records import SearchTurn

FORGED, NO_ANSWER, WRONG, PARTLY, RIGHT = -2, -1, 0, 1, 2


@dataclass(frozen=True)
class Attack:
    """One attempt.

    Attributes:
        level: the best answer level it may reach (`FORGED` and `NO_ANSWER` are the floors below wrong).
        reasoning, retrieval, coordination: the most it may earn of S, T and C.
    """

    name: str
    response: str
    level: int
    reasoning: float = 1.0
    retrieval: float = 1.0
    coordination: float = 1.0
    searches: tuple[SearchTurn, ...] = HONEST_TURNS
    options: Mapping[str, str] | None = None
    question: str = QUESTION
    answers: tuple[str, ...] = ANSWERS
