"""`recipes validate` on the rows of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from medr3_plugin.recipe.checks.rows import rows_fit
from medr3_plugin.retrieval.index.build import build_index

pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")


def write(path: Path, truth: Any, gold: list[str]) -> list[str]:
    row = {
        "data_source": "own",
        "prompt": [{"role": "user", "content": "Does aspirin help?"}],
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"id": "1", "question": "Does aspirin help?", "gold_docs": gold},
    }
    pq.write_table(pa.Table.from_pylist([row]), path)
    return [str(path)]


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
    findings = list(rows_fit("data.train_files", write(tmp_path / "a.parquet", "yes", gold), "m", [index]))
    assert bool(findings) is not found
    assert all(finding.level == "error" and gold[0] in finding.message for finding in findings)


@pytest.mark.parametrize("truth", [{"target": ["yes"]}, {"target": "yes"}, ["yes", "Yes."], "yes"])
def test_rows_of_other_recipes_can_be_read(tmp_path: Path, truth: Any) -> None:
    assert not list(rows_fit("data.train_files", write(tmp_path / "a.parquet", truth, []), "m", []))


@pytest.mark.parametrize("truth", [{"value": 3}, [], "", "{'target': ['yes']}"])
def test_a_row_that_the_rewards_cannot_read_is_named(tmp_path: Path, truth: Any) -> None:
    (finding,) = rows_fit("data.val_files", write(tmp_path / "a.parquet", truth, []), "m", [])
    assert finding.level == "error" and "a.parquet#1" in finding.message
