from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.errors import RetrievalFailure
from medr3_plugin.records import Document, Hit, SearchTurn
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.protocol import (
    request_to_wire,
    response_from_wire,
    response_to_wire,
    turns_from_json,
    turns_to_json,
)

words = st.text(max_size=30)
documents = st.builds(
    Document,
    id=words,
    text=words,
    title=words,
    source=words,
    evidence_type=words,
    evidence_level=st.integers(1, 9),
    year=st.none() | st.integers(1800, 2100),
)
hits = st.builds(Hit, documents, st.floats(-1e6, 1e6))
turns = st.builds(
    SearchTurn,
    query=words,
    hits=st.lists(hits, max_size=3).map(tuple),
    shown=st.lists(words, max_size=3).map(tuple),
    outcome=st.sampled_from(["ok", "empty", "duplicate", "failed", "limit", "malformed"]),
    latency_s=st.floats(0, 100),
    failure=st.none() | st.just("timeout"),
)


@given(st.lists(turns, max_size=4))
def test_record_of_searches_round_trips(record):
    read = turns_from_json(turns_to_json(record))
    for turn, original in zip(read, record, strict=True):
        without_texts = [
            replace(hit, document=replace(hit.document, text=""))
            if hit.document.id not in turn.shown
            else hit
            for hit in original.hits
        ]
        assert turn == replace(original, hits=tuple(without_texts))


def test_texts_travel_of_shown_documents_only():
    hits = tuple(Hit(Document(name, f"text of {name}"), 1.0) for name in ("seen", "cut"))
    text = turns_to_json([SearchTurn("q", hits, shown=("seen",))])
    assert "text of seen" in text and "text of cut" not in text


def test_record_survives_any_transport():
    text = turns_to_json([SearchTurn("\ud800 \0 é", (Hit(Document("1", "\udfff"), float("nan")),))])
    text.encode("ascii")
    assert turns_from_json(text)[0].hits[0].score == 0.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "list"),
        ('[{"hits": []}]', "search 0"),
        ('[{"query": "a"}, 7]', "search 1"),
        ('[{"query": "a", "outcome": "perhaps"}]', "perhaps"),
        ("not json", "Expecting"),
        ('[{"query": "a", "hits": [{"id": "1", "text": "t", "year": 1e999}]}]', "search 0"),
        ('[{"query": "a", "hits": [{"id": "1", "text": "t", "evidence_level": 1e999}]}]', "search 0"),
        ('[{"query": "a", "latency_s": 1' + 999 * "0" + "}]", "search 0"),
    ],
)
def test_bad_record_is_named(text, says):
    with pytest.raises(ValueError, match=says):
        turns_from_json(text)


@given(st.lists(st.lists(hits, max_size=3), max_size=3))
def test_response_round_trips(results):
    wire = json.loads(json.dumps(response_to_wire(results, return_scores=True)))
    assert response_from_wire(wire, len(results)) == results


def test_response_without_scores_holds_bare_documents():
    document = Document("1", "body", "A\ntitle", extra={"pmid": "7"})
    (row,) = response_to_wire([[Hit(document, 2.0)]], return_scores=False)["result"][0]
    assert row["contents"] == "A title\nbody"
    assert row["pmid"] == "7"
    assert response_from_wire({"result": [[row]]}, 1)[0][0].document.text == "body"


def test_reads_documents_of_another_search_r1_server():
    row = {"id": 17, "contents": '"Aspirin"\nAspirin is a drug.\nIt is old.'}
    (hit,) = response_from_wire({"result": [[{"document": row, "score": 3}]]}, 1)[0]
    assert hit == Hit(Document("17", "Aspirin is a drug.\nIt is old.", "Aspirin"), 3.0)


def test_documents_without_an_id_are_told_apart_by_their_contents():
    """As Search-R1's servers of web searches answer: `{"document": {"contents": ...}}`."""
    rows = ['"Aspirin"\nA drug.', '"Aspirin"\nAnother text.', '"Aspirin"\nA drug.']
    body = {"result": [[{"document": {"contents": contents}} for contents in rows]]}
    first, second, same = (hit.document for hit in response_from_wire(body, 1)[0])
    assert (first.title, first.text) == ("Aspirin", "A drug.")
    assert first == same
    assert first.id != second.id
    with pytest.raises(RetrievalFailure):
        response_from_wire({"result": [[{"document": {"title": "neither text nor contents"}}]]}, 1)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"results": []},
        {"result": None},
        {"result": [{}]},
        {"result": []},
        {"result": [[], []]},
        {"result": [[7]]},
        {"result": [[{"document": {"text": "no id"}}]]},
        {"result": [[{"document": {"id": "1"}}]]},
        {"result": [[{"document": {"id": "1", "text": "t"}, "score": "high"}]]},
        {"result": [[{"document": {"id": "1", "text": "t"}, "score": 10**999}]]},
        {"result": [[{"document": {"id": "1", "text": "t", "year": float("inf")}}]]},
        {"result": [[{"document": {"id": "1", "text": "t", "evidence_level": float("inf")}}]]},
    ],
)
def test_response_out_of_protocol_is_a_typed_failure(body):
    with pytest.raises(RetrievalFailure) as caught:
        response_from_wire(body, 1)
    assert caught.value.kind == "bad_response"


def test_request_is_search_r1s_unless_filtered():
    assert request_to_wire(["a"], 3) == {"queries": ["a"], "topk": 3, "return_scores": True}
    filters = Filters(sources=("x", "y"), min_year=2000)
    wire = request_to_wire(["a"], 3, filters)["filters"]
    assert wire == {"sources": ["x", "y"], "min_year": 2000}
    assert Filters.model_validate_json(json.dumps(wire)) == filters
