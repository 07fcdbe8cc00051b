"""Evidence types by a judge model, for documents whose metadata does not give a level.

A corpus passes through `EvidenceJudge` on its way to disk. The documents that are asked about go to an
OpenAI-compatible server many at a time; every reply is in a journal before it is used, so that a build that is
started again pays for none twice. A document whose question fails keeps the level that the rules gave it, and the
failure is counted: no document is lost, and no failure becomes a level.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from medr3_plugin.data.references.caller import Caller, Costs
from medr3_plugin.errors import JudgeFailure
from medr3_plugin.llm.client import ChatClient, Structured
from medr3_plugin.llm.control_tokens import fence, neutralise_control_tokens
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.llm.store import ReplyStore
from medr3_plugin.records import Document
from medr3_plugin.retrieval.corpus.evidence import GUESSED, LEVELS, LOWEST, normalise_type

Scope = Literal["guessed", "lowest"]

STEP = "evidence"
"""Of the journal and the costs."""

SETTINGS = {
    "model": "--evidence-model",
    "structured": "--evidence-structured none",
    "parameters": "--evidence-parameters '{%s}'",
    "length": "its limit with --evidence-parameters '{\"max_tokens\": 4096}'",
}
"""What messages call the options of `medr3 corpus build`, see `llm.client.YAML_SETTINGS`."""

MAX_TEXT_CHARACTERS = 6_000
"""A longer text is cut: a study says early what it is."""
GIVE_UP_AFTER = 20
"""Failures of the server in a row after which the other documents are not asked about."""
_RUBRIC = Path(__file__).with_suffix(".txt")
_WINDOW = 1024  # documents held in memory at a time
_MAX_TOKENS = 1024  # the reply is short, but a thinking model thinks first


def _known(name: str) -> str:
    kind = normalise_type(name)
    if kind not in LEVELS:
        raise ValueError(f"expected one of {', '.join(LEVELS)}")
    return kind


class EvidenceReply(BaseModel):
    """What the judge must answer: a key of `retrieval.corpus.evidence.LEVELS`."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    type: Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(LEVELS)})]


class EvidenceJudge:
    """Passes documents on, those without a known level with the judge's.

    Args:
        scope: `guessed` asks about every document whose level no metadata tells, `lowest` only about those of them
            that the rules left at the lowest level.

    Attributes:
        judged: documents with a level from the judge.
        failures: documents that keep the level of the rules, by `JudgeFailure.kind`; `not_asked` after the judge
            was given up.
        first_failure: the first one's message.
    """

    def __init__(self, caller: Caller, *, scope: Scope = "guessed", concurrency: int = 32) -> None:
        self._caller = caller
        self._scope = scope
        self._concurrency = concurrency
        self.judged = 0
        self.failures: Counter[str] = Counter()
        self.first_failure = ""

    def __call__(self, documents: Iterable[Document]) -> Iterator[Document]:
        """All documents, in order."""
        documents = iter(documents)
        while window := list(islice(documents, _WINDOW)):
            yield from asyncio.run(self._judged(window))

    async def _judged(self, documents: list[Document]) -> list[Document]:
        asked = list(dict.fromkeys(_question(document) for document in documents if self._asks(document)))
        slots = asyncio.Semaphore(self._concurrency)

        async def ask(question: str) -> str | JudgeFailure:
            async with slots:
                return await self._ask(question)

        types = dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))
        return [
            self._with(document, types[_question(document)]) if self._asks(document) else document
            for document in documents
        ]

    def _asks(self, document: Document) -> bool:
        guessed = document.extra.get("evidence_type_method") in GUESSED
        return guessed and (self._scope == "guessed" or document.evidence_level == LOWEST)

    async def _ask(self, question: str) -> str | JudgeFailure:
        messages = [{"role": "system", "content": prompt(_RUBRIC)}, {"role": "user", "content": question}]
        try:
            reply = await self._caller.json(STEP, messages, EvidenceReply, temperature=0.0)
        except JudgeFailure as failure:
            self.first_failure = self.first_failure or str(failure)
            return failure
        return reply.type

    def summary(self) -> str:
        """A line about what was judged and what it cost."""
        took = self._caller.costs[STEP]
        return (
            f"evidence judge: {self.judged:,} documents ({took.replies:,} calls, {took.cache_hits:,} from the journal, "
            f"{took.prompt_tokens:,} + {took.completion_tokens:,} tokens)"
        )

    def raise_for_failures(self) -> None:
        """Raise if the corpus is written but not completely judged.

        Raises:
            JudgeFailure: how many documents, why, and how to resume.
        """
        if not self.failures:
            return
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.failures.most_common())
        again = "run the same command to ask about these again; paid replies are in the journal"
        if self.failures.keys() <= {"bad_response", "truncated"}:
            again = "unreadable replies are in the journal as well: try another --evidence-model"
        total = self.failures.total()
        keep = "1 document keeps" if total == 1 else f"{total:,} documents keep"
        raise JudgeFailure(f"{keep} the level from the rules ({kinds}): {self.first_failure}; {again}")

    def _with(self, document: Document, found: str | JudgeFailure) -> Document:
        if isinstance(found, JudgeFailure):
            self.failures[found.kind] += 1
            return document
        self.judged += 1
        return dataclasses.replace(
            document,
            evidence_type=found,
            evidence_level=LEVELS[found],
            extra={**document.extra, "evidence_type_method": "classifier"},
        )


def _question(document: Document) -> str:
    text = neutralise_control_tokens(f"{document.title}\n\n{document.text[:MAX_TEXT_CHARACTERS]}".strip())
    return f"{fence(text)}\n{text}\n{fence(text)}"


@contextmanager
def judging(
    journal: Path,
    *,
    url: str,
    model: str,
    scope: Scope,
    concurrency: int,
    structured: Structured,
    parameters: Mapping[str, Any] | None = None,
) -> Iterator[EvidenceJudge]:
    """An `EvidenceJudge` from the options of a command, its journal open meanwhile.

    Args:
        parameters: of every request, see `ChatClient`; what is None is left out.

    Raises:
        UserError: a journal that cannot be used.
    """
    client = ChatClient(
        url,
        role="evidence judge",
        settings=SETTINGS,
        model=model or None,
        structured=structured,
        max_in_flight=concurrency,
        params=parameters,
        give_up_after=GIVE_UP_AFTER,
    )
    calls = ReplyStore(journal, setting="--out", must_keep=True)
    try:
        max_tokens = (parameters or {}).get("max_tokens") or _MAX_TOKENS
        caller = Caller(client, calls, Costs(), max_attempts=2, max_tokens=max_tokens)
        yield EvidenceJudge(caller, scope=scope, concurrency=concurrency)
    finally:
        calls.close()
