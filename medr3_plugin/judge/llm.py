"""The LLM judge: rubric prompt, strict reply, and one call for equal cases."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from medr3_plugin.judge.base import WRONG, Verdict
from medr3_plugin.judge.prompt import is_rare_disease, messages
from medr3_plugin.llm.client import ChatClient, Completion
from medr3_plugin.llm.json_reply import ask_json, read_json
from medr3_plugin.llm.stats import current
from medr3_plugin.llm.store import ReplyStore, reply_key

MAX_ANSWER_CHARS = 8_000
"""A longer answer counts as wrong without asking: no final answer is that long, and a judge would get lost in it."""


class Reply(BaseModel):
    """What a judge model must answer; only the numbers 0, 1 and 2 are valid scores."""

    model_config = ConfigDict(strict=True)

    reason: str = ""
    score: Annotated[int, Field(ge=0, le=2)]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "score": {"type": "integer", "enum": [0, 1, 2]}},
    "required": ["reason", "score"],
    "additionalProperties": False,
}
"""The JSON schema sent to servers that can decode under a schema."""


class LLMJudge:
    """An `AnswerJudge` over a chat server.

    Args:
        source: prefix of `Verdict.source`.
        replies: where replies are stored; by default only requests in progress are shared.
        special_tokens: control tokens of the judge's tokenizer, if known; the usual kinds are neutralised anyway.
    """

    def __init__(
        self,
        chat: ChatClient,
        *,
        source: str = "openai",
        replies: ReplyStore | None = None,
        special_tokens: Collection[str] = (),
    ) -> None:
        self.chat = chat
        self._source = source
        self._replies = replies or ReplyStore(None)
        self.special_tokens = frozenset(special_tokens)

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
            rare_disease=is_rare_disease(dataset),
            special_tokens=self.special_tokens,
        )
        repair = "score" not in answer.casefold()  # a student may also plant a verdict in words
        chat = self.chat
        model = await chat.served_model()
        key = reply_key(prompt, model, {**chat.params, "format": chat.structured, **chat.extra_body})

        async def ask() -> Completion:
            return (await ask_json(chat, prompt, Reply, schema=SCHEMA, shown=answer, repair=repair))[1]

        completion = await self._replies.once(key, ask)
        reply, _ = read_json(completion.text, Reply, shown=answer, repair=repair)
        return Verdict(reply.score, reply.reason, f"{self._source}:{model}")

    def close(self) -> None:
        """Close the file of replies. Otherwise it is closed with the process; nothing is lost."""
        self._replies.close()
