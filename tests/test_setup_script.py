"""`examples/setup_cpu.sh` with stubs for Python and pip: what it installs, and when it does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "setup_cpu.sh"
PYTHON = """#!/usr/bin/env bash
echo "$@" >>{log}
case "$*" in
  "-m pip --version") [ -f {pip} ] ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch {pip} ;;
  *"{fails}"*) exit 1 ;;
esac
"""


class Setup:
    """A folder with a stub of Python that logs its calls and, asked for a venv, copies itself there."""

    def __init__(self, folder: Path, fails: str = "nothing") -> None:
        self.venv, self.log = folder / "venv", folder / "log"
        self.python, self.pip = folder / "python", folder / "pip"
        self.python.write_text(PYTHON.format(log=self.log, pip=self.pip, fails=fails))
        self.python.chmod(0o755)

    def source(self, *arguments: str) -> tuple[str, list[str]]:
        """Output of a shell that goes on after sourcing the script, and the calls of Python."""
        self.log.write_text("")
        script = f"sleep() {{ :; }}; source {SCRIPT} {' '.join(arguments)}; echo status $?"
        environment = {"PATH": "/usr/bin:/bin", "MEDR3_VENV": str(self.venv), "PYTHON": str(self.python)}
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True)
        return done.stdout, self.log.read_text().splitlines()


def test_installs_once_and_dev_is_enough_for_both(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    out, calls = setup.source("--dev")
    assert "status 0" in out and sum("-m venv" in call for call in calls) == 1
    assert any("requirements/dev.txt" in call for call in calls)
    for arguments in (("--dev",), ()):
        assert setup.source(*arguments)[1] == ["-m pip --version"]


def test_without_dev_installs_dev_when_asked(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    assert not any("dev.txt" in call for call in setup.source()[1])
    assert any("dev.txt" in call for call in setup.source("--dev")[1])


def test_an_environment_without_pip_is_completed(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    setup.source()
    setup.pip.unlink()
    out, calls = setup.source()
    assert "status 0" in out and calls[-1].startswith("-m venv")


@pytest.mark.parametrize("what", ["torch==", "requirements/cpu.txt"])
def test_a_failed_installation_is_tried_again_and_leaves_the_shell_alive(tmp_path: Path, what: str) -> None:
    setup = Setup(tmp_path, fails=what)
    out, calls = setup.source()
    assert "status 1" in out and sum(what in call for call in calls) == 3
    assert any(what in call for call in setup.source()[1])  # no mark of success
