"""Benchmarks from prepared and from raw files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from medr3_plugin.data import prepare
from medr3_plugin.data.questions import parquet, prompts
from medr3_plugin.data.questions.items import Item
from medr3_plugin.errors import UserError
from medr3_plugin.evaluation.benchmarks import load_benchmark

CHOICE = {
    "id": "c:1",
    "question": "Which drug stops the seizure?",
    "options": {"A": "lorazepam", "B": "aspirin"},
    "answer": "A",
}
SHARED = Path(os.environ.get("MEDR3_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_choice_form_shows_the_options_and_open_form_hides_them(tmp_path: Path) -> None:
    source = write(tmp_path / "own.jsonl", CHOICE)
    _, (choice,) = load_benchmark(f"generic={source}", form="choice")
    assert choice.sample.options == CHOICE["options"]
    assert "A. lorazepam" in choice.prompt[-1]["content"]
    _, (opened,) = load_benchmark(f"generic={source}", form="open")
    assert opened.sample.options is None and "aspirin" not in opened.prompt[-1]["content"]
    assert opened.sample.answers[0] == "lorazepam"


def test_found_by_name_in_the_data_folder(tmp_path: Path) -> None:
    write(
        tmp_path / "mine.jsonl",
        CHOICE,
        {**CHOICE, "id": "c:2", "question": "And which one does not?", "answer": "B"},
    )
    name, questions = load_benchmark("mine", tmp_path)
    assert name == "mine" and [q.sample.id.removeprefix("generic:") for q in questions] == ["c:1", "c:2"]
    assert len(load_benchmark("mine", tmp_path, limit=1)[1]) == 1


def test_a_prepared_parquet_brings_its_own_prompts(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    item = Item("p:1", "own", "Which vitamin?", ("vitamin C", "ascorbic acid"), gold_docs=("d1",))
    prompt = prompts.with_examples("Which vitamin?", [("Which drug?", "<answer>x</answer>")], system="Short.")
    row = parquet.training_row(item, prompt, index=0)
    parquet.write_parquet([row], tmp_path / "own.parquet")
    _, (question,) = load_benchmark("own", tmp_path)
    assert [message["role"] for message in question.prompt] == ["system", "user", "assistant", "user"]
    assert question.sample.answers == ("vitamin C", "ascorbic acid") and question.sample.gold_docs == ("d1",)
    name, (by_path,) = load_benchmark(str(tmp_path / "own.parquet"))
    assert (name, by_path) == ("own", question)


def test_a_damaged_parquet_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "own.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(UserError, match=r"own\.parquet"):
        load_benchmark("own", tmp_path)


def test_a_parquet_prepared_for_something_else_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    source = str(write(tmp_path / "own.jsonl", CHOICE))
    for style in ("search", "tools"):
        rows = prepare.training_rows(prepare.load("generic", source).items, style=style)
        parquet.write_parquet(rows, tmp_path / f"{style}.parquet")
    assert len(load_benchmark("search", tmp_path, form="choice", style="search")[1]) == 1
    with pytest.raises(UserError, match=r"--form open.*row 1.*choice"):
        load_benchmark("search", tmp_path, form="open")
    with pytest.raises(UserError, match=r"--prompt bare.*row 1.*search"):
        load_benchmark("search", tmp_path, style="bare")
    with pytest.raises(UserError, match=r"tools.parquet row 1 .*--recipe"):
        load_benchmark("tools", tmp_path)
    with pytest.raises(UserError, match=r"search.parquet row 1 .*--prompt tools"):
        load_benchmark("search", tmp_path, style="tools")
    assert len(load_benchmark("tools", tmp_path, style="tools")[1]) == 1


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing.parquet.*medr3 data prepare"):
        load_benchmark("nothing", tmp_path)
    bad = write(tmp_path / "bad.jsonl", {**CHOICE, "answer": "Z"})
    with pytest.raises(UserError, match=r"bad.jsonl.*1(?!.*more row)"):
        load_benchmark(f"generic={bad}")
    bad = write(tmp_path / "bad.jsonl", {**CHOICE, "answer": "Z"}, {**CHOICE, "answer": "Y"})
    with pytest.raises(UserError, match=r"\(and 1 more row\)$"):
        load_benchmark(f"generic={bad}")


@pytest.mark.skipif(
    not (SHARED / "data" / "questions").is_dir(), reason="needs the developers' data (MEDR3_SHARED)"
)
@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("pubmedqa", "pubmedqa_dev.jsonl", 500),
        ("medqa_us", "medqa_us_dev.jsonl", 1),
        ("mmlu_med", "mmlu_anatomy_genetics.jsonl", 1),
    ],
)
def test_real_question_sets(name: str, file: str, count: int) -> None:
    _, questions = load_benchmark(f"{name}={SHARED / 'data' / 'questions' / file}")
    assert len(questions) >= count
    assert all(question.sample.options for question in questions)
    assert len({question.sample.id for question in questions}) == len(questions)
