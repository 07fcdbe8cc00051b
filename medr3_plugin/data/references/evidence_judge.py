"""Evidence types by a judge model, for documents whose metadata does not tell their level.

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
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import aiohttp
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from medr3_plugin.data.references.caller import Caller, Costs, MeteredClient
from medr3_plugin.data.references.journal import Journal
from medr3_plugin.data.references.pipeline import FATAL_KINDS
from medr3_plugin.errors import JudgeFailure, UserError
from medr3_plugin.judge.chat import Structured
from medr3_plugin.judge.prompt import fence
from medr3_plugin.records import Document
from medr3_plugin.retrieval.corpus.evidence import GUESSED, LEVELS, LOWEST, normalise_type

Scope = Literal["guessed", "lowest"]

STEP = "evidence"
"""Of the journal and the costs."""

MAX_TEXT_CHARACTERS = 6_000
"""A longer text is cut: a study says early what it is."""
GIVE_UP_AFTER = 20
"""Failures of the server in a row after which the other documents are not asked about."""
_WINDOW = 1024  # documents held in memory at a time
_TEMPERATURES = (0.0, 0.3)  # at 0 the same question would bring the same unreadable reply
_MAX_TOKENS = 1024  # the reply is short, but a thinking model thinks first


def _known(name: str) -> str:
    kind = normalise_type(name)
    if kind not in LEVELS:
        raise ValueError(f"expected one of {', '.join(LEVELS)}")
    return kind


class EvidenceReply(BaseModel):
    """What the judge must answer: a key of `evidence.LEVELS`."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    type: Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(LEVELS)})]


class _Client(MeteredClient):
    """A client that gives a dead server up. What is in the journal does not get here, so it is used all the same."""

    _failures_in_a_row = 0

    async def _with_retries(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | None
    ) -> Any:
        if self._failures_in_a_row >= GIVE_UP_AFTER:
            raise JudgeFailure(f"the evidence judge at {self.base_url} was given up", kind="not_asked")
        try:
            reply = await super()._with_retries(session, method, path, body)
        except JudgeFailure as failure:
            if failure.kind in FATAL_KINDS or failure.kind.startswith("status_5"):
                self._failures_in_a_row += 1
            raise
        self._failures_in_a_row = 0
        return reply


class EvidenceJudge:
    """Passes documents on, those without a known level with the judge's.

    Args:
        caller: the server, with its journal. One attempt a reply: unreadable ones are asked for again here.
        scope: `guessed` asks about every document whose level no metadata tells, `lowest` only about those of them
            that the rules left at the lowest level.
        concurrency: questions at the same time.

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
        asked = {_question(document): document for document in documents if self._asks(document)}
        slots = asyncio.Semaphore(self._concurrency)

        async def ask(question: str, document: Document) -> str | JudgeFailure:
            async with slots:
                return await self._ask(question, document)

        replies = await asyncio.gather(*(ask(*item) for item in asked.items()))
        types = dict(zip(asked, replies, strict=True))
        return [
            self._with(document, types[_question(document)]) if self._asks(document) else document
            for document in documents
        ]

    def _asks(self, document: Document) -> bool:
        guessed = document.extra.get("evidence_type_method") in GUESSED
        return guessed and (self._scope == "guessed" or document.evidence_level == LOWEST)

    async def _ask(self, question: str, document: Document) -> str | JudgeFailure:
        messages = [{"role": "system", "content": _rubric()}, {"role": "user", "content": question}]
        for temperature in _TEMPERATURES:
            try:
                reply = await self._caller.json(
                    STEP, document.id, messages, EvidenceReply,
                    temperature=temperature, max_tokens=_MAX_TOKENS,
                )  # fmt: skip
            except JudgeFailure as failure:
                if failure.kind == "bad_response" and temperature != _TEMPERATURES[-1]:
                    continue
                self.first_failure = self.first_failure or str(failure)
                return failure
            return reply.type
        raise AssertionError("unreachable")

    def told(self) -> str:
        """What was judged and what it cost, in a line."""
        costs = self._caller.costs
        return (
            f"evidence judge: {self.judged:,} documents ({costs.calls[STEP]:,} calls, {costs.replayed[STEP]:,} from "
            f"the journal, {costs.prompt_tokens[STEP]:,} + {costs.completion_tokens[STEP]:,} tokens)"
        )

    def raise_for_failures(self) -> None:
        """End a command whose corpus is written, but not judged to the end.

        Raises:
            UserError: how many documents, why, and how to go on.
        """
        if not self.failures:
            return
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.failures.most_common())
        again = "run the same command to ask for these again, what was paid is in the journal"
        if self.failures.keys() == {"bad_response"}:
            again = "unreadable replies are in the journal, too: try another --evidence-model"
        raise UserError(
            f"{self.failures.total()} documents keep the level of the rules ({kinds}): {self.first_failure}; {again}"
        )

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
    text = f"{document.title}\n\n{document.text[:MAX_TEXT_CHARACTERS]}".strip()
    return f"{fence(text)}\n{text}\n{fence(text)}"


@lru_cache
def _rubric() -> str:
    return Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").strip()


@contextmanager
def judging(
    journal: Path, *, url: str, model: str, scope: str, concurrency: int, structured: str
) -> Iterator[EvidenceJudge]:
    """An `EvidenceJudge` from the options of a command, its journal open meanwhile.

    Raises:
        UserError: a wrong option, or a journal that another run holds.
    """
    for option, value, known in (
        ("--evidence-for", scope, get_args(Scope)),
        ("--evidence-structured", structured, get_args(Structured)),
    ):
        if value not in known:
            raise UserError(f"{option} {value!r}: expected {', '.join(known)}")
    if not url.startswith(("http://", "https://")):
        raise UserError(f"--evidence-judge {url!r}: expected an address such as http://127.0.0.1:8000/v1")
    settings: dict[str, Any] = {
        "model": model or None,
        "structured": structured,
        "max_in_flight": concurrency,
    }
    client = _Client(url, role="evidence judge", **settings)
    calls = Journal(journal)
    try:
        caller = Caller(client, calls, Costs(), max_attempts=1)
        yield EvidenceJudge(caller, scope=scope, concurrency=concurrency)  # type: ignore[arg-type]  # checked above
    finally:
        calls.close()
