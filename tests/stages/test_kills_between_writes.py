"""`kill -9` before any one of a run's writes: the same command again ends as a run that was not killed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("verl")

from loop_without_models import make, run, trained
from omegaconf import OmegaConf

from medr3_plugin.runs import writer
from medr3_plugin.runs.requests import request_promotion
from medr3_plugin.stages import trainer as trainer_module

pytestmark = pytest.mark.slow

STAGES = [
    {"name": "reasoning", "until": {"max_steps": 3}},  # ended by hand after its second step
    {"name": "joint", "until": {"max_steps": 2}},
]
OVERRIDES = ("trainer.save_freq=1", "trainer.val_before_train=true")
APPENDED = ("metrics.jsonl", "trajectories.jsonl")
CHANGES = ("os.rename", "os.remove", "os.mkdir")


class Run:
    """A trainer that has not begun; each start of it is a process of its own, over the same folder."""

    def __init__(self, home: Path, monkeypatch: Any) -> None:
        self.home, self.folder = home, home / "run"
        monkeypatch.setattr(writer, "environment", dict)  # asks git
        resolved = SimpleNamespace(to_yaml=lambda *_, **__: "a: 1\n", to_container=OmegaConf.to_container)
        monkeypatch.setattr(trainer_module, "OmegaConf", resolved)  # takes half a second
        self.trainer = make("medr3_progressive", home, STAGES, *OVERRIDES, monkeypatch=monkeypatch)
        begin = type(self.trainer).on_step_begin

        def on_step_begin(trainer: Any) -> None:
            """In the second step somebody asks for the next stage, once."""
            begin(trainer)
            if trainer.global_steps == 2 and not (home / "asked").exists():
                request_promotion(self.folder)
                (home / "asked").touch()

        monkeypatch.setattr(type(self.trainer), "on_step_begin", on_step_begin)

    def forget(self) -> None:
        """Nothing has happened yet."""
        for path in (*self.folder.iterdir(), self.home / "asked"):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != ".lock":
                path.unlink(missing_ok=True)

    def start(self, name: str, kill_before: int = sys.maxsize) -> dict[str, Any]:
        """Run to the end, or until the change of a file with this number is due; what the process did."""
        done = self.home / name
        if not (child := os.fork()):
            self._in_the_child(done, kill_before)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == (0 if kill_before == sys.maxsize else -signal.SIGKILL), (
            self.home / "said"
        ).read_text()
        return pickle.loads(done.read_bytes())  # noqa: S301 (written by our own child)

    def _in_the_child(self, done: Path, kill_before: int) -> None:
        changes: list[tuple[str, str]] = []

        def dump() -> None:
            done.write_bytes(pickle.dumps({"changes": changes, "trained": trained(self.trainer)}))

        def hear(event: str, args: tuple[Any, ...]) -> None:
            writes = (
                event == "open" and isinstance(args[1], str) and any(letter in args[1] for letter in "wax+")
            )
            if not (writes or event in CHANGES) or not isinstance(args[0], str | Path):
                return
            path = Path(args[0])
            if self.folder not in path.parents or path.name == ".lock":
                return
            if len(changes) == kill_before:
                dump()
                os.kill(os.getpid(), signal.SIGKILL)
            changes.append((event, str(path.relative_to(self.folder)).removesuffix(f".{os.getpid()}")))

        said = os.open(self.home / "said", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(said, 1)
        os.dup2(said, 2)
        status = 1
        try:
            sys.addaudithook(hear)  # cannot be removed, so not in the process of the tests
            run(self.trainer)
            dump()
            status = 0
        finally:
            os._exit(status)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def outcome(folder: Path, *starts: dict[str, Any]) -> dict[str, Any]:
    """What of a run must not depend on kills."""
    steps: dict[int, Any] = {}
    for start in starts:
        steps |= start["trained"]
    metrics = lines(folder / "metrics.jsonl")
    rows = lines(folder / "trajectories.jsonl")
    return {
        "history": [
            (stage["name"], stage["start_step"], stage["end_step"], stage["reason"])
            for stage in json.loads((folder / "stages.json").read_text())
        ],
        "metrics": [(line["step"], line["kind"], line["stage"], line["stage_step"]) for line in metrics],
        "trajectories": sorted((row["step"], row["kind"], row["stage"], row["id"]) for row in rows),
        "trained": {
            step: sorted((prompt.stage, prompt.question) for prompt in prompts)
            for step, prompts in steps.items()
        },
        "request": (folder / "promote.request").exists(),
    }


def tear(file: Path) -> None:
    """What a kill within an append leaves: half of the last line."""
    text = file.read_bytes()
    last = text[:-1].rfind(b"\n") + 1
    file.write_bytes(text[: (last + len(text)) // 2])


def test_every_write(tmp_path, monkeypatch):
    runs = Run(tmp_path, monkeypatch)
    whole = runs.start("whole")
    expected = outcome(runs.folder, whole)
    assert expected["history"] == [
        ("reasoning", 1, 2, "manual: medr3 promote"),
        ("joint", 3, 4, "max_steps 2"),
    ]
    assert [step for step, kind, *_ in expected["metrics"] if kind == "val"] == [0, 2, 4]
    assert not expected["request"]
    changes = whole["changes"]
    assert len(changes) > 40 and {name for _, name in changes} >= {
        *APPENDED,
        "promote.request",
        ".stages.json",
    }
    for number, change in enumerate(changes):
        event, before = changes[number - 1] if number else ("", "")
        if event == "os.mkdir" or (event == "open" and Path(before).name.startswith(".")):
            continue  # nothing that anybody reads differs from the moment before
        for torn in (False, True) if before in APPENDED else (False,):
            runs.forget()
            killed = runs.start("killed", kill_before=number)
            assert killed["changes"] == changes[:number]
            if torn:
                tear(runs.folder / before)
            found = outcome(runs.folder, killed, runs.start("resumed"))
            assert found == expected, f"killed before {change}, {'torn' * torn}"
