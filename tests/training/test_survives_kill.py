"""kill -9 at every delicate moment of a real run: the same command goes on, and nothing differs afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from training_runs import clean_environment, command, history, lines, needs_trainer, train

pytestmark = pytest.mark.long

needs_trainer()

SCHEDULE = [
    *(f"medr3.stages.{i}.until.max_steps=2" for i in range(3)),
    "medr3.checkpoint_at_handover=true",
    "trainer.save_freq=1",
    "medr3.trajectories_per_step=1000",  # all: which questions were drawn is read from them
]

# where the run is killed, and the step whose checkpoint it must then go on from
KILLS = [("rollout:2", 1), ("handover:2", 1), ("update:3", 2), ("save:4", 3), ("rollout:6", 5)]


def processes(mark: str) -> list[int]:
    """Every process that inherited the mark, Ray's and vLLM's included."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def kill_when(
    due: Callable[[], bool], out: Path, arguments: list[str], extra: Mapping[str, str] | None = None
) -> bool:
    """Start the run and kill all of it at once as soon as `due`; False if it ended before."""
    mark, said = uuid4().hex, out.with_name(f"{out.name}.stderr")
    with said.open("w") as stream:
        run = subprocess.Popen(
            command("train", *arguments, f"paths.run={out}"),
            env=clean_environment({"MEDR3_TEST_MARK": mark, **(extra or {})}),
            stdout=subprocess.DEVNULL,
            stderr=stream,
        )
    try:
        deadline = time.monotonic() + 900
        while not due():
            if run.poll() is not None:
                assert run.returncode == 0, said.read_text()[-4000:]
                return False
            assert time.monotonic() < deadline, f"not reached in {out}"
            time.sleep(0.05)
    finally:
        for _ in range(20):
            alive = processes(mark)
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            run.wait()
            if not alive:
                break
            time.sleep(0.2)
    return True


def killed_at(point: str, out: Path, arguments: list[str]) -> None:
    """Start the run, let it come to the point, kill all of it at once."""
    reached = out.with_name("reached")
    stopper = {
        "MEDR3_TEST_STOP": point,
        "MEDR3_TEST_STOP_FILE": str(reached),
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(Path(__file__).with_name("stopper")), os.environ.get("PYTHONPATH")))
        ),
    }
    assert kill_when(reached.exists, out, arguments, stopper), f"{point} was not reached"
    reached.unlink(missing_ok=True)


def questions(run: Path) -> list[tuple[int, str, list[str]]]:
    """Step, stage and questions of each training step: where the data loader was."""
    drawn: dict[tuple[int, str], set[str]] = {}
    for row in lines(run / "trajectories.jsonl"):
        if row["kind"] == "train":
            drawn.setdefault((row["step"], row["stage"]), set()).add(row["question"])
    return [(step, stage, sorted(asked)) for (step, stage), asked in sorted(drawn.items())]


@pytest.fixture(scope="module", params=["medr3_progressive", "medr3_colocate_async"])
def arguments(request, tiny) -> list[str]:
    return ["medr3_cpu", *tiny, *SCHEDULE, f"trainer.v1.trainer_mode={request.param}"]


@pytest.fixture(scope="module")
def undisturbed(arguments, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    train(out, *arguments)
    return out


@pytest.fixture(scope="module")
def disturbed(arguments, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("disturbed") / "run"
    for point, _ in KILLS:
        killed_at(point, out, arguments)
    train(out, *arguments)
    return out


def test_each_start_goes_on_from_the_newest_whole_checkpoint(disturbed):
    log = (disturbed / "train.log").read_text()
    resumed = [int(step) for step in re.findall(r"\[medr3\] resuming from .*global_step_(\d+): stage", log)]
    assert resumed == [step for _, step in KILLS]


def test_a_half_written_checkpoint_is_named(disturbed):
    assert re.search(
        r"\[medr3\] .*global_step_4 is skipped: it was not finished", (disturbed / "train.log").read_text()
    )


def test_same_stage_history_as_without_kills(undisturbed, disturbed):
    expected = [
        ("reasoning", 1, 2, "max_steps 2"),
        ("retrieval", 3, 4, "max_steps 2"),
        ("joint", 5, 6, "max_steps 2"),
    ]
    assert history(undisturbed) == expected
    assert history(disturbed) == expected


def test_same_steps_once_each(undisturbed, disturbed):
    steps = [
        [
            (line["step"], line["kind"], line["stage"], line["stage_step"])
            for line in lines(run / "metrics.jsonl")
        ]
        for run in (undisturbed, disturbed)
    ]
    assert steps[0] == steps[1]
    assert [step for step, kind, *_ in steps[0] if kind == "train"] == [1, 2, 3, 4, 5, 6]


def test_same_questions_in_each_stage(undisturbed, disturbed):
    def of_stages(run: Path) -> set[tuple[str, str]]:
        return {(stage, question) for _, stage, asked in questions(run) for question in asked}

    assert of_stages(undisturbed) == of_stages(disturbed)
    assert len(questions(disturbed)) == 6


def test_same_questions_at_each_step_where_nothing_is_rolled_out_ahead(arguments, undisturbed, disturbed):
    if "async" not in arguments[-1]:  # there, what is ready first is trained on first
        assert questions(undisturbed) == questions(disturbed)
