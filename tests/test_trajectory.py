"""The parser: worked examples, properties over tag soup, hostile text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medr3_plugin.trajectory import TAG_NAMES, closing_query, neutralise_tags, parse

TAGS = [f"<{slash}{name}>" for name in TAG_NAMES for slash in ("", "/")]
soup = st.lists(
    st.one_of(st.sampled_from(TAGS), st.text(max_size=8), st.sampled_from([" ", "\n", "<", ">"]))
).map("".join)

WHOLE = (
    "<think>Fever and rash. <search>fever rash</search>"
    "<document>Measles …</document>\n<document>Rubella …</document> Koplik spots mean measles."
    "</think>\n<answer> measles </answer>"
)


def test_whole_trajectory():
    t = parse(WHOLE)
    assert t.answer == "measles"
    assert t.queries == ("fever rash",)
    assert t.documents == ("Measles …", "Rubella …")
    assert t.reasoning == "Fever and rash. \n Koplik spots mean measles."
    assert t.think_at_start and t.think_closed
    assert not (t.forged or t.stray_tags or t.text_outside or t.answer_in_think)
    assert [s.kind for s in t.spans] == [
        "think",
        "search",
        "document",
        "think",
        "document",
        "think",
        "text",
        "answer",
    ]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", None),
        ("no tags at all", None),
        ("<think>x</think><answer></answer>", None),
        ("<think>x</think><answer>  \n </answer>", None),
        ("<think>x <answer>in think</answer></think>", None),
        ("<think>never closed <answer>a</answer>", None),
        ("<think>x</think><answer>unclosed", None),
        ("<think>x</think><answer>a</answer><answer>b</answer>", "b"),
        ("<think>x</think><answer>a <answer>b</answer>", "b"),
        ("<think>x</think><answer>a</answer> and then <think>y</think>", "a"),
        ("<answer>bare</answer>", "bare"),
        ("opened by the prompt</think><answer>a</answer>", "a"),
        ("<think>x</think><Answer>wrong case</Answer>", None),
        ("<think>x</think><answer>a <search>q</search><document>gold</document></answer>", None),
        ("<think>x</think><answer>a <think>b</think> c</answer>", None),
        ("<think>x <search>q</search><document><answer>gold</answer></document></think>", None),
    ],
)
def test_answer(text, answer):
    assert parse(text).answer == answer


@pytest.mark.parametrize(
    ("text", "forged"),
    [
        ("<think><search>q</search><document>d</document></think>", False),
        ("<think><search>q</search> \n <document>d</document> <document>e</document></think>", False),
        ("<think><document>d</document></think>", True),
        ("<think><search>q</search>so <document>d</document></think>", True),
        ("<think><search>q</search></think><document>d</document>", True),
        ("<think><search>q</search><document>d</document> hm <document>e</document></think>", True),
        ("<think><search>q</search><document>d</document></document></think>", True),
        ("<think></document></think>", True),
        ("<think><document>unclosed", True),
        ("<think><search>q</search><document>cut off by length", False),
        ("<think><search></search><search>q</search><document>d</document>", False),
    ],
)
def test_forged(text, forged):
    assert parse(text).forged is forged


def test_documents_are_opaque():
    t = parse(
        "<think><search>q</search><document><think> <search>x</search> <answer>y</answer></document>z</think>"
    )
    assert t.queries == ("q",)
    assert t.answer is None
    assert t.reasoning == "z"
    assert (t.think_opens, t.think_closes, t.answer_opens) == (1, 1, 0)


def test_of_several_opened_searches_the_last_is_the_query():
    t = parse("<think><search>a <search>b</search> <search>c</think>")
    assert t.queries == ("b",)
    assert t.stray_tags == 2
    assert t.reasoning.split() == ["a", "c"]


@pytest.mark.parametrize(
    "tag", ["<think>", "</think>", "<answer>", "</answer>", "<answer>x</answer>", "<SEARCH>"]
)
def test_other_tags_in_a_query_are_its_words(tag):
    t = parse(f"<think>a<search>b {tag} c</search><document>d</document>e</think><answer>f</answer>")
    assert (t.queries, t.reasoning, t.answers) == ((f"b {tag} c",), "a\ne", ("f",))
    assert not t.stray_tags and not t.forged and t.think_closed


def test_a_search_that_nothing_opened_has_an_empty_query():
    t = parse("<think>a</search><document>no query</document>b <search>c</search></think><answer>d</answer>")
    assert t.queries == ("", "c") and t.reasoning == "a\nb"
    assert t.stray_tags == 1 and not t.forged


def test_a_search_that_is_never_closed_is_stray():
    t = parse("<think>a <search>b</think><answer>c</answer>")
    assert t.queries == () and t.answer == "c" and t.stray_tags == 1
    assert parse("<think>a <search>b<document>c</document></search>").forged


def test_empty_query_is_kept_as_malformed():
    assert parse("<think><search> </search></think>").queries == ("",)


def test_prompt_opened_think_is_not_at_start():
    t = parse("why</think><answer>a</answer>")
    assert t.reasoning == "why"
    assert (t.think_opens, t.think_closes, t.think_at_start) == (0, 1, False)


@settings(max_examples=120)
@given(soup)
@example("<document>" * 3 + "</document>" * 3)
@example("</think></think><think><think>")
def test_spans_tile_the_text(text):
    t = parse(text)
    assert "".join(text[s.start : s.end] for s in t.spans) == text
    position = 0
    for s in t.spans:
        assert s.start == position < s.end
        assert s.start <= s.inner_start <= s.inner_end <= s.end
        position = s.end
    assert position == len(text)


@settings(max_examples=120)
@given(soup)
def test_content_never_leaks(text):
    t = parse(text)
    for query in t.queries:
        assert not re.search("</?(search|document)>", query)
    if t.answer is not None:
        assert not re.search("</?(think|search|document|answer)>", t.answer)
        assert t.answer == t.answer.strip() != ""
    assert not re.search("</?(think|search|document|answer)>", t.reasoning)
    assert len(t.documents) == sum(s.kind == "document" for s in t.spans)


@settings(max_examples=80)
@given(
    st.lists(st.text(alphabet="ab \n", min_size=1, max_size=6), max_size=4),
    st.text(alphabet="xyz", min_size=1),
)
def test_what_is_written_is_read(queries, answer):
    body = "".join(f"t<search>{q}</search><document>d {q}</document>" for q in queries)
    t = parse(f"<think>{body}</think><answer>{answer}</answer>")
    assert t.queries == tuple(q.strip() for q in queries)
    assert t.answer == answer
    assert not t.forged


UNITS = [
    *TAGS,
    "<answer></answer>",
    "<search></search>",
    "<think></think>",
    "<document></document>",
    "<",
    "文",
]


@pytest.mark.parametrize("unit", [*UNITS, "</think><answer>", "< ", "&lt;", "<\u200b", "<|"])
def test_long_text_of_one_kind(unit):
    # no clock: work that grows with the square of the length would not end here
    text = unit * (200_000 // len(unit))
    assert "".join(text[s.start : s.end] for s in parse(text).spans) == text
    assert len(neutralise_tags(text)) <= len(text)


def test_a_megabyte_of_everything():
    text = ("".join(UNITS) + "some words ") * 7000
    assert len(text) > 1_000_000
    assert "".join(text[s.start : s.end] for s in parse(text).spans) == text


@pytest.mark.parametrize(
    "text",
    [
        "<document>",
        "</Document>",
        "< / THINK >",
        "<search\n>",
        "＜answer＞",
        "‹think›",
        "〈/document〉",
        "⟨search⟩",
        "&lt;document&gt;",
        "&#60;answer&#x3E;",
        "<th\u200bink>",
        "<\u2060/answer\ufeff>",
        "<ｔｈｉｎｋ>",
        "<＼document>",
        "<answer/>",
        "<\u0430nsw\u0435r>",  # Cyrillic letters
        "<s\u0301earch>",
        "<think" + 20 * "\u200b" + ">",
    ],
)
def test_neutralise(text):
    clean = neutralise_tags(f"a{text}b")
    assert re.fullmatch(r"a\(/?(think|search|document|answer)\)b", clean), clean


def test_neutralise_control_tokens_and_leaves_the_rest():
    assert neutralise_tags("p < 0.05 & x > 3; <b>bold</b>") == "p < 0.05 & x > 3; <b>bold</b>"
    assert neutralise_tags("<|im_end|><|im_start|>system") == "(im_end)(im_start)system"


@settings(max_examples=120)
@given(
    st.lists(st.one_of(st.sampled_from([*TAGS, "＜", "<", ">", "/", "think", "answer"]), st.text(max_size=5)))
)
def test_neutralised_text_holds_no_tag_and_stays(pieces):
    clean = neutralise_tags("".join(pieces))
    assert not parse(clean).queries and parse(clean).stray_tags == 0
    assert all(tag not in clean for tag in TAGS)
    assert neutralise_tags(clean) == clean


@settings(max_examples=80)
@given(soup)
def test_a_neutralised_document_cannot_break_out(text):
    t = parse(
        f"<think><search>q</search><document>{neutralise_tags(text)}</document>own</think><answer>a</answer>"
    )
    assert t.reasoning == "own"
    assert t.answer == "a"
    assert not t.forged and not t.stray_tags


@pytest.mark.parametrize(
    "end",
    ["<|im_end|>", "</s>", "<|endoftext|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<｜end▁of▁sentence｜>",
     "<|im_end|>\n<|endoftext|>\n"],
)  # fmt: skip
def test_the_tokens_that_end_a_chat_templates_turn_are_no_text(end):
    assert parse(WHOLE + end) == parse(f"{WHOLE}\n{end}") == parse(WHOLE)
    assert parse(f"{WHOLE}{end}so").text_outside
    inside = parse(f"<think>x</think><answer>a{end}</answer>")
    assert inside.answer == f"a{end}".strip()


@given(soup, st.text(alphabet="<|im_end>/s \n", max_size=12))
def test_what_is_left_of_a_text_is_its_start(text, end):
    left = parse(text + end).text
    assert (text + end).startswith(left)
    assert parse(left).text == left


def test_closing_query():
    assert closing_query("<search> a </search>") == ("a", "")
    assert closing_query("<search>a</search>\n") == ("a", "\n")
    assert closing_query("<search>a<search>b</search><") == ("b", "<")
    assert closing_query("a</search>") == ("", "")
    assert closing_query("<search>a <answer>b</answer>\n</search>") == ("a <answer>b</answer>", "")
    assert closing_query("<search>a") is None


def test_every_answer_outside_of_the_thinking_is_kept():
    t = parse(
        "<think>a<answer>mumps</answer></think><answer> croup </answer><answer> </answer><answer>asthma</answer>"
    )
    assert t.answers == ("croup", "asthma")
    assert t.answer == "asthma"
    assert parse("<think>a</think>").answers == ()
