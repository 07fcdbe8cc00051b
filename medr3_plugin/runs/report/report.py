"""`medr3 report`: a run folder as one HTML page that needs nothing else.

The page is a template (`page/`), with the run embedded as JSON. Text of models and documents never becomes
markup: it goes from the JSON into text nodes, `<` is escaped inside the JSON, and the page's own
Content-Security-Policy allows the two scripts and one style sheet of this package by hash, no others, and no
network.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from string import Template
from typing import Any

from medr3_plugin.outputs import whole
from medr3_plugin.rewards.explain import in_words
from medr3_plugin.runs.files import METRICS, REPORT, TRAIN, VALIDATION
from medr3_plugin.runs.reader import RunFolder, StepMetrics, read_run
from medr3_plugin.runs.report.segments import segments
from medr3_plugin.runs.report.tiles import by_stage, summarise

_PAGE = Path(__file__).parent / "page"
_SCRIPTS = ("charts.js", "board.js", "trajectory.js", "trajectories.js", "page.js")
_MOST_POINTS = 1500
"""Points of a curve; longer runs are averaged over equal ranges of steps (a screen has no more pixels)."""

_SECRET = re.compile(
    r"(?im)^(\s*[\w.-]*(?:api_key|password|secret|bearer|access_token)[\w.-]*\s*:\s*)(?!null\b)\S.*$"
)


def write_report(
    run_dir: Path, out: Path | None = None, *, title: str | None = None, max_trajectories: int = 600
) -> tuple[Path, RunFolder]:
    """Write the page of a run and return where it is, with the run it was made from.

    Args:
        run_dir: the run folder; may be of a run in progress, or empty.
        out: the file to write; default `run_dir/report.html`.
        title: heading of the page; default the folder's name.
        max_trajectories: embed at most this many, evenly spaced over the run.

    Raises:
        UserError: `run_dir` is not a folder.
        OSError: `out` cannot be written.
    """
    run = read_run(run_dir, max_trajectories=max_trajectories)
    target = out or run_dir / REPORT
    text = render(run, title or run_dir.resolve().name)
    with whole(target) as draft:
        draft.write_text(text, encoding="utf-8", errors="replace")
    return target, run


def render(run: RunFolder, title: str) -> str:
    """The page as text. The same run gives the same text."""
    style = (_PAGE / "style.css").read_text(encoding="utf-8")
    script = "".join((_PAGE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    page = Template((_PAGE / "page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=html.escape(title),
        policy=(
            f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        style=style,
        script=script,
        data=embed(payload(run, title)),
    )


def embed(value: object) -> str:
    """JSON that is safe inside a script element: no `<`, `>`, `&` or line separators of JavaScript in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def payload(run: RunFolder, title: str) -> dict[str, Any]:
    """Everything the page shows, as JSON values."""
    metrics_file = run.path / METRICS
    as_of = None
    if metrics_file.is_file():
        written = datetime.fromtimestamp(metrics_file.stat().st_mtime, timezone.utc)
        as_of = written.strftime("%Y-%m-%d %H:%M UTC")
    return {
        "title": title,
        "finished": run.finished,
        "evaluation": run.evaluation,
        "asOf": as_of,
        "notes": list(run.notes),
        "summary": summarise(run),
        "byStage": by_stage(run),
        "results": _plain(run.results),
        "stages": [
            {
                "name": s.name,
                "start": s.start_step,
                "end": s.end_step,
                "reason": s.reason,
                "checkpoint": s.checkpoint,
            }
            for s in run.stages
        ],
        "train": curves(run.rows(TRAIN)),
        "val": curves(run.rows(VALIDATION)),
        "trajectories": [_trajectory(row) for row in run.trajectories],
        "trajectoryTotal": run.trajectory_total,
        "config": _SECRET.sub(r"\1(hidden)", run.config),
        "environment": _plain(run.environment),
    }


def curves(rows: Sequence[StepMetrics]) -> dict[str, Any]:
    """Rows as columns: `steps`, and `series` name -> values (None where a step lacks the metric).

    More than 1,500 rows are averaged over equal ranges of rows, never across a change of stage.
    """
    groups = _groups(rows)
    names = sorted({name for row in rows for name in row.values})
    return {
        "steps": [group[-1].step for group in groups],
        "averagedOver": max((len(group) for group in groups), default=1),
        "series": {name: [_mean(group, name) for group in groups] for name in names},
    }


def _groups(rows: Sequence[StepMetrics]) -> list[list[StepMetrics]]:
    size = -(-len(rows) // _MOST_POINTS) or 1
    groups: list[list[StepMetrics]] = []
    for row in rows:
        if groups and len(groups[-1]) < size and groups[-1][-1].stage == row.stage:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _mean(rows: Sequence[StepMetrics], name: str) -> float | None:
    values = [value for row in rows if (value := row.values.get(name)) is not None]
    return float(f"{sum(values) / len(values):.6g}") if values else None


def _trajectory(row: Mapping[str, Any]) -> dict[str, Any]:
    searches = [
        {**s, "documents": _each(s, "documents", _is_mapping)} for s in _each(row, "searches", _is_mapping)
    ]
    identifier = str(row.get("id", ""))
    reward: Mapping[str, Any] = row["reward"] if _is_mapping(row.get("reward")) else {}
    reasons: Mapping[str, Any] = row["reasons"] if _is_mapping(row.get("reasons")) else {}
    # the page calculates with these: a value that is not a number is left out
    record = {str(key): value for key, value in reward.items() if _is_number(value)}
    return {
        "line": row["line"],
        "step": row["step"] if _is_number(row.get("step")) else None,
        "stage": str(row.get("stage", "")),
        "kind": str(row.get("kind", "")),
        # ids are `<dataset>:<...>`, so runs that did not write the dataset can still be filtered by it
        "dataset": str(row.get("dataset") or identifier.partition(":")[0]),
        "id": identifier,
        "question": str(row.get("question", "")),
        "answer": _plain(row.get("answer", "")),
        "segments": _plain(segments(str(row.get("response", "")), searches)),
        "searches": _plain(searches),
        "failures": sorted(_failures(searches, reasons)),
        "reward": record,
        "words": _words(record, reasons),
        "reasons": _plain(reasons),
        "group": _each(row, "group_scores", _is_number),
    }


def _words(record: Mapping[str, float], reasons: Mapping[str, Any]) -> dict[str, list[str]]:
    """The reasons in words; empty for those of another reward manager, which the page shows as they are."""
    try:
        return in_words(record, reasons)
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _failures(searches: Sequence[Mapping[str, Any]], reasons: Mapping[str, Any]) -> set[str]:
    """Kinds of failures of services, of the searches and of the judge."""
    found = [*_each(reasons, "failures", bool), *(search.get("failure") for search in searches)]
    return {str(kind) for kind in found if kind}


def _each(row: Mapping[str, Any], key: str, wanted: Callable[[Any], bool]) -> list[Any]:
    """The entries of a list in `row` that are as wanted; none if it is not a list: anyone may write such rows."""
    value = row.get(key)
    return [entry for entry in value if wanted(entry)] if isinstance(value, list) else []


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _plain(value: Any) -> Any:
    """The value with non-finite floats as None, so that it is JSON that a browser parses."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
