from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.stages.checkpoints import begin, latest, mark_complete, resume_folder, step_of
from medr3_plugin.stages.state import STATE_FILE


def checkpoint(root, step, *, finished=True):
    folder = root / f"global_step_{step}"
    (folder / "actor").mkdir(parents=True)
    for file in (folder / STATE_FILE, folder / "data.pt", folder / "actor" / "model_world_size_1_rank_0.pt"):
        file.write_text("x")
    if finished:
        mark_complete(folder)
    return folder


def test_newest_complete_checkpoint_wins(tmp_path):
    checkpoint(tmp_path, 2)
    ten = checkpoint(tmp_path, 10)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("2")
    assert latest(tmp_path) == (ten, [])


def test_a_run_that_was_sent_back_goes_on_from_what_it_saved_since(tmp_path):
    """Checkpoints of later steps are the abandoned branch's."""
    checkpoint(tmp_path, 8)
    checkpoint(tmp_path, 9, finished=False)
    four = checkpoint(tmp_path, 4)
    assert latest(tmp_path) == (four, [tmp_path / "global_step_9"])


def test_a_checkpoint_that_is_overwritten_is_not_complete_meanwhile(tmp_path):
    two, four = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4)
    begin(four)
    assert latest(tmp_path) == (two, [four])


def test_which_folder_a_run_goes_on_from(tmp_path):
    two = checkpoint(tmp_path, 2)

    def asked(mode):
        wanted = {
            "resume_mode": mode,
            "resume_from_path": "x/global_step_7",
            "default_local_dir": str(tmp_path),
        }
        return resume_folder(SimpleNamespace(**wanted))

    assert asked("disable") == (None, [])
    assert asked("auto") == (two, [])
    assert asked("resume_path") == (Path("x/global_step_7").absolute(), [])


def test_a_half_written_or_half_deleted_one_is_skipped(tmp_path):
    four = checkpoint(tmp_path, 4)
    deleted = checkpoint(tmp_path, 6)
    (deleted / "actor" / "model_world_size_1_rank_0.pt").unlink()
    half = checkpoint(tmp_path, 8, finished=False)
    assert latest(tmp_path) == (four, [half, deleted])


def test_nothing_to_resume(tmp_path):
    assert latest(tmp_path / "none") == (None, [])
    half = checkpoint(tmp_path, 1, finished=False)
    assert latest(tmp_path) == (None, [half])


def test_folder_names():
    assert step_of(Path("x/global_step_12")) == 12
    with pytest.raises(UserError, match="resume_from_path"):
        step_of(Path("x/step12"))
