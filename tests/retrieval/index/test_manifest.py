from __future__ import annotations

import json

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index import manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "small").write_bytes(b"x" * 100)
    (tmp_path / "large").write_bytes(bytes(range(256)) * 4096 * 4)
    return tmp_path


def test_what_was_written_is_read(folder):
    written = manifest.write(folder, {"engine": "bm25", "note": "ü"})
    assert manifest.read(folder) == written
    assert manifest.read(folder, "full") == written
    assert set(written["files"]) == {"large", "part/small"}


@pytest.mark.parametrize("verify", ["quick", "full"])
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
def test_a_changed_file_is_refused(folder, damage, verify):
    manifest.write(folder, {"engine": "bm25"})
    path = folder / "part" / "small"
    changed = {"flip": b"x" * 50 + b"y" + b"x" * 49, "cut": b"x" * 99, "grow": b"x" * 101}.get(damage)
    path.unlink() if changed is None else path.write_bytes(changed)
    with pytest.raises(UserError, match="part/small: "):
        manifest.read(folder, verify)


def test_large_files_are_sampled_unless_all_is_asked_for(folder, monkeypatch):
    monkeypatch.setattr(manifest, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(manifest, "BLOCK_BYTES", 64)
    manifest.write(folder, {"engine": "bm25"})
    content = bytearray((folder / "large").read_bytes())
    content[0] ^= 1  # the first block is always looked at
    (folder / "large").write_bytes(content)
    with pytest.raises(UserError, match="large: "):
        manifest.read(folder)
    content[0] ^= 1
    content[70] ^= 1  # between two blocks
    (folder / "large").write_bytes(content)
    manifest.read(folder)
    with pytest.raises(UserError, match="large: "):
        manifest.read(folder, "full")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update(engine="dense"), "changed after it was written"),
        (lambda m: m["files"].clear(), "changed after it was written"),
        (lambda m: m.update(format="other"), "not the manifest of a medr3 index"),
        (lambda m: m.update(format_version=99), "index format 99"),
    ],
)
def test_a_changed_manifest_is_refused(folder, change, says):
    content = manifest.write(folder, {"engine": "bm25"})
    change(content)
    (folder / manifest.NAME).write_text(json.dumps(content))
    with pytest.raises(UserError, match=says):
        manifest.read(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "not a finished index"), ("", "corrupted"), ("[]", "not the manifest"), ("{", "corrupted")],
)
def test_no_manifest(folder, content, says):
    if content is not None:
        (folder / manifest.NAME).write_text(content)
    with pytest.raises(UserError, match=says):
        manifest.read(folder)


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path / "none")):
        manifest.read(tmp_path / "none")
