"""The README does what it says: what a newcomer pastes first, as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from medr3_plugin.cli import _register, app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(*pages: Path) -> list[str]:
    texts = (page.read_text(encoding="utf-8") for page in pages or (PAGES[0],))
    return [block for text in texts for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)]


def test_one_part_only_works_as_pasted(tmp_path: Path) -> None:
    block = next(block for block in blocks() if "medr3 score" in block)
    lines = "".join(line for line in block.splitlines(keepends=True) if not line.startswith("medr3 serve"))
    script = f'set -euo pipefail\nmedr3() {{ "{sys.executable}" -m medr3_plugin.cli "$@"; }}\n{lines}'
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "right: vitamin C" in done.stdout and "Hepatitis C" in done.stdout
    record = json.loads((tmp_path / "scored.jsonl").read_text())
    # an example that shows the method: every part of the reward has something to say
    assert record["acc"] == 1.0 and record["retrieval"] > 0.5 and record["reasoning"] > 0


def test_help_shows_whole_option_names_and_defaults() -> None:
    _register()
    report = CliRunner().invoke(app, ["report", "--help"], env={"COLUMNS": "80"}).stdout
    assert "RUN_DIR/report.html" in report
    index = CliRunner().invoke(app, ["index", "build", "--help"], env={"COLUMNS": "80"}).stdout
    assert "--article-encoder" in index and "--gpus-per-worker" in index
    for group in ((), ("data",), ("corpus",), ("index",), ("recipes",)):
        assert (
            "..."
            not in CliRunner()
            .invoke(app, [*group, "--help"], env={"COLUMNS": "80"})
            .stdout.split("Options:")[1]
        )


def test_every_command_and_option_exists() -> None:
    _register()
    root = get_command(app)
    text = "\n".join(blocks(*PAGES)).replace("\\\n", " ")
    commands = [line.split("#")[0].split() for line in text.splitlines() if line.startswith("medr3 ")]
    assert len(commands) > 10
    for words in commands:
        command, rest = root, words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command, rest = command.commands[rest[0]], rest[1:]
        assert not hasattr(command, "commands"), words
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_links_between_pages_lead_somewhere() -> None:
    generated = {"configuration.md", "command_line.md"}  # made by docs/hooks
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists() or Path(target).name in generated, f"{page.name}: {target}"
