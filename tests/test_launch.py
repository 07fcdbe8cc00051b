"""Starting, watching and stopping a training run, with small scripts in place of the trainer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medr3_plugin import launch
from medr3_plugin.errors import RunFailed, UserError


def test_a_mistake_of_the_user_and_a_failure_of_the_run_are_told_apart(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("medr3_plugin.errors.UserError: medr3.stages: at least one stage\n")
    assert isinstance(launch.training_failed(log, 0), UserError)
    log.write_text("RuntimeError: step 3: 80% of the samples are invalid\n")
    failed = launch.training_failed(log, 0)
    assert isinstance(failed, RunFailed) and "80%" in str(failed) and str(log) in str(failed)


def test_the_tool_file_beside_a_recipe_reaches_the_trainer(tmp_path, monkeypatch):
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "tools.yaml").touch()
    monkeypatch.delenv("MEDR3_TOOLS", raising=False)
    started = {}
    real = subprocess.Popen

    def start(command, *, env, **_):
        started.update(env)
        return real(["true"])

    monkeypatch.setattr(launch.subprocess, "Popen", start)
    monkeypatch.setattr(launch, "stop_processes", lambda tag, child: None)
    monkeypatch.chdir(tmp_path)
    arguments = {"run_dir": tmp_path / "run", "total_steps": 1, "environment": {}}
    launch.run_training(Path("recipe"), "x", [], **arguments)
    assert started["MEDR3_TOOLS"] == str(tmp_path / "recipe" / "tools.yaml")
    monkeypatch.setenv("MEDR3_TOOLS", "mine.yaml")
    launch.run_training(Path("recipe"), "x", [], **arguments)
    assert started["MEDR3_TOOLS"] == "mine.yaml"


def test_progress_line():
    line = {"kind": "train", "stage": "joint", "stage_step": 2, "reward/score": 0.5, "time/step": 61.2}
    assert launch.progress_line(line) == "joint 2  reward 0.50  61 s"
    assert (
        launch.progress_line({"kind": "val", "stage": "joint", "reward/acc": 0.25})
        == "validation (joint)  acc 0.25"
    )


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes through /proc")
def test_every_process_of_a_run_is_stopped_even_detached_ones():
    code = (
        "import subprocess, sys, time, signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True);"
        "print('up', flush=True); time.sleep(60)"
    )
    tag = f"test-{os.getpid()}"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, launch.RUN_TAG: tag},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None and child.stdout.readline().strip() == b"up"
    deadline = time.monotonic() + 10
    while len(launch.tagged_processes(tag)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(launch.tagged_processes(tag)) == 2
    launch.stop_processes(tag, child, patience_s=1.0)
    assert child.poll() is not None and launch.tagged_processes(tag) == []
    child.stdout.close()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes through /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_stop_the_whole_run(tmp_path, number):
    # stands for verl's trainer: starts a process that detaches itself, says its tag, goes on for ever
    package = tmp_path / "verl/trainer"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "main_ppo.py").write_text(
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        f"print('tag ' + os.environ['{launch.RUN_TAG}'], flush=True)\n"
        "time.sleep(60)\n"
    )
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # nohup may ignore it
        "signal.signal(signal.SIGHUP, signal.SIG_DFL);"
        "from pathlib import Path; from medr3_plugin.launch import run_training;"
        f"run_training(Path('.'), 'x', [], run_dir=Path({str(tmp_path / 'run')!r}), total_steps=1, environment=dict())"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "run/train.log"
    deadline = time.monotonic() + 30
    while not (log.is_file() and log.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)
    tag = log.read_text().split()[1]
    assert len(launch.tagged_processes(tag)) == 2
    child.send_signal(number)
    _, errors = child.communicate(timeout=30)
    assert f"stopping the run ({number.name})" in errors
    assert child.returncode != 0 and launch.tagged_processes(tag) == []


def test_a_run_under_nohup_survives_the_closed_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with launch.stopped_by_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, signal.SIG_DFL)
    finally:
        signal.signal(signal.SIGHUP, before)


KILL = (
    "\x1b[33m(raylet)\x1b[0m [2026-01-01 15:25:54,230 E 7302 7302] (raylet) node_manager.cc:3517: 3 Workers (tasks / "
    "actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: 11e9)\n"
)


class GrowingLog:
    """A log that grows, and a clock that is set."""

    def __init__(self, folder):
        self.log = folder / "train.log"
        self.log.write_text("an earlier run\n" + KILL)
        self.now = 0.0
        self.used = 0.0
        self.watch = launch.LostWorkers(
            self.log, self.log.stat().st_size, lambda: self.now, lambda: self.used
        )

    def print(self, text):
        with self.log.open("a") as log:
            log.write(text)


@pytest.fixture
def run(tmp_path):
    return GrowingLog(tmp_path)


def test_a_run_that_stands_still_after_a_kill_is_stopped_with_the_reason(run, capsys):
    run.print("step\n" + KILL[:80])
    run.watch.check(progressed=False)
    assert not capsys.readouterr().err  # a line that is not yet whole
    run.print(KILL[80:])
    run.watch.check(progressed=False)
    assert "Ray killed 3 processes" in capsys.readouterr().err
    run.now = launch.PATIENCE_S
    run.watch.check(progressed=False)
    run.now += 1
    with pytest.raises(RunFailed, match=r"memory.* 3 .*train\.log"):
        run.watch.check(progressed=False)


def test_a_run_that_goes_on_in_spite_of_a_kill_is_left_alone(run):
    run.print(KILL)
    run.watch.check(progressed=False)
    run.now = launch.PATIENCE_S - 1
    run.watch.check(progressed=True)
    run.now = 10 * launch.PATIENCE_S
    run.watch.check(progressed=False)


def test_kills_of_an_earlier_run_and_of_nobody_do_not_count(run):
    run.print(KILL.replace("3 Workers (tasks", "0 Workers (tasks"))
    run.watch.check(progressed=False)
    run.now = 10 * launch.PATIENCE_S
    run.watch.check(progressed=False)


def died(name: str, actor: str, process: str = "AgentLoopWorkerTQ pid=7") -> str:
    """What Ray prints where a dead actor is asked."""
    lines = (
        "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.",
        f"\tclass_name: {name}",
        f"\tactor_id: {actor}",
        "\tpid: 18094",
    )
    return "".join(f"\x1b[36m({process})\x1b[0m {line}\n" for line in lines)


DIED = died("RewardLoopWorker", "acdce633")


@pytest.mark.parametrize("death", [DIED, "vllm.v1.engine.exceptions.EngineDeadError: see the root cause\n"])
def test_a_run_that_misses_a_dead_process_again_and_again_is_stopped(run, death):
    """As where rollouts are drawn ahead: verl replaces those that a dead reward worker loses, for ever."""
    for _ in range(11):
        run.print(death)
        run.watch.check(progressed=False)
        run.now += launch.PATIENCE_S / 10
    run.print("ValueError: the reason\n" + death)
    with pytest.raises(RunFailed, match="the reason"):
        run.watch.check(progressed=False)


def test_processes_that_come_back_do_not_stop_a_run_with_long_steps(run):
    """Retrieval actors die and are made again, and other workers notice the old one's death later."""
    for number in range(30):
        run.print(died("IndexActor", "0" * 8) + died("Helper", f"{number:08x}"))
        run.watch.check(progressed=False)
        run.now += launch.PATIENCE_S / 5


def test_which_actor_is_meant_shows_where_processes_print_at_the_same_time(run):
    first = died("IndexActor", "11", "AgentLoopWorkerTQ pid=7").splitlines(keepends=True)
    other = died("RewardLoopWorker", "22", "AgentLoopWorkerTQ pid=8").splitlines(keepends=True)
    mixed = "".join(line for pair in zip(first, other, strict=True) for line in pair)
    run.print(mixed)
    run.watch.check(progressed=False)
    run.now = launch.PATIENCE_S + 1
    run.print("".join(first))
    run.watch.check(progressed=False)
    run.print(mixed)
    with pytest.raises(RunFailed):
        run.watch.check(progressed=False)


@pytest.mark.parametrize("event", [KILL, DIED])
def test_patience_grows_with_the_steps_of_a_run(run, event):
    for _ in range(2):  # a step takes two thirds of an hour
        run.watch.check(progressed=True)
        run.now += 4 * launch.PATIENCE_S
    run.watch.check(progressed=True)
    for _ in range(8):
        run.print(event)
        run.watch.check(progressed=False)
        run.now += launch.PATIENCE_S
    run.now += 1
    run.print(event)
    with pytest.raises(RunFailed, match="80 minutes"):
        run.watch.check(progressed=False)


def test_a_run_that_goes_on_after_a_death_is_left_alone(run):
    run.print(DIED)
    run.watch.check(progressed=False)
    run.now = 10 * launch.PATIENCE_S
    run.watch.check(progressed=False)  # a long step, and nobody missed it again
    run.watch.check(progressed=True)
    run.print(DIED)
    run.watch.check(progressed=False)


def pass_time(run, seconds, cores, event=""):
    """Half minutes in which the run uses so many cores, and the log says the same again and again."""
    for _ in range(round(seconds / 30)):
        run.now += 30
        run.used += 30 * cores
        run.print(event)
        run.watch.check(progressed=False)


@pytest.mark.parametrize("event", [KILL, DIED])
def test_a_first_step_may_be_long_while_the_run_is_at_work(run, event):
    run.print(event)
    run.watch.check(progressed=False)
    pass_time(run, launch.FIRST_STEP_S - 60, cores=1.5, event=event)
    run.watch.check(progressed=True)  # it has ended, and says how long steps are
    pass_time(run, 1.9 * launch.FIRST_STEP_S, cores=0.0, event=event)
    with pytest.raises(RunFailed):
        pass_time(run, launch.FIRST_STEP_S, cores=1.5, event=event)


@pytest.mark.parametrize("event", [KILL, DIED])
def test_a_first_step_in_which_nothing_works_any_more_is_given_up(run, event):
    run.print(event)
    run.watch.check(progressed=False)
    pass_time(run, 3 * launch.PATIENCE_S, cores=1.5, event=event)
    pass_time(run, launch.PATIENCE_S - 60, cores=0.1, event=event)
    with pytest.raises(RunFailed):
        pass_time(run, 120, cores=0.1, event=event)


@pytest.mark.parametrize("event", [KILL, DIED])
def test_a_first_step_does_not_take_for_ever(run, event):
    run.print(event)
    with pytest.raises(RunFailed):
        pass_time(run, launch.FIRST_STEP_S + 2 * launch.PATIENCE_S, cores=1.5, event=event)


def test_cpu_time_is_of_the_processes_of_a_run():
    code = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, launch.RUN_TAG: "busy"})
    try:
        deadline = time.monotonic() + 50
        while (used := launch.cpu_seconds("busy")) < 0.05:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert used < 60 and launch.cpu_seconds("nobody") == 0
    finally:
        child.kill()
        child.wait()


def test_progress_after_a_resume_shows_what_is_new(tmp_path, capsys):
    file = tmp_path / "metrics.jsonl"

    def write(*steps):
        file.write_text("".join(f'{{"step": {step}, "kind": "train"}}\n' for step in steps))

    write(1, 2, 3)
    progress = launch._Progress(file, 5)
    write(1, 2)  # forgotten by the trainer
    assert not progress.update()
    write(1, 2, 3)
    assert progress.update()
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines() if line.startswith("step")] == [
        "3"
    ]
    file.unlink()
    assert not progress.update()
    write(1)
    assert progress.update()
