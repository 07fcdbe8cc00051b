from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medr3_plugin.errors import UserError
from medr3_plugin.stages import checkpoints
from medr3_plugin.stages.checkpoints import (
    MARKER,
    begin,
    damage_of,
    latest,
    mark_complete,
    resume_folder,
    step_of,
)
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


def test_a_run_that_was_sent_back_resumes_from_what_it_saved_since(tmp_path):
    """Checkpoints of later steps are the abandoned branch's."""
    checkpoint(tmp_path, 8)
    checkpoint(tmp_path, 9, finished=False)
    four = checkpoint(tmp_path, 4)
    assert latest(tmp_path) == (four, [(tmp_path / "global_step_9", "it was not finished")])


@pytest.mark.parametrize("numbered", [True, False], ids=["numbered", "of before"])
def test_a_clock_that_is_set_back_changes_nothing(tmp_path, monkeypatch, numbered):
    checkpoint(tmp_path, 2)
    if not numbered:  # a checkpoint of before
        marker = tmp_path / "global_step_2" / MARKER
        marker.write_text(json.dumps({"step": 2, "saved_at": time.time(), "files": {}}))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    four = checkpoint(tmp_path, 4)
    assert latest(tmp_path) == (four, [])
    three = checkpoint(tmp_path, 3)  # sent back to 2
    assert latest(tmp_path) == (three, [])


def test_a_checkpoint_that_is_overwritten_is_not_complete_meanwhile(tmp_path):
    two, four = checkpoint(tmp_path, 2), checkpoint(tmp_path, 4)
    begin(four)
    assert latest(tmp_path) == (two, [(four, "it was not finished")])


def test_which_folder_a_run_resumes_from(tmp_path):
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
    newest, skipped = latest(tmp_path)
    assert newest == four and [entry.folder for entry in skipped] == [half, deleted]
    assert "model_world_size_1_rank_0.pt" in skipped[1].reason


def test_nothing_to_resume(tmp_path):
    assert latest(tmp_path / "none") == (None, [])
    half = checkpoint(tmp_path, 1, finished=False)
    assert latest(tmp_path) == (None, [(half, "it was not finished")])


def test_folder_names():
    assert step_of(Path("x/global_step_12")) == 12
    with pytest.raises(UserError, match="resume_from_path"):
        step_of(Path("x/step12"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with two checkpoints as the trainer writes them, of a small network."""
    torch = pytest.importorskip("torch")
    root = tmp_path_factory.mktemp("checkpoints")
    for step in (1, 2):
        folder = root / f"global_step_{step}"
        (folder / "actor").mkdir(parents=True)
        (folder / "transfer_queue").mkdir()
        network = torch.nn.Linear(64, 64)
        torch.save(network.state_dict(), folder / "actor/model_world_size_1_rank_0.pt")
        torch.save({"step": step}, folder / "actor/extra_state_world_size_1_rank_0.pt")
        torch.save({"position": step}, folder / "data.pt")
        (folder / "transfer_queue/controller_state.pkl").write_bytes(bytes(range(256)))
        (folder / STATE_FILE).write_text(json.dumps({"index": step}))
        mark_complete(folder)
    return root


FILES = [
    "actor/model_world_size_1_rank_0.pt",
    "actor/extra_state_world_size_1_rank_0.pt",
    "data.pt",
    "transfer_queue/controller_state.pkl",
    STATE_FILE,
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FILES), st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.booleans())
def test_damage_anywhere_is_found_and_named(saved, name, where, flip, cut):
    file = saved / "global_step_2" / name
    whole = file.read_bytes()
    place = int(where * len(whole))
    file.write_bytes(
        whole[:place] if cut else whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :]
    )
    try:
        newest, [skipped] = latest(saved)
        assert newest == saved / "global_step_1"
        assert skipped.folder == saved / "global_step_2" and skipped.reason.startswith(name)
        with pytest.raises(UserError, match="global_step_2"):
            resume_folder(
                SimpleNamespace(resume_mode="resume_path", resume_from_path=str(saved / "global_step_2"))
            )
    finally:
        file.write_bytes(whole)
    assert latest(saved) == (saved / "global_step_2", [])


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), cut=st.booleans())
def test_large_files_are_checked_by_the_checksums_of_their_tensors(tmp_path_factory, where, cut):
    """Bytes between the tensors, which nothing reads, may differ."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("large") / "global_step_1"
    (folder / "actor").mkdir(parents=True)
    file = folder / FILES[0]
    weights = {f"layer_{i}": torch.full((64, 64), float(i)) for i in range(8)}
    torch.save(weights, file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoints, "SMALL", 1000)  # as if it were gigabytes
        patched.setattr(checkpoints, "END", 4000)
        mark_complete(folder)
        whole, place = file.read_bytes(), int(where * file.stat().st_size)
        file.write_bytes(
            whole[:place] if cut else whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :]
        )
        if damage_of(folder) is None:
            read = torch.load(file, weights_only=True)
            assert all(torch.equal(read[key], weights[key]) for key in weights)


def test_a_marker_of_before_still_counts(tmp_path):
    folder = checkpoint(tmp_path, 3)
    (folder / MARKER).write_text(
        json.dumps({"step": 3, "saved_at": 1.0, "actor_files": ["model_world_size_1_rank_0.pt"]})
    )
    assert latest(tmp_path) == (folder, [])
    (folder / "actor/model_world_size_1_rank_0.pt").write_text("")
    assert latest(tmp_path)[0] is None
