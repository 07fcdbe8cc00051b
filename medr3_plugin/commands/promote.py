"""`medr3 promote`: end the running stage of a run by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def promote(
    run: Annotated[Path, typer.Argument(help="The run folder of a training run in progress.")],
) -> None:
    """End the running stage after its current step; recorded as `manual` in stages.json."""
    from medr3_plugin.runs.requests import request_promotion

    stage = request_promotion(run)
    print(f"stage {stage} of {run} ends after the step in progress")
