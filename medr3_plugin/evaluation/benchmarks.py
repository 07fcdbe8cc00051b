"""Benchmarks as rows to evaluate: from files made by `medr3 data prepare`, or from a dataset's own files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medr3_plugin import tables
from medr3_plugin.data import prepare
from medr3_plugin.data.questions import prompts
from medr3_plugin.data.questions.prompts import Form, Style
from medr3_plugin.errors import RowError, UserError, counted
from medr3_plugin.records import Sample
from medr3_plugin.registered_names import TOOL_LOOP
from medr3_plugin.rows import sample_of


@dataclass(frozen=True, slots=True)
class Question:
    """One question and the chat messages that ask it.

    Attributes:
        sample: everything needed to judge the answer; its `response` is empty.
        prompt: chat messages.
    """

    sample: Sample
    prompt: tuple[dict[str, str], ...]


def load_benchmark(
    spec: str,
    data: Path | None = None,
    *,
    form: Form | None = None,
    style: Style | None = None,
    limit: int = 0,
    warn: Callable[[str], None] | None = None,
) -> tuple[str, list[Question]]:
    """A benchmark's name and questions.

    Args:
        spec: `NAME`, looked for as `<data>/<NAME>.parquet` or `.jsonl`; or `NAME=SOURCE`; or the path of a prepared
            parquet, whose name is then the file's. A parquet of `medr3 data prepare` brings its own prompts; any
            other source is read by the loader of the dataset NAME (`generic` for your own jsonl) and put in `form`
            and `style`.
        form: `choice` (the default) or `open`; a prepared parquet must have been prepared so.
        style: `search` (the default), `plain`, `bare`, or `tools` for a model that calls tools; likewise.
        limit: use only the first `limit` questions; 0 takes all.
        warn: gets a line for each row that cannot be used.

    Raises:
        UserError: nothing there, a parquet prepared for something else, an unreadable file, or no usable question.
    """
    name, _, source = spec.partition("=")
    if not source and name.endswith(".parquet") and Path(name).is_file():
        name, source = Path(name).stem, name
    if not source:
        candidates = [(data or Path()) / f"{name}{suffix}" for suffix in (".parquet", ".jsonl", ".jsonl.gz")]
        found = next((path for path in candidates if path.is_file()), None)
        if found is None:
            raise UserError(
                f"benchmark {name!r}: none of {', '.join(map(str, candidates))} exists; make one with "
                f"`medr3 data prepare`, or give --benchmark {name}=SOURCE"
            )
        source = str(found)
    prepared = _prepared(Path(source)) if source.endswith(".parquet") else None
    if prepared is None:
        rows = _load(name, source, form or "choice", style or "search", warn)
    else:
        rows = prepared
        _check_prepared(rows, source, form, style)
    questions = []
    for number, row in enumerate(rows, start=1):
        try:
            prompt = tuple({"role": m["role"], "content": m["content"]} for m in row["prompt"])
            questions.append(Question(sample_of(row, f"{source} row {number}"), prompt))
        except RowError as error:
            if warn is None:
                raise
            warn(f"{error}; the row is left out")
    if limit:
        del questions[limit:]
    if not questions:
        raise UserError(f"benchmark {name!r}: {source} holds no usable question")
    return name, questions


def _prepared(path: Path) -> list[dict[str, Any]] | None:
    """Rows of a training parquet; None if the parquet is of another kind."""
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    rows = [dict(row.data) for row in tables.read_file(path)]
    return rows if rows and {"prompt", "extra_info", "reward_model"} <= rows[0].keys() else None


def _check_prepared(rows: Sequence[dict[str, Any]], source: str, form: str | None, style: str | None) -> None:
    """Refuse rows prepared for another agent loop, form or style than requested."""
    for number, row in enumerate(rows, start=1):
        where = f"{source} row {number}"
        if (row.get("agent_name") == TOOL_LOOP) != (style == "tools"):
            loops = "tool loop: evaluate it with --recipe and a recipe that calls tools"
            if style == "tools":
                loops = "tag protocol: prepare it with `medr3 data prepare --prompt tools`"
            raise UserError(f"{where} is prepared for the {loops}")
        info = row["extra_info"]
        own_form = "choice" if info.get("options") else "open"
        messages = [{"role": m["role"], "content": m["content"]} for m in row["prompt"]]
        styles: tuple[prompts.Style, ...] = ("search", "plain", "bare", "tools")
        question = str(info.get("question"))
        own_style = style and next(
            (s for s in styles if _ends_with(messages[-1]["content"], prompts.instruction(question, s))),
            "of its own",
        )
        for option, asked, own in (("--form", form, own_form), ("--prompt", style, own_style)):
            if asked not in (None, own):
                raise UserError(
                    f"{option} {asked}: {where} is prepared as {own}; leave {option} out, or prepare it with "
                    f"`medr3 data prepare {option} {asked}`"
                )


def _ends_with(content: str, asked: Sequence[dict[str, str]]) -> bool:
    """Whether a message puts a question so, alone or after examples."""
    return content == asked[-1]["content"] or content.endswith("\n\n" + asked[-1]["content"])


def _load(
    name: str, source: str, form: Form, style: Style, warn: Callable[[str], None] | None
) -> Sequence[dict[str, Any]]:
    loaded = prepare.load(name if name in prepare.DATASETS else "generic", source, form=form)
    prepare.check_one_split(
        loaded,
        source,
        "name one by its file or as owner/name:split, or a parquet of `medr3 data prepare --split`",
    )
    if not loaded.items and loaded.rejected:
        row, reason = loaded.rejected[0]
        others = len(loaded.rejected) - 1
        more = f" (and {counted(others, 'more row')})" if others else ""
        raise UserError(f"{row.where}: {reason}{more}")
    if warn:
        for rejected, reason in loaded.rejected:
            warn(f"{rejected.where}: {reason}; the row is left out")
        for reason, count in loaded.skipped.items():
            warn(f"{source}: {counted(count, 'row')} left out: {reason}")
    return list(prepare.training_rows(loaded.items, form=form, style=style))
