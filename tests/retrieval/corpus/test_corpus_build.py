from __future__ import annotations

import json

import pytest
from index_helpers import rows, write_jsonl

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.corpus.build import build_corpus
from medr3_plugin.retrieval.corpus.documents import BadRows, read_corpus


def guidelines():
    for number in range(4):
        yield {
            "id": f"g{number}", "title": "G", "text": "Target below 110.", "source": "s", "evidence_type": "guideline",
            "evidence_type_method": "source", "license": "MIT",
        }  # fmt: skip


NAMED = {"guidelines": guidelines}


def test_sources_become_one_corpus(tmp_path):
    local = write_jsonl(tmp_path / "own.jsonl", rows(6))
    summary = build_corpus(["guidelines", str(local)], tmp_path / "out", NAMED)
    assert summary["guidelines.jsonl.gz"] == {
        "source": "guidelines", "documents": 4, "evidence_levels": {"7": 4}, "licenses": {"MIT": 4},
    }  # fmt: skip
    assert summary["own.jsonl.gz"]["licenses"] == {"not stated": 6}
    assert json.loads((tmp_path / "out" / "SOURCES.json").read_text()) == summary
    documents = list(read_corpus(tmp_path / "out"))
    assert [document.id for document in documents] == [
        *(f"g{n}" for n in range(4)),
        *(f"d{n}" for n in range(6)),
    ]
    # levels survive being read again
    assert [document.evidence_level for document in documents[:4]] == [7] * 4


def test_the_same_sources_give_the_same_bytes(tmp_path):
    build_corpus(["guidelines"], tmp_path / "one", NAMED)
    build_corpus(["guidelines"], tmp_path / "two", NAMED)
    assert (tmp_path / "one/guidelines.jsonl.gz").read_bytes() == (
        tmp_path / "two/guidelines.jsonl.gz"
    ).read_bytes()


def test_a_wrong_row_keeps_the_file_that_was_there(tmp_path):
    build_corpus(["guidelines"], tmp_path, NAMED)

    def broken():
        yield {"id": "x", "text": ""}

    with pytest.raises(UserError, match="guidelines, row 1: field 'text'"):
        build_corpus(["guidelines"], tmp_path, {"guidelines": broken})
    assert len(list(read_corpus(tmp_path))) == 4
    bad = BadRows()
    build_corpus(["guidelines"], tmp_path, {"guidelines": broken}, bad_rows=bad)
    assert bad.count == 1


def test_ids_must_differ_between_sources(tmp_path):
    one = write_jsonl(tmp_path / "one.jsonl", rows(3))
    two = write_jsonl(tmp_path / "two.jsonl", rows(3))
    with pytest.raises(UserError, match=r"two\.jsonl:1: field 'id'"):
        build_corpus([str(one), str(two)], tmp_path / "out", NAMED)


def test_wrong_sources(tmp_path):
    with pytest.raises(UserError, match=r"'guideline'.*guidelines"):
        build_corpus(["guideline"], tmp_path / "out", NAMED)
    with pytest.raises(UserError, match="guidelines, guidelines"):
        build_corpus(["guidelines", "guidelines"], tmp_path / "out", NAMED)
