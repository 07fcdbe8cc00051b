"""Pieces of a trajectory for the page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.runs.report.segments import segments

TAGS = ["<think>", "</think>", "<search>", "</search>", "<document>", "</document>", "<answer>", "</answer>"]


def hit(identifier: str, title: str) -> dict[str, object]:
    return {"id": identifier, "title": title, "evidence_level": 6, "score": 1.0}


def test_kinds_in_reading_order() -> None:
    text = "<think>a<search>q</search><document>T\nbody</document>b</think><answer>c</answer>"
    assert [(p["kind"], p["text"]) for p in segments(text, [])] == [
        ("think", "a"),
        ("search", "q"),
        ("document", "T\nbody"),
        ("think", "b"),
        ("answer", "c"),
    ]


def test_documents_find_their_record_by_title_though_others_were_not_shown() -> None:
    searches = [
        {"query": "q1", "documents": [hit("1", "First"), hit("2", "Second")]},
        {"query": "q2", "documents": [hit("1", "First"), hit("3", "Third")]},
    ]
    text = (
        "<think><search>q1</search><document>[1] First\nx</document><document>[2] SECOND\ny</document>"
        "<search>q2</search><document>Third</document></think>"
    )
    pieces = segments(text, searches)
    assert [p["meta"]["id"] for p in pieces if p["kind"] == "document"] == ["1", "2", "3"]
    assert [p["index"] for p in pieces if p["kind"] == "search"] == [0, 1]


def test_documents_without_titles_go_by_place_only_if_all_were_shown() -> None:
    both = [{"documents": [hit("1", ""), hit("2", "")]}]
    whole = "<think><search>q</search><document>x</document><document>y</document></think>"
    assert [p["meta"]["id"] for p in segments(whole, both) if p["kind"] == "document"] == ["1", "2"]
    part = "<think><search>q</search><document>y</document></think>"
    assert all("meta" not in p for p in segments(part, both))
    said = [{"documents": [hit("1", "") | {"shown": False}, hit("2", "") | {"shown": True}]}]
    assert [p["meta"]["id"] for p in segments(part, said) if p["kind"] == "document"] == ["2"]


def test_long_responses_are_cut_with_a_word() -> None:
    pieces = segments("<think>" + "x" * 300_000, [])
    assert pieces[-1]["kind"] == "text" and "more characters" in pieces[-1]["text"]


@given(st.lists(st.sampled_from([*TAGS, "word ", "\n", "é"]), max_size=40).map("".join))
def test_any_text_keeps_its_words(text: str) -> None:
    shown = "".join(p["text"] for p in segments(text, []))
    assert shown.count("word") == text.count("word")
