"""Requests to a run in progress, as files in its folder."""

from __future__ import annotations

from pathlib import Path

from medr3_plugin.errors import UserError
from medr3_plugin.outputs import whole
from medr3_plugin.runs.files import PROMOTION_REQUEST, STAGES, read_stages


def request_promotion(run: Path) -> str:
    """Ask the run to end its current stage; returns the stage's name.

    Raises:
        UserError: `run` is not a run folder, or all its stages have ended.
    """
    file = run / STAGES
    try:
        history = read_stages(file)
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such file; is {run} the folder of a training run?") from error
    except ValueError as error:
        raise UserError(f"{file}: {error}") from error
    if not history or history[-1].end_step is not None:
        raise UserError(f"{run}: every stage has ended")
    with whole(run / PROMOTION_REQUEST) as draft:  # the trainer may read it at any moment
        draft.write_text(history[-1].name, encoding="utf-8")
    return history[-1].name


def promotion_requested(run: Path, stage: str) -> bool:
    """Whether a promotion of `stage` was requested."""
    file = run / PROMOTION_REQUEST
    return file.is_file() and file.read_text(encoding="utf-8").strip() == stage


def drop_promotion(run: Path, stage: str) -> None:
    """Delete a request for another stage than the current one, which has been heard or came too late."""
    if not promotion_requested(run, stage):
        (run / PROMOTION_REQUEST).unlink(missing_ok=True)
