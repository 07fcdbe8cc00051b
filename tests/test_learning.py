"""The driver of the learning runs: its tables come from the committed files alone, and it mixes no two runs."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index.lexical_build import build_lexical

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def learning(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("learning", ROOT / "benchmarks/learning.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "learning", module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "learning")
    return module


def write_run(learning, arm, seed, right, *, setting=None, questions="q"):
    """A committed run whose last validation got the questions of `right` right."""
    setting = setting or learning.Setting()
    head = {"kind": "run", "arm": arm, "seed": seed, "commit": "c", **learning.asdict(setting), "seconds": 1}
    results = {key: list(map(int, right)) for key in learning.MEASURES}
    step = learning.last_step(arm, setting)
    rows = [head, {"kind": "val", "step": step, "stage": "joint", "questions": questions, **results}]
    rows.insert(1, {"kind": "train", "step": 1, "stage": "joint", "score": 0.25, "acc": 0.5})
    file = learning.RESULTS / setting.folder / arm / str(seed) / "metrics.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_seeds_are_averaged_by_question_and_arms_compared_on_the_seeds_they_share(learning):
    write_run(learning, "medr3", 1, "1110")
    write_run(learning, "medr3", 2, "1100")
    write_run(learning, "joint_only", 1, "1000")
    text = learning.table()
    assert text == learning.table()
    assert re.search(r"\| medr3 \| 2 \(0\.75, 0\.50\) \| 1536 \| 0\.625 ", text)
    assert re.search(r"\| joint_only \| 1 \| 1536 \| 0\.250 ", text)
    assert re.search(r"\| medr3 - joint_only \| \+0\.500 .* \| 2 / 0 \|", text)
    assert "| medr3 | joint | 0.25 to 0.25 | 0.50 to 0.50 |" in text


@pytest.mark.parametrize("other", ["setting", "questions"])
def test_runs_that_do_not_compare_are_refused(learning, other):
    write_run(learning, "medr3", 1, "10")
    changed = {"setting": learning.Setting(steps=12)} if other == "setting" else {"questions": "others"}
    file = write_run(learning, "none", 1, "10", **changed)
    with pytest.raises(UserError, match=re.escape(str(file))):
        learning.table()


def test_runs_whose_searches_found_other_documents_are_refused_where_it_is_recorded(learning):
    files = [write_run(learning, "medr3", seed, "10") for seed in (1, 2, 3, 4)]
    before = list(range(400))
    for file, found in zip(
        files[1:], (before, [*before[:-4], 0, 0, 0, 0], [*before[:-5], 0, 0, 0, 0, 0]), strict=True
    ):
        learning.table()
        head, *rest = file.read_text().splitlines()
        file.write_text("\n".join([json.dumps({**json.loads(head), "found": found}), *rest]))
    with pytest.raises(UserError, match=re.escape(str(files[3]))):
        learning.table()


def test_a_series_has_folders_of_its_own(learning, tmp_path):
    assert learning.Setting(task="unread", series="zen5").folder == "unread_zen5"
    assert learning.Setting(task="unread", precision="float32").folder == "unread_float32"
    folder = tmp_path / "run"
    learning.claim(folder, "medr3", 1, learning.Setting())
    mark = json.loads((folder / "learning.json").read_text())
    del mark["series"]  # as an earlier version wrote it
    (folder / "learning.json").write_text(json.dumps(mark))
    learning.claim(folder, "medr3", 1, learning.Setting())


def test_a_folder_of_another_run_is_refused_by_its_path(learning, tmp_path):
    folder = tmp_path / "run"
    learning.claim(folder, "medr3", 1, learning.Setting())
    learning.claim(folder, "medr3", 1, learning.Setting())  # the same command goes on
    for arm, seed, setting in (
        ("paper", 1, learning.Setting()),
        ("medr3", 2, learning.Setting()),
        ("medr3", 1, learning.Setting(samples=8)),
    ):
        with pytest.raises(UserError, match=re.escape(str(folder))):
            learning.claim(folder, arm, seed, setting)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=re.escape(str(foreign))):
        learning.claim(foreign, "medr3", 1, learning.Setting())


def test_a_run_that_could_not_join_the_table_is_refused_before_it_trains(learning, monkeypatch):
    setting = learning.Setting()
    file = write_run(learning, "medr3", 1, "10")
    mine = json.loads(file.read_text().splitlines()[0])
    monkeypatch.setattr(learning, "head_of", lambda arm, seed, setting: mine)
    learning.check_series("paper", 2, setting)
    mine = mine | {"start": {"weights": "another CPU's"}}
    with pytest.raises(UserError, match=f"(?s){re.escape(str(file))}.*start.*--series"):
        learning.check_series("paper", 2, setting)
    learning.check_series("paper", 2, learning.Setting(series="mine"))


def test_the_interval_over_seeds_is_as_wide_as_seeds_differ(learning):
    for seed, right in enumerate((50, 50, 50), start=1):
        write_run(learning, "medr3", seed, "1" * right + "0" * (100 - right))
    for seed, right in enumerate((0, 52, 10), start=1):
        write_run(learning, "joint_only", seed, "1" * right + "0" * (100 - right))
    for seed in (1, 2):
        write_run(learning, "paper", seed, "1" * 50 + "0" * 50)
    write_run(learning, "none", 1, "0" * 100)
    runs = learning.committed(learning.Setting().folder)

    def interval(first, second):
        return learning.seed_interval(runs[first], runs[second])

    mean, low, high = interval("medr3", "joint_only")
    assert mean == pytest.approx(0.5 - 62 / 300)
    assert (
        low < 0 < high
    )  # one resample in 27 is the lucky seed thrice, though 0 lies far outside of the interval by question
    assert (
        learning.compare(
            *(learning.scores(runs[arm], 48, "acc") for arm in ("medr3", "joint_only"))
        ).difference.low
        > 0.2
    )
    mean, low, high = interval("medr3", "none")
    assert mean == 0.5
    assert 0.39 < low < 0.42
    assert 0.58 < high < 0.61  # the seeds do not differ: the binomial interval of 100 questions
    assert interval("medr3", "paper") is None


def test_evidence_supports_a_right_answer_only_if_the_gold_document_was_shown(learning):
    def result(acc, *shown):
        searches = [{"documents": [{"id": document} for document in shown]}]
        record = {"acc": acc, "format": 1.0, "searches": 1.0}
        row = {"reward": record, "searches": searches, "response": "a b"}
        return learning.question_result(row, {"hpoa:1"}, lambda text: len(text.split()))

    assert result(1.0, "hpoa:1")["supported"] == 1
    assert result(1.0, "hpoa:2")["supported"] == 0
    assert result(0.0, "hpoa:1")["supported"] == 0
    assert result(1.0, "hpoa:1") == {"acc": 1, "supported": 1, "format": 1, "searches": 1, "tokens": 2}


def test_a_run_folder_becomes_a_small_file(learning, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    data, folder = tmp_path / "data/copying", tmp_path / "run"
    (data / "index").mkdir(parents=True)
    manifest = {"documents": {"sha256": "d"}, "bm25": {"analyser": 2}}
    (data / "index/manifest.json").write_text(json.dumps(manifest))
    build_lexical(["an ECG"], data / "index/bm25")
    rows = [{"extra_info": {"id": i, "question": "an EKG", "gold_docs": [f"hpoa:{i}"]}} for i in "ba"]
    parquet.write_table(pyarrow.Table.from_pylist(rows), data / "val.parquet")
    monkeypatch.setattr(learning, "DATA", data.parent)
    monkeypatch.setattr(learning, "token_counter", lambda: len)

    def answered(question, acc, shown):
        record = {"acc": acc, "format": 1.0, "searches": 1.0}
        searches = [{"documents": [{"id": shown}]}]
        return {
            "kind": "val", "step": 4, "id": question, "reward": record, "searches": searches, "response": "abc",
        }  # fmt: skip

    train = {
        "kind": "train", "step": 1, "stage": "joint", "reward/acc": 0.123456, "response_length/mean": 90.04,
        "zero_variance_groups": 0.25, "time/step": 3.0, "perf/unwanted": 1.0,
    }  # fmt: skip
    folder.mkdir()
    for name, lines in {
        "metrics.jsonl": [train, {"kind": "val", "step": 4, "stage": "joint"}],
        "trajectories.jsonl": [answered("b", 1.0, "hpoa:b"), answered("a", 1.0, "hpoa:b")],
    }.items():
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "environment.json").write_text(json.dumps({"commit": "abc"}))

    learning.collect(folder, "joint_only", 7, learning.Setting(task="copying", steps=12))
    head, step, val = map(
        json.loads, (learning.RESULTS / "copying/joint_only/7/metrics.jsonl").read_text().splitlines()
    )
    assert head["found"] == [0, 0]
    assert (head["arm"], head["seed"], head["commit"], head["steps"], head["seconds"]) == (
        "joint_only",
        7,
        "abc",
        12,
        3,
    )
    assert step == {
        "kind": "train", "step": 1, "stage": "joint", "acc": 0.1235, "tokens": 90.0, "zero_variance": 0.25,
    }  # fmt: skip
    # in the order of the ids: a, b
    assert (val["acc"], val["supported"], val["tokens"]) == ([1, 1], [0, 1], [3, 3])


def test_every_arm_composes(learning, tmp_path):
    pytest.importorskip("verl")
    from medr3_plugin.recipe.shipped import compose, find_recipe
    from medr3_plugin.stages.schedule import Schedule

    first_arm, first_task = next(iter(learning.ARMS)), next(iter(learning.TASKS))
    arms = [(arm, first_task) for arm in learning.ARMS]
    for arm, task in [*arms, *((first_arm, task) for task in learning.TASKS)]:
        setting = learning.Setting(task=task)
        config = compose(find_recipe("medr3_cpu"), learning.overrides(arm, 3, setting, tmp_path))
        assert Schedule.from_config(config.medr3.stages).max_steps == setting.steps
        assert config.data.seed == config.actor_rollout_ref.rollout.seed == 3


def test_the_page_shows_what_the_files_give(learning, monkeypatch):
    monkeypatch.setattr(learning, "RESULTS", ROOT / "docs/learning")
    tasks = [folder.name for folder in learning.RESULTS.iterdir()]
    assert tasks
    page = (ROOT / "docs/LEARNING.md").read_text(encoding="utf-8")
    others = (ROOT / "docs/LEARNING_RUNS.md").read_text(encoding="utf-8")
    assert learning.table() in page
    for task in tasks:
        assert learning.table(task) in page + others
    search_pay = importlib.import_module("search_pay")
    rows = list(learning.lines(search_pay.FILE))
    assert search_pay.pays(rows) in page
    assert search_pay.sources(rows) in page
