"""The names that `import medr3_plugin` offers."""

from __future__ import annotations

import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import medr3_plugin

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "API.md"


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there_and_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in medr3_plugin.__all__:
        assert getattr(medr3_plugin, name) is not None
        assert name == "__version__" or f"`{name}`" in page
    assert {"build_scorer", "Sample", "parse", "make_backend", "build_index", "Schedule"} <= set(
        medr3_plugin.__all__
    )
    assert set(medr3_plugin.__all__) <= set(dir(medr3_plugin))


def test_the_modules_of_the_page_exist() -> None:
    for name in re.findall(r"`(medr3_plugin\.[\w.]+)`", PAGE.read_text(encoding="utf-8")):
        assert pkgutil.resolve_name(name)


def test_the_import_loads_nothing_and_a_schedule_no_trainer() -> None:
    run(
        "import sys, medr3_plugin\n"
        "assert [n for n in sys.modules if n.startswith('medr3_plugin.')] == []\n"
        "medr3_plugin.Schedule, medr3_plugin.build_scorer, medr3_plugin.make_backend, medr3_plugin.build_index\n"
        "assert not {'verl', 'torch', 'ray', 'vllm'} & set(sys.modules)"
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="build_scorrer"):
        medr3_plugin.build_scorrer  # noqa: B018


def test_a_type_checker_sees_the_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mypy = pytest.importorskip("mypy.api", reason="in the extra dev")
    (tmp_path / "mine.py").write_text(
        "from medr3_plugin import Sample, build_scorer, parse\n"
        "reveal_type(parse('x'))\n"
        "build_scorer({})\n"
        "Sample(1, 'q', 'r', ('a',))\n"
    )
    monkeypatch.chdir(ROOT)  # its settings, which leave the trainer out, and what an earlier run knows
    said, _, _ = mypy.run([str(tmp_path / "mine.py")])
    assert 'Revealed type is "medr3_plugin.trajectory.Trajectory"' in said
    assert 'Argument 1 to "Sample" has incompatible type "int"' in said
