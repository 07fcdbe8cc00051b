"""The LLM judge: rubric prompt, strict reply, cache, and one call for equal cases in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from medr3_plugin.errors import JudgeFailure
from medr3_plugin.judge.base import WRONG, Verdict
from medr3_plugin.judge.cache import VerdictCache, cache_key
from medr3_plugin.judge.chat import ChatClient
from medr3_plugin.judge.prompt import RARE_DISEASE_DATASETS, is_rare_disease, messages
from medr3_plugin.judge.reply import parse_reply
from medr3_plugin.judge.stats import current

MAX_ANSWER_CHARS = 8_000
"""A longer answer is wrong without a call: no final answer is that long, and a judge loses itself in it."""

_ASKS = 2  # a reply without a verdict is asked for once more
_RETRY_TEMPERATURE = 0.3  # at temperature 0 the same request would bring the same reply


class LLMJudge:
    """An `AnswerJudge` over a chat server.

    Args:
        chat: the client of the server.
        source: prefix of `Verdict.source`.
        cache: verdicts from earlier runs.
        rare_disease_datasets: data sets judged by the rare-disease rubric.
    """

    def __init__(
        self,
        chat: ChatClient,
        *,
        source: str = "openai",
        cache: VerdictCache | None = None,
        rare_disease_datasets: Collection[str] = RARE_DISEASE_DATASETS,
    ) -> None:
        self.chat = chat
        self._source = source
        self._cache = cache
        self._rare = frozenset(name.casefold() for name in rare_disease_datasets)
        # rollouts of one prompt often end in the same answer: (loop, key) -> the call that is under way
        self._under_way: dict[tuple[int, str], _Call] = {}

    async def verdict(
        self,
        *,
        question: str,
        answer: str,
        answers: Sequence[str],
        options: Mapping[str, str] | None,
        dataset: str,
    ) -> Verdict:
        """Judge one answer, see `AnswerJudge.verdict`."""
        current().verdicts += 1
        if not answer.strip():
            return Verdict(WRONG, "no answer", self._source)
        if len(answer) > MAX_ANSWER_CHARS:
            return Verdict(WRONG, f"the answer is longer than {MAX_ANSWER_CHARS} characters", self._source)
        prompt = messages(
            question=question,
            answer=answer,
            answers=answers,
            options=options,
            rare_disease=is_rare_disease(dataset, self._rare),
        )
        chat = self.chat
        model = await chat.served_model()
        key = cache_key(prompt, model, {**chat.params, "format": chat.structured, **chat.extra_body})
        slot = (id(asyncio.get_running_loop()), key)
        call = self._under_way.get(slot)
        if call is None:
            call = self._under_way[slot] = _Call(asyncio.ensure_future(self._decide(key, model, prompt)))
            call.task.add_done_callback(lambda _: self._under_way.pop(slot, None))
        else:
            current().shared += 1
        return await call.result()

    def close(self) -> None:
        """Close the cache file. Without it, the file is closed with the process; nothing is lost."""
        if self._cache is not None:
            self._cache.close()

    async def _decide(self, key: str, model: str, prompt: list[dict[str, str]]) -> Verdict:
        source = f"{self._source}:{model}"
        cached = await self._cache.get(key) if self._cache is not None else None
        if cached is not None:
            current().cache_hits += 1
            return Verdict(*cached, source)
        verdict = await self._ask(prompt, source)
        if self._cache is not None:
            await self._cache.put(key, verdict.level, verdict.reason, model)
        return verdict

    async def _ask(self, prompt: list[dict[str, str]], source: str) -> Verdict:
        params: dict[str, Any] = {}
        for ask in range(1, _ASKS + 1):
            try:
                reply, repaired = parse_reply(await self.chat.complete(prompt, **params))
            except JudgeFailure as failure:
                if failure.kind != "bad_response" or ask == _ASKS:
                    raise
                current().asked_again += 1
                params["temperature"] = max(_RETRY_TEMPERATURE, self.chat.params.get("temperature") or 0.0)
            else:
                current().repaired += repaired
                return Verdict(reply.score, reply.reason, source)
        raise AssertionError("unreachable")


class _Call:
    """A call with several waiters: a cancelled one does not disturb the others, the last one ends it."""

    def __init__(self, task: asyncio.Task[Verdict]) -> None:
        self.task = task
        self._waiters = 0

    async def result(self) -> Verdict:
        self._waiters += 1
        try:
            return await asyncio.shield(self.task)
        finally:
            self._waiters -= 1
            if not self._waiters and not self.task.done():
                self.task.cancel()
