"""From a prepared parquet to the same rows with references, a report beside it, and the journal of the calls."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medr3_plugin.data import prepare
from medr3_plugin.data.questions import parquet, prompts, reading
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.references import offline
from medr3_plugin.data.references.caller import POLICY_SETTINGS, TEACHER_SETTINGS, Caller, Costs
from medr3_plugin.data.references.pipeline import BuildOptions, Outcome, Pipeline, summary
from medr3_plugin.errors import RetrievalFailure, RunFailed, UserError, counted
from medr3_plugin.judge.base import RIGHT
from medr3_plugin.judge.llm import LLMJudge
from medr3_plugin.knowledge.vocabulary import Vocabulary
from medr3_plugin.llm.client import ChatClient
from medr3_plugin.llm.store import ReplyStore
from medr3_plugin.outputs import write_json
from medr3_plugin.records import Document, canonical_id
from medr3_plugin.registered_names import AGENT_LOOP
from medr3_plugin.retrieval.backend import RetrievalBackend, make_backend
from medr3_plugin.retrieval.corpus.documents import read_corpus


@dataclass(frozen=True, slots=True)
class Row:
    """A prepared row: its item, and how it was prepared.

    Attributes:
        question: as the prompt shows it, with the options of a choice question.
    """

    item: Item
    question: str
    prompt: Sequence[Mapping[str, str]]
    agent_name: str
    stage: str

    def prompt_for(self, question: str) -> list[dict[str, str]]:
        """The row's prompt with its own question (the last occurrence in the last message) replaced by `question`."""
        *earlier, last = map(dict, self.prompt)
        before, _, after = last["content"].rpartition(self.question)
        return [*earlier, {**last, "content": before + question + after}]


def read_rows(source: Path, style: prompts.Style | None = None) -> list[Row]:
    """The rows of a parquet written by `medr3 data prepare`.

    Args:
        style: prompt of the rows to be written; None keeps theirs, which must then end with the question.

    Raises:
        UserError: the file is not one.
    """
    return [_row(raw, style) for raw in reading.read(str(source))]


def _row(raw: reading.RawRow, style: prompts.Style | None) -> Row:
    info = raw.data.get("extra_info") if not raw.error else None
    expected = "expected a parquet written by 'medr3 data prepare'"
    if not isinstance(info, Mapping):
        raise UserError(f"{raw.where}: no column 'extra_info'; {expected}")
    try:
        item = prepare.item_of(info)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{raw.where}: extra_info cannot be read ({error!r}); {expected}") from error
    question = info.get("question") or item.question
    prompt = raw.data.get("prompt") or []
    if style is None and not (prompt and question in (prompt[-1].get("content") or "")):
        raise UserError(
            f"{raw.where}: the last message of the prompt does not hold the question; give --prompt"
        )
    agent_name = raw.data.get("agent_name") or AGENT_LOOP
    return Row(item, question, prompt, agent_name, info.get("stage") or "joint")


def build_offline(
    items: Sequence[Item], corpus: Sequence[Path], vocabularies: Sequence[Path]
) -> list[Outcome]:
    """References from vocabularies and gold documents, see `offline`."""
    wanted = {canonical_id(name) for item in items for name in item.gold_docs}
    documents: dict[str, Document] = {}
    for document in read_corpus(corpus):
        for name in document.ids & wanted:
            documents[name] = document
    return offline.build(items, documents, Vocabulary.load(*vocabularies))


async def build_online(
    items: Sequence[Item],
    journal_path: Path,
    options: BuildOptions,
    *,
    teacher: Mapping[str, Any],
    policy: Mapping[str, Any] | None = None,
    retrieval: Mapping[str, Any] | None = None,
    costs: Costs,
) -> tuple[list[Outcome], str]:
    """References by language models, see `pipeline`; returns the outcomes and why the run stopped, if it did.

    Args:
        teacher, policy: arguments of `ChatClient` (`base_url`, `model`, `api_key_env`, `timeout_s`, `structured`, …).
        retrieval: the options of `make_backend`; None lets the teacher reason without searches.
    """
    backend = await _searchable(retrieval) if retrieval else None
    journal = ReplyStore(journal_path, setting="--journal", must_keep=True)
    asked = Caller(
        ChatClient(role="teacher", settings=TEACHER_SETTINGS, **teacher),
        journal,
        costs,
        max_tokens=options.max_tokens,
    )
    of_policy = None
    if policy:
        client = ChatClient(role="policy", settings=POLICY_SETTINGS, **policy)
        of_policy = Caller(client, journal, costs, max_tokens=options.max_tokens)
    judging = {"temperature": 0.0, "max_tokens": options.max_tokens, **(teacher.get("params") or {})}
    judge = LLMJudge(
        ChatClient(role="teacher", settings=TEACHER_SETTINGS, **{**teacher, "params": judging}),
        replies=journal,
    )

    async def check(item: Item, answer: str) -> bool:
        verdict = await judge.verdict(
            question=item.question, answer=answer, answers=item.answers, options=None, dataset=item.dataset
        )
        return verdict.level == RIGHT

    bar = tqdm(total=len(items), unit="item", disable=not sys.stderr.isatty())
    pipeline = Pipeline(
        asked,
        options,
        policy=of_policy,
        backend=backend,
        check=check,
        progress=lambda _: bar.update(),
    )
    try:
        return await pipeline.run(items), pipeline.stopped_by
    finally:
        bar.close()
        journal.close()
        if backend is not None:
            await backend.close()


async def _searchable(retrieval: Mapping[str, Any]) -> RetrievalBackend:
    """The backend, after one search: a wrong index must show before anything is paid for."""
    backend = make_backend(retrieval)
    try:
        await backend.search(["diagnosis"], 1)
    except (UserError, RetrievalFailure) as error:
        await backend.close()
        raise UserError(f"--index: {error}") from error
    return backend


def write(
    outcomes: Sequence[Outcome],
    rows: Sequence[Row],
    out: Path,
    costs: Costs,
    *,
    style: prompts.Style | None = None,
    form: prompts.Form | None = None,
    keep_dropped: bool = False,
) -> dict[str, Any]:
    """Write `<out>.report.json` always, and `out` if at least one item was built; returns the report.

    Args:
        rows: the prepared row of each outcome; what is not overridden stays as it is there.
        style: prompt of the written rows; None keeps the rows' own prompt and agent.
        form: `open` writes the questions that the references answer, `choice` and None the prepared ones
            with their options.
        keep_dropped: also write dropped items, without references.
    """
    report = summary(outcomes, costs)
    write_json(out.with_name(out.name + ".report.json"), report)
    written = ("built", "dropped") if keep_dropped else ("built",)
    pairs = [
        # references answer the open question; they serve the choice question too
        (o.item if form == "open" else dataclasses.replace(row.item, references=o.item.references), row)
        for o, row in zip(outcomes, rows, strict=True)
        if o.status in written
    ]
    if report["items"].get("built"):
        parquet.write_parquet(_training_rows(pairs, style), out)
    return report


def _training_rows(
    pairs: Sequence[tuple[Item, Row]], style: prompts.Style | None
) -> Iterator[dict[str, Any]]:
    new = prepare.training_rows([item for item, _ in pairs], style=style or "search")
    for (_, row), made in zip(pairs, new, strict=True):
        if style is None:
            made["prompt"] = row.prompt_for(made["extra_info"]["question"])
            made["agent_name"] = row.agent_name
        made["extra_info"]["stage"] = row.stage
        yield made


def summary_lines(report: Mapping[str, Any], out: Path) -> list[str]:
    """The report in a few lines."""
    counts = ", ".join(f"{number} {status}" for status, number in report["items"].items())
    lines = [f"{out}: {counts}; {counted(report['references'], 'reference')}"]
    lines += [f"dropped, {reason}: {number}" for reason, number in report["dropped"].items()]
    for step, numbers in report["steps"].items():
        lines.append(
            f"{step}: {numbers['calls']} calls, {numbers['replayed']} from the journal, "
            f"{numbers['prompt_tokens']} + {numbers['completion_tokens']} tokens, "
            f"{numbers['bad_replies']} unreadable replies"
        )
    return lines


def raise_for(report: Mapping[str, Any], out: Path, stopped: str) -> None:
    """End the command with an error if items failed, were not reached, or none was built.

    Raises:
        RunFailed: items failed or were not reached; says how to resume.
        UserError: no question led to a reference.
    """
    failed, unreached = report["items"].get("failed", 0), report["items"].get("unreached", 0)
    again = "paid replies are in the journal; run the same command to resume"
    if stopped:
        before = f" before {counted(unreached, 'item')}" if unreached else ""
        raise RunFailed(f"stopped{before}: {stopped}; {again}")
    if failed:
        first = report["failures"][0]
        raise RunFailed(
            f"{counted(failed, 'item')} failed, the first {first['id']}: {first['reason']}; {again}"
        )
    if not report["items"].get("built"):
        raise UserError(f"{out}: no item was built; {out.name}.report.json says why")
