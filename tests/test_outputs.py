"""Files that commands write: whole or not at all, and never in the place of a device."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from medr3_plugin.outputs import whole, whole_folder


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    file = tmp_path / "new" / "file"
    with whole(file) as draft:
        draft.write_text("1")
        assert not file.exists()
    with pytest.raises(ValueError), whole(file) as draft:
        draft.write_text("2")
        raise ValueError
    assert file.read_text() == "1"
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("writer", [whole, whole_folder])
def test_a_full_disk_names_what_was_to_be_written(tmp_path, writer):
    with pytest.raises(OSError) as caught, writer(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "out") and not list(tmp_path.iterdir())


def test_a_link_goes_on_leading_to_its_file(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with whole(tmp_path / "link") as draft:
        draft.write_text("1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "1"


def test_a_device_is_written_to():
    with whole(Path("/dev/null")) as draft:
        draft.write_text("1")
    assert Path("/dev/null").is_char_device()


def test_a_pipe_is_written_to():
    read, write = os.pipe()
    with whole(Path(f"/dev/fd/{write}")) as draft:
        draft.write_text("1")
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "1"


def test_a_link_to_itself_is_replaced(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with whole(tmp_path / "loop") as draft:
        draft.write_text("1")
    assert (tmp_path / "loop").read_text() == "1"
