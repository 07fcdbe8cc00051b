"""Documents of question sets: the ids are those of the gold documents, the texts those of the files."""

from __future__ import annotations

import json

import pytest
from command_line import medr3

from medr3_plugin.data import prepare
from medr3_plugin.data.benchmark_corpora import bioasq_snippets, pubmedqa_abstracts
from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.corpus.documents import read_corpus

PUBMEDQA = {
    "10808977": {
        "QUESTION": "Does it help?",
        "CONTEXTS": ["We asked.", "We counted."],
        "LABELS": ["AIMS", "METHODS"],
        "YEAR": "2000",
        "final_decision": "yes",
    }
}
BIOASQ = {
    "questions": [
        {
            "id": "q1",
            "type": "yesno",
            "body": "Is it so?",
            "exact_answer": "yes",
            "documents": ["http://www.ncbi.nlm.nih.gov/pubmed/7"],
            "snippets": [
                {"document": "http://www.ncbi.nlm.nih.gov/pubmed/7", "text": "It is so."},
                {"document": "http://www.ncbi.nlm.nih.gov/pubmed/7", "text": "It is so."},
                {"document": "http://www.ncbi.nlm.nih.gov/pubmed/8", "text": "Others agree."},
                {"document": None, "text": "nowhere"},
                "no snippet",
            ],
        }
    ]
}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "ori_pqal.json").write_text(json.dumps(PUBMEDQA))
    (tmp_path / "bioasq.json").write_text(json.dumps(BIOASQ))
    return tmp_path


def test_the_documents_have_the_ids_of_the_gold_documents(files):
    sources = [f"--source=pubmedqa={files / 'ori_pqal.json'}", f"--source=bioasq={files / 'bioasq.json'}"]
    done = medr3("corpus", "build", "--out", files / "corpus", *sources)
    assert done.exit_code == 0, done.output
    found = {document.id: document for document in read_corpus(files / "corpus")}
    assert set(found) == {"pubmedqa:10808977", "bioasq:7", "bioasq:8"}
    abstract = found["pubmedqa:10808977"]
    assert (abstract.text, abstract.year, abstract.title) == (
        "AIMS: We asked. METHODS: We counted.",
        2000,
        "",
    )
    assert found["bioasq:7"].text == "It is so."
    for name, file in (("pubmedqa", "ori_pqal.json"), ("bioasq", "bioasq.json")):
        (item,) = prepare.load(name, str(files / file)).items
        assert set(item.gold_docs) <= set(found)


def test_columns_of_the_hub(tmp_path):
    row = {"pubid": 3, "question": "?", "context": {"contexts": ["a", "b"], "labels": ["X"]}}
    (tmp_path / "hub.jsonl").write_text(json.dumps(row))
    ((_, document),) = pubmedqa_abstracts(str(tmp_path / "hub.jsonl"))
    assert (document["id"], document["text"]) == ("pubmedqa:3", "a b")


def test_a_row_without_an_abstract_is_named_and_can_be_skipped(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"1": {"QUESTION": "?"}, **PUBMEDQA}))
    arguments = ("--out", tmp_path / "c", "--source", f"pubmedqa={tmp_path / 'x.json'}")
    failed = medr3("corpus", "build", *arguments)
    assert isinstance(failed.exception, UserError) and "x.json" in str(failed.exception)
    assert "'text'" in str(failed.exception)
    done = medr3("corpus", "build", *arguments, "--skip-bad")
    assert done.exit_code == 3 and "1 document " in done.output


def test_no_snippets_no_documents(tmp_path):
    (tmp_path / "b.json").write_text(json.dumps({"questions": [{"id": "q", "body": "?", "type": "list"}]}))
    assert list(bioasq_snippets(str(tmp_path / "b.json"))) == []


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    done = medr3("corpus", "build", "--out", tmp_path, "--source", "medqa=x.json")
    assert "pubmedqa=FILE" in str(done.exception)


@pytest.mark.parametrize("name", ["pubmedqa", "bioasq"])
def test_a_row_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "x.jsonl").write_text('{"pubid": 3, "context": {"contexts": ["a"]}}\n{"pubid": \n')
    source = f"{name}={tmp_path / 'x.jsonl'}"
    done = medr3("corpus", "build", "--out", tmp_path / "c", "--source", source)
    assert isinstance(done.exception, UserError) and "x.jsonl:2 (not JSON" in str(done.exception)


def test_a_row_without_a_pubmed_id_says_so(tmp_path):
    (tmp_path / "own.jsonl").write_text(json.dumps({"id": "pubmedqa:1", "question": "Q?"}))
    ((where, row),) = pubmedqa_abstracts(str(tmp_path / "own.jsonl"))
    assert not row and where.endswith(
        "own.jsonl:1 (no PubMed id: neither as ori_pqal.json has it nor as 'pubid')"
    )
