"""The steps of reference construction, each a function of one item and an endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, Field

from medr3_plugin.data.questions import prompts
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.references.caller import Caller, step_messages
from medr3_plugin.judge.base import RIGHT, WRONG
from medr3_plugin.knowledge.extract import Extractor
from medr3_plugin.llm.control_tokens import neutralise_control_tokens
from medr3_plugin.records import Document, Reference, Sample, Triple, is_query
from medr3_plugin.retrieval.backend import RetrievalBackend
from medr3_plugin.rewards.answer.verify import verify
from medr3_plugin.text import bare_words
from medr3_plugin.trajectory import (
    ANSWER_CLOSE,
    DOCUMENT_CLOSE,
    DOCUMENT_OPEN,
    SEARCH_CLOSE,
    closing_query,
    neutralise_tags,
    parse,
)

MAX_DOCUMENT_CHARACTERS = 2000
"""A longer document is cut."""

_STOP = [SEARCH_CLOSE, DOCUMENT_OPEN]
"""The search that ends a turn; most servers leave the tag out at which they stopped."""
_GO_ON = {"en": "Go on with your reasoning.", "zh": "请继续推理。"}
_NOTHING = {"en": "no document found", "zh": "没有找到文献"}
_ENOUGH = {
    "en": "No more searches. Close your reasoning and give the final answer.",
    "zh": "不能再检索了。请结束推理并给出最终答案。",
}


class Suitability(BaseModel):
    """Whether a question stands without its options."""

    suitable: bool
    reason: str = ""


class Rewritten(BaseModel):
    """The open form of a question."""

    question: str = Field(min_length=1)


class Grade(BaseModel):
    """Quality of a trajectory, 1 to 5; halves are accepted."""

    score: float = Field(ge=1, le=5)
    reason: str = ""


AnswerCheck = Callable[[Item, str], Awaitable[bool]]
"""Decides whether an answer is right where rules cannot."""


@dataclass(slots=True)
class Attempt:
    """One reasoning trajectory: the model's text with the documents in place, and the documents."""

    text: str = ""
    documents: list[Document] = field(default_factory=list)


async def is_suitable(caller: Caller, item: Item) -> Suitability:
    """Whether a choice question can be asked without its options; open questions always can."""
    if not item.options:
        return Suitability(suitable=True)
    messages = step_messages("suitability", item.question, options=_listed(item), answer=item.answers[0])
    return await caller.json("suitability", messages, Suitability, max_tokens=256)


async def open_form(caller: Caller, item: Item) -> str:
    """The question without its options; an open question is returned as it is."""
    if not item.options:
        return item.question
    messages = step_messages("rewrite", item.question, options=_listed(item), answer=item.answers[0])
    reply = await caller.json("rewrite", messages, Rewritten, max_tokens=2048)
    return " ".join(reply.question.split())


async def pass_rate(caller: Caller, item: Item, attempts: int, check: AnswerCheck | None) -> float:
    """Share of `attempts` answers of the policy, without search, that are right."""
    messages = prompts.instruction(item.question, "plain")
    right = 0
    for attempt in range(attempts):
        text = await caller.text("difficulty", messages, attempt=attempt, temperature=1.0, max_tokens=2048)
        right += await _is_right(item, text, check)
    return right / attempts


async def _is_right(item: Item, text: str, check: AnswerCheck | None) -> bool:
    parsed = parse(text)
    if not parsed.answer:
        return False
    verdict = verify(parsed.answers, _sample(item, text))
    if verdict is not None:
        return verdict.level == RIGHT
    return check is not None and await check(item, parsed.answer)


async def trajectory(
    caller: Caller,
    item: Item,
    attempt: int,
    backend: RetrievalBackend | None,
    *,
    topk: int,
    max_searches: int,
) -> Attempt:
    """One reasoning trajectory with real searches, `topk` documents each.

    The endpoint is asked turn by turn: it stops at the end of a search, the documents come as the next user
    message. That needs nothing but the chat protocol.

    Raises:
        JudgeFailure, RetrievalFailure: the endpoint or the search failed.
    """
    language = prompts.language_of(item.question)
    messages = prompts.instruction(item.question, "search" if backend else "plain", language)
    done = Attempt()
    for turn in range(max_searches + 2):
        said = await caller.text(
            "trajectory", messages, attempt=attempt, temperature=0.9, max_tokens=4096, stop=_STOP
        )
        said = said.split(DOCUMENT_OPEN)[0]
        searched = said if said.rstrip().endswith(SEARCH_CLOSE) else f"{said}{SEARCH_CLOSE}"
        query = closing_query(searched)  # empty where no search is open
        if query is None or not is_query(query.text) or ANSWER_CLOSE in said:
            done.text += said
            return done
        said = searched
        done.text += said
        if turn >= max_searches or backend is None:
            shown, follow = "", _ENOUGH[language]
        else:
            (hits,) = await backend.search([query.text], topk)
            shown = _shown([hit.document for hit in hits], done)
            shown = shown or f"{DOCUMENT_OPEN}{_NOTHING[language]}{DOCUMENT_CLOSE}"
            follow = _GO_ON[language]
        done.text += shown
        reply = f"{shown}\n{follow}".strip()
        messages = [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": reply}]
    return done


def _shown(documents: Sequence[Document], done: Attempt) -> str:
    """The documents that the attempt has not had yet, which are added to it."""
    before = {document.id for document in done.documents}
    new = {document.id: document for document in documents if document.id not in before}
    done.documents += new.values()
    texts = (f"{document.title}. {document.text}"[:MAX_DOCUMENT_CHARACTERS] for document in new.values())
    return "".join(
        f"{DOCUMENT_OPEN}{neutralise_control_tokens(neutralise_tags(text))}{DOCUMENT_CLOSE}" for text in texts
    )


async def grade(caller: Caller, item: Item, attempt: Attempt) -> Grade:
    """Quality of a trajectory; answers that a rule knows to be wrong are not paid for."""
    parsed = parse(attempt.text)
    if not parsed.answer or not parsed.reasoning.strip():
        return Grade(score=1, reason="no answer or no reasoning")
    verdict = verify(parsed.answers, _sample(item, attempt.text))
    if verdict is not None and verdict.level == WRONG:
        return Grade(score=1, reason=verdict.reason)
    messages = step_messages(
        "verify",
        item.question,
        accepted="; ".join(item.answers),
        reasoning=parsed.reasoning,
        answer=parsed.answer,
    )
    return await caller.json("verify", messages, Grade, max_tokens=512)


async def graph(extractor: Extractor, attempt: Attempt) -> Reference:
    """The reference of a verified trajectory: its triples, those that a document states marked, and its text."""
    reasoning = parse(attempt.text).reasoning.strip()
    triples = await extractor.aextract(reasoning)
    return Reference(triples=mark_retrieved(triples, attempt.documents), text=reasoning)


def mark_retrieved(triples: Sequence[Triple], documents: Sequence[Document]) -> tuple[Triple, ...]:
    """The triples, `from_retrieval` where one document names both entities."""
    texts = [f" {bare_words(f'{document.title} {document.text}')} " for document in documents]

    def stated(triple: Triple) -> bool:
        head, tail = f" {bare_words(triple.head)} ", f" {bare_words(triple.tail)} "
        return any(head in text and tail in text for text in texts)

    return tuple(Triple(t.head, t.relation, t.tail, stated(t)) for t in triples)


def _sample(item: Item, text: str) -> Sample:
    # asked without options: a letter is not an answer
    return Sample(
        id=item.id, question=item.question, response=text, answers=item.answers, dataset=item.dataset
    )


def _listed(item: Item) -> str:
    return "\n".join(f"{letter}. {text}" for letter, text in (item.options or {}).items())
