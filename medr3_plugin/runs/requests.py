"""Requests to a run in progress, left as files in its folder."""

from __future__ import annotations

import json
from pathlib import Path

from medr3_plugin.errors import UserError

PROMOTION = "promote.request"


def request_promotion(run: Path) -> str:
    """Ask the run to end its current stage; returns the stage's name.

    Raises:
        UserError: `run` is no run folder, or all its stages have ended.
    """
    file = run / "stages.json"
    try:
        history = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such file; is {run} the folder of a training run?") from error
    except ValueError as error:
        raise UserError(f"{file}: not JSON ({error})") from error
    if not history or history[-1]["end_step"] is not None:
        raise UserError(f"{run}: every stage has ended")
    stage = str(history[-1]["name"])
    (run / PROMOTION).write_text(stage, encoding="utf-8")
    return stage


def take_promotion(run: Path, stage: str) -> bool:
    """Whether a promotion of `stage` was asked for; forgets the request, also one for another stage."""
    file = run / PROMOTION
    if not file.is_file():
        return False
    asked = file.read_text(encoding="utf-8").strip()
    file.unlink()
    return asked == stage
