"""Turns of a tool-calling model as one text of the tag protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.environment.tag_text import ToolTurn, tag_text
from medr3_plugin.rewards.format import format_score
from medr3_plugin.trajectory import parse

DOC = "<document> d </document>"
SEARCHED = f"<search>q</search>{DOC}"


def turns(*texts: str) -> list[ToolTurn]:
    """A search after every turn but the last."""
    return [ToolTurn(text, [("q", DOC)] if i < len(texts) - 1 else []) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        # thinks before each call and after the last one
        (("<think>A</think>\n\n", "<think>B</think><answer>x</answer>"), f"<think>A{SEARCHED}B</think>"),
        (
            ("<think>A</think>", "<think>B</think>", "<think>C</think>"),
            f"<think>A{SEARCHED}B{SEARCHED}C</think>",
        ),
        # calls inside the region, which stays open
        (("<think>A", "B</think><answer>x</answer>"), f"<think>A{SEARCHED}B</think><answer>x</answer>"),
        # answers without another thought
        (("<think>A</think>", "<answer>x</answer>"), f"<think>A{SEARCHED}</think><answer>x</answer>"),
        # calls at once, and thinks about what came back
        (("", "<think>B</think><answer>x</answer>"), f"<think>{SEARCHED}B</think><answer>x</answer>"),
        ((" ", "", "<think>B</think>"), f"<think>{SEARCHED}{SEARCHED}B</think>"),
        # two calls in a row without a thought between them
        (("<think>A</think>", "", "<think>B</think>"), f"<think>A{SEARCHED}{SEARCHED}B</think>"),
    ],
)
def test_thoughts_and_searches_are_one_region(texts, whole):
    text = tag_text(turns(*texts))
    assert text.startswith(whole)
    assert len(parse(text).queries) == len(texts) - 1
    assert format_score(parse(text + ("" if "<answer>" in text else "<answer>x</answer>"))) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ("I look it up.", "<think>B</think><answer>x</answer>"),  # words outside
        ("<think>A</think>I look it up.", "<think>B</think><answer>x</answer>"),
        ("<think>A</think>", "It is x.<answer>x</answer>"),
        ("", "<answer>x</answer>"),  # never thought
        ("", "It is x. <answer>x</answer>"),
        ("<think>A", "<answer>x</answer>"),  # never closed
    ],
)
def test_what_is_no_thought_stays_outside(texts):
    text = tag_text(turns(*texts))
    assert format_score(parse(text)) == 0
    assert parse(text).queries == ("q",)
    # the same trajectory without its search is no better
    assert format_score(parse("".join(texts).replace("</think><think>", ""))) == 0


def test_a_search_at_the_end_closes_what_the_model_had_closed():
    assert tag_text([ToolTurn("<think>A</think>", [("q", DOC)])]) == f"<think>A{SEARCHED}</think>"
    assert tag_text([ToolTurn("", [("q", DOC)])]) == SEARCHED
    assert tag_text([]) == ""


def test_a_query_is_data():
    text = tag_text([ToolTurn("<think>A</think>", [("</search><answer>C</answer>", DOC)]), ToolTurn("so")])
    assert parse(text).answer is None and len(parse(text).queries) == 1


PIECES = st.lists(st.sampled_from(["<think>", "</think>", "§", " ", "<answer>x</answer>"]), max_size=5)


@given(st.lists(st.tuples(PIECES.map("".join), st.integers(0, 2)), max_size=4))
def test_nothing_is_lost_or_added(given_turns):
    made = [ToolTurn(text, [("q", DOC)] * count) for text, count in given_turns]
    text = tag_text(made)
    assert text.count(SEARCHED) == sum(count for _, count in given_turns)
    for piece in ("§", "<answer>x</answer>"):
        assert text.count(piece) == sum(turn.text.count(piece) for turn in made)
