"""How much better the policy's queries find the gold documents than the bare question does: a metric, not a reward.

The bare question is searched for beside the trajectory's first search, once for all trajectories of a question that
run in one process. Nothing waits for it before the trajectory's end, the model never sees what it finds, and only
the differences leave this module.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cachetools import LRUCache

from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import RetrievalFailure, UserError
from medr3_plugin.records import MAX_QUERY_CHARS, Hit, SearchTurn, canonical_id
from medr3_plugin.retrieval.backend import RetrievalBackend
from medr3_plugin.retrieval.ndcg import ndcg
from medr3_plugin.rows import sample_of

_KNOWN = 4096  # questions whose search is remembered

_Asked = LRUCache[tuple[Any, ...], "asyncio.Task[float | None]"]
_asked: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Asked] = weakref.WeakKeyDictionary()


class QueryGain:
    """The queries of one trajectory against its question.

    Args:
        row: verl's columns of the sample. Without gold documents nothing is searched for.
    """

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row
        self._gold: dict[str, float] = {}
        self._topk = 0
        self._question: asyncio.Task[float | None] | None = None

    def search_question(self, backend: RetrievalBackend, settings: EnvironmentSettings) -> None:
        """Start searching for the question; called with each search, but only the first call has an effect."""
        if self._question is not None or not settings.query_gain:
            return
        try:
            sample = sample_of(self._row, "the training data's row")
        except UserError:  # the reward manager reads the same row, and says what is wrong with it
            return
        if not sample.gold_docs:
            return
        self._gold = dict.fromkeys(map(canonical_id, sample.gold_docs), 1.0)
        self._topk = settings.topk
        key = (backend, self._topk, sample.question, *sorted(self._gold))
        asked = _asked.setdefault(asyncio.get_running_loop(), LRUCache(_KNOWN))
        if key not in asked:
            asked[key] = asyncio.create_task(self._of_question(backend, sample.question))
        self._question = asked[key]

    async def of(self, turns: Iterable[SearchTurn]) -> list[float]:
        """nDCG@topk of each executed search minus the question's, -1 to 1; empty if there is nothing to compare."""
        if self._question is None:
            return []
        bare = await asyncio.shield(self._question)  # it is not this trajectory's alone
        if bare is None:
            return []
        return [self._ndcg(turn.hits) - bare for turn in turns if turn.executed]

    async def _of_question(self, backend: RetrievalBackend, question: str) -> float | None:
        try:
            return self._ndcg((await backend.search([question[:MAX_QUERY_CHARS]], self._topk))[0])
        except (RetrievalFailure, UserError):
            return None  # a measurement that failed is none, and no failure of the sample

    def _ndcg(self, hits: Sequence[Hit]) -> float:
        return ndcg(self._gold, [hit.document.ids for hit in hits], self._topk)
