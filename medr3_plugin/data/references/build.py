"""From a prepared parquet to the same rows with references, a report beside it, and the journal of the calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medr3_plugin.data import parquet, prepare, prompts, reading
from medr3_plugin.data.items import Item
from medr3_plugin.data.references import offline
from medr3_plugin.data.references.caller import Caller, Costs, MeteredClient
from medr3_plugin.data.references.journal import Journal
from medr3_plugin.data.references.pipeline import BuildOptions, Outcome, Pipeline, summary
from medr3_plugin.errors import JudgeFailure, UserError
from medr3_plugin.judge.base import RIGHT
from medr3_plugin.judge.factory import make_judge
from medr3_plugin.knowledge.vocabulary import Vocabulary
from medr3_plugin.records import Document
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.corpus import read_corpus


def read_items(source: Path) -> list[Item]:
    """The items of a parquet written by `medr3 data prepare`.

    Raises:
        UserError: the file is not one.
    """
    rows = list(reading.read(str(source)))
    bad = next(
        (row for row in rows if row.error or not isinstance(row.data.get("extra_info"), Mapping)), None
    )
    if bad is not None:
        raise UserError(
            f"{bad.where}: no column 'extra_info'; expected a parquet written by 'medr3 data prepare'"
        )
    return [prepare.item_of(row.data["extra_info"]) for row in rows]


def build_offline(
    items: Sequence[Item], corpus: Sequence[Path], vocabularies: Sequence[Path]
) -> list[Outcome]:
    """References from vocabularies and gold documents, see `offline`."""
    wanted = {name for item in items for name in item.gold_docs}
    documents: dict[str, Document] = {}
    for document in read_corpus(corpus):
        if document.id in wanted:
            documents[document.id] = document
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
    backend = make_backend(retrieval) if retrieval else None
    clients = [MeteredClient(**settings) for settings in (teacher, policy) if settings]
    judge = make_judge(
        {
            "kind": "openai",
            **{
                key: value
                for key, value in teacher.items()
                if key in ("base_url", "model", "api_key_env", "structured")
            },
            "cache": f"{journal_path}.verdicts",
        }
    )

    async def check(item: Item, answer: str) -> bool:
        if judge is None:
            raise JudgeFailure("no judge", kind="unavailable")
        verdict = await judge.verdict(
            question=item.question, answer=answer, answers=item.answers, options=None, dataset=item.dataset
        )
        return verdict.level == RIGHT

    journal = Journal(journal_path)
    bar = tqdm(total=len(items), unit="item", disable=not sys.stderr.isatty())
    pipeline = Pipeline(
        Caller(clients[0], journal, costs, max_tokens=options.max_tokens),
        options,
        policy=Caller(clients[1], journal, costs, max_tokens=options.max_tokens) if policy else None,
        backend=backend,
        check=check,
        progress=lambda _: _advance(bar),
    )
    try:
        return await pipeline.run(items), pipeline.stopped_by
    finally:
        bar.close()
        journal.close()
        if backend is not None:
            await backend.close()


def _advance(bar: Any) -> None:
    bar.update()


def write(
    outcomes: Sequence[Outcome],
    out: Path,
    style: prompts.Style,
    costs: Costs,
    prices: tuple[float, float] = (0.0, 0.0),
    *,
    keep_dropped: bool = False,
) -> dict[str, Any]:
    """Write `<out>.report.json` always, and `out` if at least one item was built; returns the report.

    Args:
        keep_dropped: also write dropped items, without references.
    """
    report = summary(outcomes, costs, prices)
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, ensure_ascii=False, indent=1)
    out.with_name(out.name + ".report.json").write_text(text + "\n", encoding="utf-8")
    written = ("built", "dropped") if keep_dropped else ("built",)
    items = [outcome.item for outcome in outcomes if outcome.status in written]
    if report["items"].get("built"):
        parquet.write_parquet(prepare.training_rows(items, form="choice", style=style), out)
    return report


def told(report: Mapping[str, Any], out: Path) -> list[str]:
    """The report in a few lines."""
    counts = ", ".join(f"{number} {status}" for status, number in report["items"].items())
    lines = [f"{out}: {counts}; {report['references']} references"]
    lines += [f"dropped, {reason}: {number}" for reason, number in report["dropped"].items()]
    for step, numbers in report["steps"].items():
        lines.append(
            f"{step}: {numbers['calls']} calls, {numbers['replayed']} from the journal, "
            f"{numbers['prompt_tokens']} + {numbers['completion_tokens']} tokens, "
            f"{numbers['bad_replies']} unreadable replies"
        )
    return [*lines, f"cost: {report['cost']}"] if report["cost"] else lines


def raise_for(report: Mapping[str, Any], out: Path, stopped: str) -> None:
    """End the command with an error if items failed, were not reached, or none was built.

    Raises:
        UserError: saying how to go on.
    """
    failed, unreached = report["items"].get("failed", 0), report["items"].get("unreached", 0)
    again = "what was paid is in the journal; run the same command to go on"
    if stopped:
        raise UserError(f"stopped with {unreached} items not reached: {stopped}; {again}")
    if failed:
        first = report["failures"][0]
        raise UserError(f"{failed} items failed, the first {first['id']}: {first['reason']}; {again}")
    if not report["items"].get("built"):
        raise UserError(f"{out}: no item was built; reasons are in {out.name}.report.json")
