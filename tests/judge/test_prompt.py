"""Prompts: language, rubric, and an answer that cannot leave its fence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.judge.prompt import MAX_QUESTION_CHARS, PROMPTS, is_rare_disease, messages
from medr3_plugin.llm.control_tokens import fence


def build(answer="gout", question="What is it?", answers=("Gout",), options=None, rare=False):
    system, user = messages(
        question=question, answer=answer, answers=answers, options=options, rare_disease=rare
    )
    assert (system["role"], user["role"]) == ("system", "user")
    return system["content"], user["content"]


def test_english_case_holds_everything():
    system, user = build("pseudogout", options={"A": "Gout", "B": "Sepsis", "C": None})
    assert '"score"' in system
    assert "What is it?" in user
    assert "- Gout" in user
    assert "- Sepsis" in user
    assert "None" not in user
    assert user.count(fence("pseudogout")) == 3  # announced, opened, closed


def test_chinese_questions_get_chinese_prompts():
    system, user = build("痛风", question="诊断是什么？", answers=("痛风",))
    assert "评分标准" in system
    assert "标准答案" in user


@pytest.mark.parametrize(("question", "word"), [("What?", "rare diseases"), ("是什么？", "罕见病")])
def test_rare_disease_rubric_hides_the_question(question, word):
    system, user = build(question=question, rare=True)
    assert word in system
    assert question not in user


def test_rare_disease_datasets():
    assert is_rare_disease("RareArena_RDC")
    assert not is_rare_disease("medqa")


def test_long_questions_keep_both_ends():
    _, user = build(question="start " + "x" * 50_000 + " end?")
    assert "start" in user
    assert "end?" in user
    assert len(user) < MAX_QUESTION_CHARS + 1000


def test_placeholders_in_data_are_data():
    _, user = build("$answers ${mark} $", question="$answer costs $5", answers=("$question",))
    assert "$answer costs $5" in user
    assert "- $question" in user
    assert "$answers ${mark} $" in user


@given(st.text(max_size=200))
def test_no_answer_contains_its_own_fence(answer):
    _, user = build(answer)
    mark = user.split('"')[1]
    inside = user.split(f"{mark}\n", 1)[1].removeprefix(f"{mark}\n")
    assert mark not in inside.rsplit(f"\n{mark}", 1)[0].removesuffix(mark)
    assert build(answer)[1] == user


def test_every_rubric_exists_in_both_languages():
    names = {path.name.split(".")[0] for path in PROMPTS.glob("*.txt")}
    for name in names:
        for language in ("en", "zh"):
            assert (PROMPTS / f"{name}.{language}.txt").is_file()
