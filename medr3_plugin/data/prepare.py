"""From a source to a training parquet: read, parse, de-duplicate, check against evaluation sets, write.

Nothing is lost: rows that cannot be used go to `<out>.rejected.jsonl`, unchanged and with the reason; rows left out
on purpose (no label, duplicate, overlap, no sense without options) are listed in `<out>.report.json`.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medr3_plugin.data.layouts import DATASETS, Layout, check_origin, mirage
from medr3_plugin.data.questions import parquet, prompts, reading
from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.questions.open_form import needs_options
from medr3_plugin.data.questions.overlap import Overlap, OverlapIndex, evaluation_rows
from medr3_plugin.errors import RowError, RowSkipped, UserError, counted
from medr3_plugin.outputs import whole, write_json
from medr3_plugin.rows import references_of
from medr3_plugin.rows.options import options_of

_PLACE = re.compile(r"(?:[:#][^:#\\/]*|#[^#]*)$")  # of a row in its file
_OPTIONS = re.compile(r"\n[A-Z][.)] ")


@dataclass(slots=True)
class Loaded:
    """The items of a source, and everything that did not become one."""

    items: list[Item] = field(default_factory=list)
    rejected: list[tuple[reading.RawRow, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)


def load(
    dataset: str,
    source: str,
    *,
    split: str = "",
    config: str = "",
    mixed_options: bool = False,
    form: prompts.Form = "choice",
) -> Loaded:
    """Read and parse a source; duplicates are removed, the first of equal questions stays.

    Equal questions (same folded question and options) with different answers are all rejected: one of the
    labels is wrong, and which one cannot be known here.

    Args:
        mixed_options: whether files whose questions have different numbers of options may be mixed.
        form: as for `training_rows`; `open` leaves out the questions that need their options (`open_form`).

    Raises:
        UserError: unknown dataset, unreadable source, a source of another dataset, files with different numbers
            of options, or a whole file that cannot be understood.
    """
    layout = layout_of(dataset)
    rows = _of_part(
        dataset, list(reading.read(source, split=split, config=config, hub_file=layout.hub_file)), source
    )
    check_origin(dataset, rows, source)
    whole = layout.parser([row for row in rows if reading.MIRAGE_PART not in row.data])

    def parse(row: reading.RawRow) -> Item:
        return mirage.item(dataset, row) if reading.MIRAGE_PART in row.data else whole(row)

    loaded = Loaded()
    parsed: list[tuple[reading.RawRow, Item]] = []
    for row in rows:
        if row.error:
            loaded.rejected.append((row, row.error))
            continue
        try:
            parsed.append((row, parse(row)))
        except RowSkipped as reason:
            loaded.skipped[str(reason)] += 1
        except RowError as error:
            loaded.rejected.append((row, str(error)))
    if not mixed_options:
        _check_option_counts(parsed, source)
    _deduplicate(parsed, loaded)
    if form == "open":
        _remove_closed(loaded)
    return loaded


def layout_of(dataset: str) -> Layout:
    """The layout of that name.

    Raises:
        UserError: there is none.
    """
    if dataset in DATASETS:
        return DATASETS[dataset]
    close = [name for name in DATASETS if dataset and name.startswith(dataset)]
    close += difflib.get_close_matches(dataset, DATASETS, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UserError(f"unknown dataset {dataset!r}; {hint}known: {', '.join(DATASETS)}")


def _of_part(dataset: str, rows: list[reading.RawRow], source: str) -> list[reading.RawRow]:
    """The part of MIRAGE's file that belongs to `dataset`; all of it for `generic`."""
    parts = {row.data[reading.MIRAGE_PART] for row in rows if reading.MIRAGE_PART in row.data}
    if not parts or dataset == "generic":
        return rows
    if mirage.PARTS.get(dataset) not in parts:
        own = ", ".join(name for name, part in mirage.PARTS.items() if part in parts)
        raise UserError(f"{source}: no part of this MIRAGE file is {dataset}; it has {own}")
    return [row for row in rows if row.data.get(reading.MIRAGE_PART, "") in ("", mirage.PARTS[dataset])]


def _check_option_counts(parsed: Sequence[tuple[reading.RawRow, Item]], source: str) -> None:
    """Refuse files without a common number of options, such as MedQA with four and with five options."""
    counts: dict[str, set[int]] = {}
    for row, item in parsed:
        if item.options:
            counts.setdefault(_PLACE.sub("", row.where), set()).add(len(item.options))
    files = list(counts.items())
    for file, own in files[1:]:
        if own.isdisjoint(files[0][1]):
            raise UserError(
                f"{source}: {files[0][0]} has questions with {max(files[0][1])} options and {file} with {max(own)}: "
                "give one of the files, or mix them with --mix-option-counts"
            )


def _deduplicate(parsed: Sequence[tuple[reading.RawRow, Item]], loaded: Loaded) -> None:
    answers: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for _, item in parsed:
        answers.setdefault(item.key, set()).add(tuple(sorted(item.answers)))
    first: dict[tuple[str, ...], Item] = {}
    ids: set[str] = set()
    for row, item in parsed:
        closed = item.options or {answer.lower() for answer in item.answers} <= {"yes", "no", "maybe"}
        if closed and len(answers[item.key]) > 1:
            loaded.rejected.append(
                (row, "the same question occurs with a different answer; keep the right one")
            )
        elif item.key in first:
            loaded.duplicates.append((item.id, first[item.key].id))
        elif item.id in ids:
            loaded.rejected.append(
                (row, f"id {item.id!r} was used by an earlier, different question; make ids unique")
            )
        else:
            first[item.key] = item
            ids.add(item.id)
            loaded.items.append(item)


def _remove_closed(loaded: Loaded) -> None:
    """Remove items that mean nothing once their options are hidden, and count them as skipped."""
    kept = []
    for item in loaded.items:
        if reason := needs_options(item):
            loaded.skipped[f"{reason}, which the open form hides"] += 1
        else:
            kept.append(item)
    loaded.items = kept


def check_one_split(
    loaded: Loaded, source: str, remedy: str = "name one with --split, or mix them: --split all"
) -> None:
    """Refuse items of several splits: test questions would be trained on.

    Raises:
        UserError: more than one split; it lists them.
    """
    counts = Counter(item.split for item in loaded.items)
    if len(counts) > 1:
        listed = ", ".join(f"{split} ({counted(count, 'row')})" for split, count in sorted(counts.items()))
        raise UserError(f"{source}: several splits: {listed}; {remedy}")


def remove_overlaps(loaded: Loaded, against: Iterable[str]) -> None:
    """Remove items that overlap with the evaluation sets `against` from `loaded.items`, and list them.

    Args:
        against: files or folders; parquet written here, or any file in a known layout, labelled or not.

    Raises:
        UserError: a file that holds no question.
    """
    index = OverlapIndex()
    for source in against:
        for row, item in evaluation_rows(source):
            if item:
                index.add(item, source)
            else:
                loaded.not_compared.append(row.where)
    _keep_apart(loaded, index)


def remove_examples(loaded: Loaded, examples: Sequence[tuple[str, str]], source: str) -> None:
    """Remove questions that the example turns in `source` answer from `loaded.items`, and list them."""
    index = OverlapIndex()
    for number, (asked, _) in enumerate(examples, start=1):
        question = _OPTIONS.split(asked, maxsplit=1)[0]  # as `prompts.with_options` lists them
        index.add(Item(f"example {number}", "", question, ("",)), source)
    _keep_apart(loaded, index)


def _keep_apart(loaded: Loaded, index: OverlapIndex) -> None:
    kept = []
    for item in loaded.items:
        if (overlap := index.find(item)) is None:
            kept.append(item)
        else:
            loaded.overlaps.append(overlap)
    loaded.items = kept


def item_of(info: Mapping[str, Any]) -> Item:
    """The item of a training row, from its `extra_info`."""
    return Item(
        id=info["id"],
        dataset=info["dataset"],
        question=info.get("original_question") or info["question"],
        answers=tuple(info["answers"]),
        options=options_of(info.get("options"), "extra_info.options"),
        gold_docs=tuple(info.get("gold_docs") or ()),
        split=info.get("split") or "train",
        references=references_of(info.get("references"), "extra_info"),
    )


def training_rows(
    items: Sequence[Item],
    *,
    form: prompts.Form = "choice",
    style: prompts.Style = "search",
    stage: str = "joint",
    examples: Sequence[tuple[str, str]] = (),
    examples_as: prompts.ExamplesAs = "user",
) -> Iterable[dict[str, Any]]:
    """Training rows of items.

    Args:
        form: `choice` shows the options and accepts a letter; `open` hides them and asks for the answer.
        style: what the prompt instructs, see `prompts.Style`.
        stage: name of the training stage the file is meant for, recorded in the rows.
        examples: (question, trajectory) pairs shown before each question.
        examples_as: how, see `prompts.instruction`.
    """
    for index, item in enumerate(items):
        if form == "open":
            item = dataclasses.replace(item, options=None)  # noqa: PLW2901
        question = prompts.with_options(item.question, item.options) if item.options else item.question
        prompt = prompts.instruction(question, style, examples=examples, examples_as=examples_as)
        agent = prompts.agent_of(style)
        yield parquet.training_row(
            item, prompt, index=index, question=question, agent_name=agent, stage=stage
        )


def write(loaded: Loaded, out: Path, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Write the parquet, the rejected rows and the report; returns the report.

    The report and the rejected rows are written even if nothing is left for the parquet.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    rejected = out.with_name(out.name + ".rejected.jsonl")
    report = {
        "kept": len(loaded.items),
        "splits": dict(Counter(item.split for item in loaded.items)),
        "with_gold_docs": sum(bool(item.gold_docs) for item in loaded.items),
        "rejected": [{"row": row.where, "reason": reason} for row, reason in loaded.rejected],
        "skipped": dict(loaded.skipped),
        "duplicates": [{"id": item, "same_as": other} for item, other in loaded.duplicates],
        "overlaps": [dataclasses.asdict(overlap) for overlap in loaded.overlaps],
        "not_compared": loaded.not_compared,
    }
    write_json(out.with_name(out.name + ".report.json"), report)
    if loaded.rejected:
        with whole(rejected) as draft, draft.open("w", encoding="utf-8") as file:
            for row, reason in loaded.rejected:
                line = {"row": row.where, "reason": reason, "data": row.data}
                file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
    else:
        rejected.unlink(missing_ok=True)  # of an earlier run with worse input
    if not loaded.items:
        old = f"; {out} is left from an earlier run, delete it" if out.exists() else ""
        raise UserError(f"no usable row is left: {_why_none(loaded)} (all in {out}.report.json){old}")
    parquet.write_parquet(rows, out)
    return report


def _why_none(loaded: Loaded) -> str:
    """The first rejected row, else the most common reason for leaving rows out."""
    if loaded.rejected:
        row, reason = loaded.rejected[0]
        return f"{row.where}: {reason}"
    if loaded.overlaps:
        first = loaded.overlaps[0]
        return f"{len(loaded.overlaps)} overlap the evaluation sets, the first {first.evaluation_set}"
    reasons = loaded.skipped.most_common(1)
    return f"{counted(reasons[0][1], 'row')}: {reasons[0][0]}" if reasons else "the source has no rows"
