"""A release: the wheel of this tree, installed elsewhere without the tree, does what a newcomer tries first."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import medr3_plugin

pytest.importorskip("hatchling")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, str(site), str(wheel)], check=True, capture_output=True, timeout=300)
    return site


def medr3(site: Path, *arguments: str, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [str(site / "bin" / "medr3"), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"medr3_plugin", f"medr3_plugin-{medr3_plugin.__version__}.dist-info"}
    assert "medr3_plugin/py.typed" in names
    shipped = {path.relative_to(ROOT / "recipes") for path in (ROOT / "recipes").rglob("*") if path.is_file()}
    assert {f"medr3_plugin/_recipes/{path}" for path in shipped} <= set(names)
    # prompts and other files that are no modules
    data = [path for path in (ROOT / "medr3_plugin").rglob("*.txt") if path.is_file()]
    assert data and {str(path.relative_to(ROOT)) for path in data} <= set(names)


def test_from_the_wheel_to_the_first_score(site: Path, tmp_path: Path) -> None:
    where = [sys.executable, "-c", "import medr3_plugin; print(medr3_plugin.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    imported = subprocess.run(
        where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert imported.stdout.startswith(str(site))
    assert medr3(site, "--version", cwd=tmp_path) == f"medr3 {medr3_plugin.__version__}\n"
    assert "one_gpu_1_5b" in medr3(site, "recipes", "list", cwd=tmp_path)
    medr3(site, "recipes", "copy", "one_gpu_1_5b", "mine", cwd=tmp_path)
    assert (
        os.access(tmp_path / "mine" / "run.sh", os.X_OK) and not (tmp_path / "mine" / "run.sh").is_symlink()
    )
    row = {"question": "Which vitamin prevents scurvy?", "answer": "vitamin C"}
    response = "<think>A lack of vitamin C.</think><answer>vitamin C</answer>"
    (tmp_path / "mine.jsonl").write_text(json.dumps({**row, "response": response}) + "\n")
    medr3(site, "score", "--in", "mine.jsonl", "--out", "scored.jsonl", "--stage", "reasoning", cwd=tmp_path)
    assert json.loads((tmp_path / "scored.jsonl").read_text())["acc"] == 1.0


def test_the_changelog_is_in_order() -> None:
    headings = re.findall(
        r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings[0] in ("Unreleased", medr3_plugin.__version__)
    assert len(headings) == len(set(headings))
