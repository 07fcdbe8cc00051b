"""kill -9 at random moments: twenty times, seeded, in the modes that a CPU can run. Hours."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from test_survives_kill import SCHEDULE, kill_when, questions
from training_runs import history, lines, needs_trainer, train

pytestmark = pytest.mark.long

needs_trainer()

KILLS = int(os.environ.get("MEDR3_KILLS", "20"))


@pytest.fixture(scope="module", params=["medr3_progressive", "medr3_colocate_async"])
def arguments(request, tiny) -> list[str]:
    return ["medr3_cpu", *tiny, *SCHEDULE, f"trainer.v1.trainer_mode={request.param}"]


def steps(run: Path) -> list[tuple[int, str, str, int]]:
    return [
        (line["step"], line["kind"], line["stage"], line["stage_step"])
        for line in lines(run / "metrics.jsonl")
    ]


def of_stages(run: Path) -> set[tuple[str, str]]:
    return {(stage, question) for _, stage, asked in questions(run) for question in asked}


def test_every_run_ends_as_one_that_was_not_killed(arguments, tmp_path):
    started = time.monotonic()
    train(tmp_path / "undisturbed", *arguments)
    duration = time.monotonic() - started
    expected = [measure(tmp_path / "undisturbed") for measure in (history, steps, of_stages)]

    moments, killed, runs = random.Random(20), 0, 0
    while killed < KILLS:
        out = tmp_path / f"run_{runs}"
        for _ in range(moments.randint(2, 5)):  # then it may end
            moment = time.monotonic() + moments.uniform(0.1, 0.9) * duration
            killed += kill_when(lambda moment=moment: time.monotonic() > moment, out, arguments)
        train(out, *arguments)
        assert [measure(out) for measure in (history, steps, of_stages)] == expected, f"{out}, {killed} kills"
        runs += 1
