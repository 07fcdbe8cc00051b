"""`medr3 recipes rehearse`: prepare, report what was replaced, run, report the verdict."""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from medr3_plugin.errors import UserError, counted
from medr3_plugin.launch import run_training
from medr3_plugin.platform_cpu.speed import cores, cpu_environment
from medr3_plugin.recipe.rehearsal.prepare import CONFIG_NAME, Prepared, prepare
from medr3_plugin.recipe.shipped import Recipe
from medr3_plugin.runs.files import LOG, METRICS, STAGES, TRAJECTORIES
from medr3_plugin.runs.reader import read_json_lines
from medr3_plugin.stages.checkpoints import latest

NOT_REWARDS = ("stage", "valid", "score")
"""Keys of a record that are not part of the reward."""


def rehearse(
    recipe: Recipe,
    overrides: Sequence[str] = (),
    *,
    out: Path | None = None,
    allow_stand_ins: bool = False,
    gpu_memory_gib: float = 80.0,
) -> bool:
    """Rehearse `recipe` and print the verdict; whether it passed.

    Args:
        out: a new or empty folder for everything the rehearsal writes; None for one that is removed at the end.

    Raises:
        UserError: the recipe is wrong, or something is missing.
        RunFailed: training failed.
    """
    with ExitStack() as resources:
        if out is None:
            kept = resources.enter_context(tempfile.TemporaryDirectory(prefix="medr3-rehearsal-"))
            folder = Path(kept)
        else:
            folder = out.expanduser().absolute()
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise UserError(f"{out} exists and is not an empty folder: choose another --out")
        prepared = prepare(
            recipe,
            overrides,
            folder,
            allow_stand_ins=allow_stand_ins,
            gpu_memory_gib=gpu_memory_gib,
            resources=resources,
        )
        _announce(recipe, prepared)
        seconds = _train(prepared)
        lines = verdict(prepared)
    print(f"\nverdict on {recipe.name} after {seconds / 60:.1f} minutes:")
    width = max(len(line.what) for line in lines)
    for line in lines:
        mark = {True: "ok", False: "NO", None: "-"}[line.ok]
        print(f"{mark:<3} {line.what:<{width}}  {line.found}")
    return not any(line.ok is False for line in lines)


def _announce(recipe: Recipe, prepared: Prepared) -> None:
    print(f"{recipe.name}: {prepared.model.architecture}, {counted(prepared.ranks, 'rank')}")
    print(f"tokenizer: {prepared.model.tokenizer}")
    if prepared.stand_ins:
        print("stand-ins:")
        for what in prepared.stand_ins:
            print(f"  {what}")
    print("replaced, so not rehearsed:")
    for change in prepared.replaced:
        print(f"  {change}", flush=True)


def _train(prepared: Prepared) -> float:
    """Train until the first checkpoint is whole, kill everything, run the same command to its end; seconds taken.

    Raises:
        UserError, RunFailed: training failed; the message says why and where the log is.
    """

    def start(kill_when: Callable[[], bool] = lambda: False) -> None:
        run_training(
            prepared.folder,
            CONFIG_NAME,
            [],
            run_dir=prepared.run_dir,
            total_steps=prepared.steps,
            environment=cpu_environment(cores()),
            kill_when=kill_when,
        )

    def saved() -> bool:
        # verl writes a mark of its own earlier, and a kill between leaves none to resume
        return latest(prepared.run_dir / "checkpoints", verify=False)[0] is not None

    started = time.monotonic()
    start(kill_when=saved)
    print("killed after the first checkpoint; resuming", file=sys.stderr, flush=True)
    start()
    return time.monotonic() - started


class Line(NamedTuple):
    """A line of the verdict; `ok` None means neither good nor bad."""

    ok: bool | None
    what: str
    found: str


def verdict(prepared: Prepared) -> list[Line]:
    """Every line of the verdict; the rehearsal passed if none of them is `False`."""
    metrics = _lines(prepared.run_dir / METRICS)
    steps = [line for line in metrics if line.get("kind") == "train"]
    validations = sum(line.get("kind") == "val" for line in metrics)
    samples = [t for t in _lines(prepared.run_dir / TRAJECTORIES) if t.get("kind") == "train"]
    return [
        _prompts(prepared),
        *_stages(prepared, steps),
        Line(validations > 0, "validation", f"{validations} times"),
        *_searches(samples),
        *_judge(prepared, metrics, samples),
        *_rewards(samples),
        _updates(steps),
        *(Line(None, note.where, note.message) for note in prepared.notes),
    ]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [line.row for line in read_json_lines(file, [])] if file.is_file() else []


def _prompts(prepared: Prepared) -> Line:
    lengths, limit = prepared.prompts, prepared.prompt_limit
    over = sum(length > limit for length in lengths)
    middle, longest = lengths[len(lengths) // 2], lengths[-1]
    by = "" if prepared.model.real_tokenizer else ", measured with a stand-in tokenizer"
    said = f"{len(lengths)} read; median {middle}, longest {longest} of {limit} tokens{by}"
    return Line(over <= len(lengths) // 10, "prompts", said + (f"; {over} are longer" if over else ""))


def _stages(prepared: Prepared, steps: list[dict[str, Any]]) -> Iterator[Line]:
    file = prepared.run_dir / STAGES
    history = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    ran = [stage["name"] for stage in history if stage.get("end_step")]
    yield Line(ran == prepared.stages, "stages", f"{', '.join(ran) or 'none'} ended")
    numbers = [step["step"] for step in steps]
    log = (prepared.run_dir / LOG).read_text(encoding="utf-8", errors="replace")
    resumed = [line.partition("[medr3] ")[2] for line in log.splitlines() if "[medr3] resuming from" in line]
    whole = numbers == list(range(1, prepared.steps + 1))
    said = f"steps {', '.join(map(str, numbers)) or 'none'}"
    expected = prepared.stages[min(1, len(prepared.stages) - 1)]
    right = bool(resumed) and f"stage {expected}, step 1" in resumed[-1]
    place = resumed[-1].rpartition(": ")[2] if resumed else "not resumed"
    yield Line(whole and right, "kill and resume", f"{place}; {said}")


def _searches(samples: list[dict[str, Any]]) -> Iterator[Line]:
    turns = [turn for sample in samples for turn in sample["searches"]]
    outcomes = Counter(turn["outcome"] for turn in turns)
    shown = sum(document.get("shown", False) for turn in turns for document in turn["documents"])
    said = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()) or "none"
    allowed = any(sample["reward"].get("searches") for sample in samples) or bool(turns)
    yield Line(
        None if not allowed else bool(outcomes["ok"]) and not outcomes["failed"],
        "searches",
        f"{said}; {shown} documents shown" if allowed else "none: the recipe allows none",
    )
    invalid = sum(sample["reward"].get("valid", 1) == 0 for sample in samples)
    yield Line(invalid == 0, "failures", f"{invalid} of {len(samples)} trajectories invalid")


def _judge(
    prepared: Prepared, metrics: list[dict[str, Any]], samples: list[dict[str, Any]]
) -> Iterator[Line]:
    if not prepared.judged:
        return
    verdicts = sum(line.get("judge/verdicts", 0) for line in metrics)
    requests = sum(line.get("judge/requests", 0) for line in metrics)
    failed = sum(sample["reward"].get("judge_failures", 0) > 0 for sample in samples)
    said = f"{verdicts:.0f} answers read in {requests:.0f} requests, {failed} failed"
    # rules decide the scripted answers; the model's own are noise that no rule decides
    yield Line(failed == 0 and verdicts > 0, "judge", said)


def _rewards(samples: list[dict[str, Any]]) -> Iterator[Line]:
    by_stage: dict[str, list[dict[str, float]]] = {}
    for sample in samples:
        by_stage.setdefault(sample["stage"], []).append(sample["reward"])
    for stage, records in by_stage.items():
        keys = [key for key in records[0] if key not in NOT_REWARDS]
        varies = [key for key in keys if len({round(record[key], 6) for record in records}) > 1]
        scores = [record["score"] for record in records]
        said = f"{min(scores):.2f} to {max(scores):.2f}; varies: {', '.join(varies) or 'nothing'}"
        yield Line(len(set(scores)) > 1, f"rewards ({stage})", said)


def _updates(steps: list[dict[str, Any]]) -> Line:
    norms = [step["actor/grad_norm"] for step in steps if "actor/grad_norm" in step]
    good = bool(norms) and all(math.isfinite(norm) and norm > 0 for norm in norms)
    return Line(good, "updates", f"gradient norms {', '.join(f'{norm:.3g}' for norm in norms) or 'none'}")
