"""Data sets by their Hub name: `datasets` itself reads folders laid out as the repositories are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medr3_plugin.data import prepare
from medr3_plugin.data.layouts import DATASETS
from medr3_plugin.data.questions import reading
from medr3_plugin.errors import UserError

datasets = pytest.importorskip("datasets")

_CONFIGS = """---
configs:
- config_name: Text
  data_files:
  - {split: dev, path: Text/dev.jsonl}
  - {split: test, path: Text/test.jsonl}
- config_name: MM
  data_files:
  - {split: test, path: MM/test.jsonl}
---
"""
EXPERT = {
    "id": "Text-26",
    "question": "Which? Answer Choices: (A) x (B) y",
    "options": {"A": "x", "B": "y"},
    "label": "B",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose folders are the Hub's repositories; with a revision, `<owner>/<name>@<revision>`."""
    load, folder = datasets.load_dataset, tmp_path / "hub"
    cache = str(tmp_path / "cache")

    def local(name: str, config: str | None = None, *, revision: str = "", **options: Any) -> Any:
        place = f"{name}@{revision.replace('/', '-')}" if revision else name
        if not (folder / place).is_dir():
            raise datasets.exceptions.DatasetNotFoundError(f"Dataset '{name}' doesn't exist on the Hub")
        return load(str(folder / place), config, cache_dir=cache, **options)

    monkeypatch.setattr(datasets, "load_dataset", local)
    monkeypatch.chdir(tmp_path)
    return folder


def write(path: Path, *rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def medxpertqa(hub: Path) -> str:
    folder = hub / "TsinghuaC3I" / "MedXpertQA"
    for number, part in enumerate(("Text/dev", "Text/test", "MM/test")):
        row = {
            **EXPERT,
            "id": f"{part.partition('/')[0]}-{number}",
            "question": f"{number} {EXPERT['question']}",
        }
        write(folder / f"{part}.jsonl", row)
    (folder / "README.md").write_text(_CONFIGS)
    return "TsinghuaC3I/MedXpertQA"


def test_configuration_and_split_in_the_name_or_as_options(medxpertqa: str) -> None:
    named = prepare.load("medxpertqa", f"{medxpertqa}:Text:test").items
    assert [(item.id, item.split, item.question) for item in named] == [
        ("medxpertqa:Text-1", "test", "1 Which?")
    ]
    assert prepare.load("medxpertqa", f"{medxpertqa}:test", config="Text").items == named
    assert prepare.load("medxpertqa", medxpertqa, config="Text", split="test").items == named
    assert [i.split for i in prepare.load("medxpertqa", f"{medxpertqa}:Text:validation").items] == ["dev"]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            "{}",
            {},
            r"several configurations; name one of \['Text', 'MM'\], as {}:CONFIG:SPLIT or with --config",
        ),
        ("{}:Txt:test", {}, r"no configuration 'Txt'; name one of \['Text', 'MM'\]"),
        ("{}:Text:train", {}, r"no row of split 'train'; splits found: dev, test"),
        ("{}:Text:test", {"split": "dev"}, r"--split dev"),
        ("{}:Text:test", {"config": "MM"}, r"--config MM"),
        ("nobody/nothing:test", {}, r"cannot be loaded from the Hub .*give the path"),
    ],
)
def test_what_there_is_is_listed(medxpertqa: str, source: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("{}", medxpertqa)):
        list(reading.read(source.replace("{}", medxpertqa), **options))


def test_a_data_set_that_comes_as_a_script_is_read_from_the_hubs_parquet_copy(hub: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write(hub / "bigbio/med_qa/med_qa.py")
    row = {"question": "最可能的诊断？", "answer_idx": "B", "answer": "痛风"}
    for config, wrong in (("med_qa_zh_source", "丹毒"), ("med_qa_tw_source", "蜂窩性組織炎")):
        options = [{"key": "A", "value": wrong}, {"key": "B", "value": "痛风"}]
        for split in ("test", "train"):
            file = hub / "bigbio/med_qa@refs-convert-parquet" / config / split / "0000.parquet"
            file.parent.mkdir(parents=True)
            pq.write_table(pa.Table.from_pylist([{**row, "options": options}]), file)
    (item,) = prepare.load("medqa_mainland", "bigbio/med_qa:med_qa_zh_source:test").items
    assert (item.answers, item.split, item.options["A"]) == (("痛风",), "test", "丹毒")
    with pytest.raises(UserError, match=r"script.*bigbio/med_qa:CONFIG:SPLIT"):
        list(reading.read("bigbio/med_qa:test"))
    with pytest.raises(UserError, match="bigbio/med_qa: "):
        list(reading.read("bigbio/med_qa:med_qa_xx_source:test"))


def test_each_task_of_rarearena_takes_its_own_file(hub: Path) -> None:
    case = {"_id": "1", "case_report": "Dark urine.", "diagnosis": "Alkaptonuria", "Orpha_id": "ORPHA:56"}
    folder = hub / "THUMedInfo" / "RareArena"
    write(folder / "RDS.json", case)
    write(folder / "RDC.json", {**case, "_id": "2", "test_results": "Homogentisic acid was raised."})
    for source in ("THUMedInfo/RareArena", str(folder)):  # by name, and as files of one's own
        for dataset, own in (("rarearena_rds", "1"), ("rarearena_rdc", "2")):
            loaded = prepare.load(dataset, source)
            assert [item.id for item in loaded.items] == [f"{dataset}:{own}"] and not loaded.rejected


def test_other_exams_in_mmlu_are_skipped(hub: Path) -> None:
    row = {"question": "Q?", "choices": ["w", "x", "y", "z"], "answer": 2}
    folder = hub / "cais" / "mmlu"
    write(folder / "a" / "1.jsonl", {**row, "subject": "anatomy"})
    write(folder / "b" / "2.jsonl", {**row, "question": "Reading?", "subject": ""})
    splits = "{split: test, path: a/1.jsonl}, {split: auxiliary_train, path: b/2.jsonl}"
    (folder / "README.md").write_text(f"---\nconfigs: [{{config_name: all, data_files: [{splits}]}}]\n---\n")
    loaded = prepare.load("mmlu_med", "cais/mmlu")
    assert [item.question for item in loaded.items] == ["Q?"] and loaded.skipped.total() == 1


def test_every_hint_is_a_hub_name() -> None:
    hints = [layout.hub for layout in DATASETS.values() if layout.hub]
    assert len(hints) >= 8 and all(map(reading.is_hub_name, hints))


def test_an_evaluation_of_several_splits_is_refused(tmp_path: Path) -> None:
    from medr3_plugin.evaluation.benchmarks import load_benchmark

    for split in ("dev", "test"):
        write(tmp_path / "files" / f"{split}.jsonl", {"question": f"{split}?", "answer": "x"})
    with pytest.raises(UserError, match=r"several splits: dev \(1 row\), test \(1 row\)"):
        load_benchmark(f"generic={tmp_path / 'files'}")
    assert len(load_benchmark(f"generic={tmp_path / 'files' / 'test.jsonl'}")[1]) == 1
