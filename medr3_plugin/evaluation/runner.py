"""Runs a benchmark: trajectories in the training environment, then verdicts, each written at once.

`trajectories.jsonl` in the output folder has one row per sample, in the form of a run folder (so `medr3 report`
shows an evaluation too), appended as soon as the sample is done. The same command resumes where an interrupted
one stopped: done samples are not generated again, samples whose judge failed are only judged again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medr3_plugin.errors import InfrastructureFailure, JudgeFailure, UserError
from medr3_plugin.evaluation.benchmarks import Question
from medr3_plugin.evaluation.policy import PolicyFailure
from medr3_plugin.evaluation.rollout import TAG_TEXT, Plan, Rollout
from medr3_plugin.judge.base import RIGHT, WRONG, AnswerJudge, Verdict
from medr3_plugin.outputs import write_json
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.names import Names
from medr3_plugin.rewards.verdict import decide
from medr3_plugin.runs.files import EVALUATION, TRAJECTORIES
from medr3_plugin.runs.reader import read_json_lines
from medr3_plugin.trajectory import parse

ASKED = "asked"
"""Key of the settings file: benchmark -> samples asked for."""
API = "api"
"""Key of the settings file: how a server was asked, see `chat_policy`."""
SERVED = "served_model"
"""Key of the settings file: the server's name for the model; folders of before lack it."""
_PATIENCE = 20
"""Consecutive failures that mean a service is down."""


class Rows:
    """The rows of an output folder: what is done, and where new rows go.

    Args:
        folder: output folder; made if needed.
        settings: everything that affects the results; a folder with other settings is refused.
        asked: number of samples requested per benchmark, for tables made without a model.

    Raises:
        UserError: the folder holds results of other settings.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], asked: Mapping[str, int] | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / TRAJECTORIES
        before = read_settings(folder)
        if before and self.path.is_file():
            for key in sorted({*before, *settings} - {ASKED}):
                if key == SERVED and key not in before:
                    continue
                if before.get(key) != settings.get(key):
                    raise UserError(
                        f"{folder} holds results with {key}={before.get(key)!r}, now it is "
                        f"{settings.get(key)!r}: choose another --out"
                    )
            asked = {**(before.get(ASKED) or {}), **(asked or {})}
        write_json(folder / EVALUATION, {**settings, ASKED: dict(asked or {})})
        self.rows = {(row["benchmark"], row["id"], row["sample"]): row for row in read_rows(self.path)}
        if self.path.is_file() and not (data := self.path.read_bytes()).endswith(b"\n"):
            # a half-written last line of an interrupted run
            self.path.write_bytes(data[: data.rfind(b"\n") + 1])

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; a later row of the same sample replaces the earlier one."""
        self.rows[row["benchmark"], row["id"], row["sample"]] = row
        with self.path.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a `trajectories.jsonl`, the last one of each sample."""
    if not path.is_file():
        return []
    rows = {}
    for line in read_json_lines(path, []):
        row = line.row
        if {"benchmark", "id", "sample"} <= row.keys():
            rows[row["benchmark"], row["id"], row["sample"]] = row
    return list(rows.values())


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of the evaluation in `folder`; empty if there is none.

    Raises:
        UserError: its file is damaged.
    """
    file = folder / EVALUATION
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{file} is not JSON ({error}): repair it, or choose another --out") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} is not a JSON object: repair it, or choose another --out")
    return found


def unfinished(
    benchmark: str, questions: Sequence[Question], samples: int, rows: Rows
) -> list[tuple[Question, int]]:
    """Questions and sample numbers without a valid row."""
    return [
        (question, number)
        for question in questions
        for number in range(samples)
        if not (row := rows.rows.get((benchmark, question.sample.id, number))) or row["reward"]["valid"] <= 0
    ]


async def run_benchmark(
    benchmark: str,
    questions: Sequence[Question],
    *,
    roll_out: Rollout,
    judge: AnswerJudge | None,
    vocabulary: Names | None = None,
    plan: Plan,
    rows: Rows,
) -> str:
    """Evaluate every sample that is not done yet; returns the last failure, empty if there was none.

    Raises:
        InfrastructureFailure: a service keeps failing; finished samples are kept.
    """
    todo = unfinished(benchmark, questions, plan.samples, rows)
    limit = asyncio.Semaphore(plan.concurrency)
    failed_in_a_row = 0
    last_failure = ""
    bar = tqdm(total=len(todo), desc=benchmark, unit="sample", disable=not sys.stderr.isatty())

    async def one(question: Question, number: int) -> None:
        nonlocal failed_in_a_row, last_failure
        async with limit:
            before = rows.rows.get((benchmark, question.sample.id, number))
            try:
                if before is not None and before.get("judge_failure"):
                    row = dict(before)
                else:
                    row = await roll_out(question, number)
                    row |= {
                        "benchmark": benchmark,
                        "stage": benchmark,
                        "sample": number,
                        "kind": "eval",
                        "step": 0,
                    }
                row |= await _judged(row, question.sample, judge, vocabulary)
                rows.add(row)
                failed = row["judge_failure"] or ("search" if row["reward"]["search_failures"] else None)
            except PolicyFailure as error:
                failed = str(error)
            bar.update()
            failed_in_a_row = failed_in_a_row + 1 if failed else 0
            last_failure = failed or last_failure
            if failed_in_a_row >= _PATIENCE:
                raise InfrastructureFailure(
                    f"{_PATIENCE} samples failed in a row, last: {failed}; finished samples are "
                    f"in {rows.path}, and the same command resumes there"
                )

    tasks = [asyncio.ensure_future(one(question, number)) for question, number in todo]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        bar.close()
    return last_failure


async def _judged(
    row: Mapping[str, Any], sample: Sample, judge: AnswerJudge | None, vocabulary: Names | None
) -> dict[str, Any]:
    """The verdict on a row, as its `reward`, `reasons` and `judge_failure`."""
    trajectory = parse(row.get(TAG_TEXT) or row["response"])
    failure = None
    if row["forged"]:
        verdict = Verdict(WRONG, "the model wrote a document tag itself", "rule:forged")
    else:
        try:
            decided = await decide(trajectory, sample, vocabulary=vocabulary, judge=judge)
            verdict = decided or Verdict(WRONG, "no answer", "rule:format")
        except JudgeFailure as error:
            failure = f"judge_{error.kind}"
            verdict = Verdict(WRONG, "the judge failed", "rule:undecided")
    search_failures = [turn["failure"] for turn in row["searches"] if turn["failure"]]
    return {
        "reward": {
            "acc": float(verdict.level == RIGHT),
            "score": verdict.level / 2,
            "answer": (0.1, 0.4, 1.0)[verdict.level],
            "valid": float(failure is None and not search_failures),
            "forged": float(row["forged"]),
            "searches": float(sum(turn["outcome"] not in ("limit", "malformed") for turn in row["searches"])),
            "search_failures": float(len(search_failures)),
            "judge_failures": float(failure is not None),
        },
        "reasons": {"answer": asdict(verdict) | {"given": trajectory.answer}},
        "answered": trajectory.answer is not None,
        "judge_failure": failure,
    }
