import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.lost_workers import PATIENCE_S, LostWorkers

KILL = (
    "\x1b[33m(raylet)\x1b[0m [2026-01-01 15:25:54,230 E 7302 7302] (raylet) node_manager.cc:3517: 3 Workers (tasks / "
    "actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: 11e9)\n"
)


class Run:
    """A log that grows, and a clock that is set."""

    def __init__(self, folder):
        self.log = folder / "train.log"
        self.log.write_text("an earlier run\n" + KILL)
        self.now = 0.0
        self.watch = LostWorkers(self.log, self.log.stat().st_size, lambda: self.now)

    def print(self, text):
        with self.log.open("a") as log:
            log.write(text)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_run_that_stands_still_after_a_kill_is_stopped_with_the_reason(run, capsys):
    run.print("step\n" + KILL[:80])
    run.watch.check(progressed=False)
    assert not capsys.readouterr().err  # a line that is not yet whole
    run.print(KILL[80:])
    run.watch.check(progressed=False)
    assert "Ray killed 3 processes" in capsys.readouterr().err
    run.now = PATIENCE_S
    run.watch.check(progressed=False)
    run.now += 1
    with pytest.raises(
        UserError, match=r"memory was full: Ray killed 3 processes.*no step has ended.*train\.log"
    ):
        run.watch.check(progressed=False)


def test_a_run_that_goes_on_in_spite_of_a_kill_is_left_alone(run):
    run.print(KILL)
    run.watch.check(progressed=False)
    run.now = PATIENCE_S - 1
    run.watch.check(progressed=True)
    run.now = 10 * PATIENCE_S
    run.watch.check(progressed=False)


def test_kills_of_an_earlier_run_and_of_nobody_do_not_count(run):
    run.print(KILL.replace("3 Workers (tasks", "0 Workers (tasks"))
    run.watch.check(progressed=False)
    run.now = 10 * PATIENCE_S
    run.watch.check(progressed=False)
