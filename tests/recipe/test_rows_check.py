"""`recipes validate` on the rows of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from small_tokenizer import tokenizer_of

from medr3_plugin.recipe.checks.finding import Finding
from medr3_plugin.recipe.checks.prompts import prompts_fit
from medr3_plugin.recipe.checks.rows import Rows, english_only
from medr3_plugin.retrieval.index.build import build_index

pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")


def write(path: Path, truth: Any, gold: list[str], question: str = "Does aspirin help?") -> list[str]:
    row = {
        "data_source": "own",
        "prompt": [{"role": "user", "content": question}],
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"id": "1", "question": question, "gold_docs": gold},
    }
    pq.write_table(pa.Table.from_pylist([row]), path)
    return [str(path)]


def rows_fit(key: str, files: list[str], indexes: list[Path]) -> list[Finding]:
    rows = Rows(key)
    return [*(finding for file in files for finding in rows.read(file)), *rows.fit(indexes)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    rows = [{"id": "pubmed23n0001_0", "title": "Aspirin", "content": "It helps.", "PMID": 11111111}]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    build_index(tmp_path / "corpus.jsonl", tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize(
    ("gold", "found"),
    [
        (["pubmedqa:11111111"], True),
        (["other:1", "pubmed:11111111"], True),
        (["pubmedqa:2"], False),
        ([], True),
    ],
)
def test_gold_documents_are_looked_for_in_the_index(
    tmp_path: Path, index: Path, gold: list[str], found: bool
) -> None:
    findings = list(rows_fit("data.train_files", write(tmp_path / "a.parquet", "yes", gold), [index]))
    assert bool(findings) is not found
    assert all(finding.level == "error" and gold[0] in finding.message for finding in findings)


@pytest.mark.parametrize("truth", [{"target": ["yes"]}, {"target": "yes"}, ["yes", "Yes."], "yes"])
def test_rows_of_other_recipes_can_be_read(tmp_path: Path, truth: Any) -> None:
    assert not list(rows_fit("data.train_files", write(tmp_path / "a.parquet", truth, []), []))


@pytest.mark.parametrize(("truth", "named"), [("yes", False), ("B", False), ("perhaps not", True)])
def test_an_accepted_answer_that_is_none_of_the_options_is_named(
    tmp_path: Path, truth: str, named: bool
) -> None:
    files = write(tmp_path / "a.parquet", truth, [])
    [row] = pq.read_table(files[0]).to_pylist()
    row["extra_info"]["options"] = {"A": "yes", "B": "no"}
    pq.write_table(pa.Table.from_pylist([row]), files[0])
    findings = list(rows_fit("data.train_files", files, []))
    assert [finding.level for finding in findings] == ["note"] * named
    assert all(f"{files[0]}#1" in finding.message for finding in findings)


@pytest.mark.parametrize("truth", [{"value": 3}, [], "", "{'target': ['yes']}"])
def test_a_row_that_the_rewards_cannot_read_is_named(tmp_path: Path, truth: Any) -> None:
    (finding,) = rows_fit("data.val_files", write(tmp_path / "a.parquet", truth, []), [])
    assert finding.level == "error" and "a.parquet#1" in finding.message


@pytest.mark.parametrize(
    ("question", "options", "named"),
    [
        ("痛风急性发作的首选治疗是什么？", {}, ("empty_line", "answer rules")),
        (
            "痛风急性发作的首选治疗是什么？",
            {"encoder": {"path": "./models/all-MiniLM-L6-v2"}, "judge": {"kind": "openai"}},
            ("MiniLM",),
        ),
        ("痛风急性发作的首选治疗是什么？", {"extractor": {"vocabularies": ["VOCABULARY"]}}, ("vocab.jsonl",)),
        ("Does aspirin help?", {}, ()),
    ],
)
def test_what_reads_english_only_is_named_once_where_questions_are_chinese(
    tmp_path: Path, question: str, options: dict[str, Any], named: tuple[str, ...]
) -> None:
    vocabulary = tmp_path / "vocab.jsonl"
    vocabulary.write_text('{"name": "Gout", "synonyms": ["Podagra"]}\n')
    text = json.dumps(options).replace("VOCABULARY", str(vocabulary))
    files = write(tmp_path / "a.parquet", "yes", [], question)
    config = OmegaConf.create({"medr3": {"reward": json.loads(text), "environment": {"topk": 2}}})
    rows = Rows("data.train_files")
    assert not list(rows.read(files[0]))
    findings = list(english_only(config)) if rows.chinese else []
    assert len(findings) == bool(named)
    for finding in findings:
        assert finding.level == "note" and all(name in finding.message for name in named)
        assert ("answer rules" in finding.message) == ("judge" not in options)
        assert "vocab.jsonl" not in finding.message or "vocab.jsonl has no Chinese" in finding.message


def test_a_recipe_in_chinese_has_nothing_to_name() -> None:
    lines = dict.fromkeys(
        ("empty_line", "duplicate_line", "failed_line", "malformed_line", "limit_line"), "没有找到文献"
    )
    section = {"environment": lines, "reward": {"judge": {"kind": "openai"}}}
    assert not list(english_only(OmegaConf.create({"medr3": section})))


@pytest.mark.parametrize("damage", ["cut", "flipped", "not text"])
def test_a_table_that_is_damaged_inside_is_said(tmp_path: Path, damage: str) -> None:
    """Its footer is whole, so that it opens; verl would find it out when it loads the rows."""
    path = Path(write(tmp_path / "a.parquet", "yes", [])[0])
    rows = pq.read_table(path).to_pylist() * 2000
    if damage == "not text":
        table = pa.Table.from_pylist(rows)
        broken = pa.array([b"\xff\xfe"] * len(rows)).cast(pa.binary()).view(pa.string())
        table = table.set_column(table.column_names.index("data_source"), "data_source", broken)
        pq.write_table(table, path)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, use_dictionary=False)
        raw = bytearray(path.read_bytes())
        middle = slice(len(raw) // 8, len(raw) // 4)
        raw[middle] = (
            b"\0" * (middle.stop - middle.start) if damage == "cut" else bytes(b ^ 255 for b in raw[middle])
        )
        path.write_bytes(raw)
    found = list(rows_fit("data.train_files", [str(path)], []))
    assert [finding.level for finding in found] == ["error"] and "a.parquet" in found[0].message


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": 3},
        {"prompt": "text"},
        {"prompt": [1, 2]},
        {"extra_info": "x"},
        {"extra_info": [1]},
        {"reward_model": 5},
        {"extra_info": {"question": "q", "original_question": 4, "options": '["a", "b"]'}},
        {"extra_info": {"options": {"label": 1, "text": 2}}},
        {"extra_info": {"stage_progress": "half"}},
        {"data_source": 7},
    ],
)
def test_columns_of_other_types_are_read_or_named(tmp_path: Path, columns: dict[str, Any]) -> None:
    row = pq.read_table(write(tmp_path / "a.parquet", "yes", [])[0]).to_pylist()[0]
    pq.write_table(pa.Table.from_pylist([{**row, **columns}]), tmp_path / "a.parquet")
    for finding in rows_fit("data.train_files", [str(tmp_path / "a.parquet")], []):
        assert finding.level in ("error", "note") and "a.parquet#1" in finding.message


CHAT = "{% for m in messages %}{{ m.content }} {% endfor %}answer"


@pytest.mark.parametrize(
    ("template", "custom", "limit", "said"),
    [
        (CHAT, None, 40, None),
        (CHAT, None, 4, ("error", "data.max_prompt_length", "all 2 measured prompts are longer than 4")),
        (CHAT, None, 6, ("note", "data.max_prompt_length", "1 of 2 measured prompts")),
        (None, None, 40, ("missing", "actor_rollout_ref.model.path", "custom_chat_template")),
        (None, CHAT, 40, None),
        ("{{ raise_exception('no user') }}", None, 40, ("error", "data.train_files", "no user")),
    ],
)
def test_prompts_are_measured_by_the_policys_own_tokenizer(
    tmp_path: Path, template: str | None, custom: str | None, limit: int, said: tuple[str, str, str] | None
) -> None:
    model = {"path": tokenizer_of(tmp_path / "model", template), "custom_chat_template": custom}
    rollout = {"agent": {"default_agent_loop": "medr3_search"}}
    config = OmegaConf.create(
        {"actor_rollout_ref": {"model": model, "rollout": rollout}, "data": {"max_prompt_length": limit}}
    )
    files = write(tmp_path / "a.parquet", "yes", []) + write(
        tmp_path / "b.parquet", "yes", [], "Does aspirin help at night, too?"
    )
    found = [
        (f.level, f.where, f.message) for f in prompts_fit(config, tmp_path, {"data.train_files": files})
    ]
    assert {one[:2] for one in found} == ({said[:2]} if said else set())
    assert said is None or said[2] in found[0][2]


def test_a_model_without_a_tokenizer_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    model = {"path": str(tmp_path), "custom_chat_template": None}
    (found,) = prompts_fit(OmegaConf.create({"actor_rollout_ref": {"model": model}}), tmp_path, {})
    assert (found.level, found.where) == ("missing", "actor_rollout_ref.model.path")
