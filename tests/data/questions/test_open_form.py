"""Choice questions that cannot be asked without their options."""

# ruff: noqa: E501  (lists of examples)

from __future__ import annotations

import pytest

from medr3_plugin.data.questions.items import Item
from medr3_plugin.data.questions.open_form import needs_options


def why(question: str, answer: str, *others: str) -> str:
    texts = dict(zip("ABCDE", [*others, answer], strict=False))
    return needs_options(Item("i", "d", question, (answer,), texts))


@pytest.mark.parametrize(
    "answer",
    [
        "All of the above", "All of the above.", "none of the above", "All", "None", "Both", "Neither", "Any of the above",
        "All of these", "both of the above", "All are correct", "Both 1 and 2", "both A and B", "Both BC", "A and B",
        "B and C only", "Options A and C", "Any of the above, but last the maxilla", "以上都是", "以上均正确", "均是", "都不是",
        "以上皆非", "全部", "上述均可", "两者都是", "以上选项均正确", "所有选项都对", "A和B",
    ],
)  # fmt: skip
def test_an_answer_about_the_options_needs_them(answer: str) -> None:
    assert why("Which of the following causes gout?", answer, "Alcohol", "Thrombosis") == (
        "the right answer refers to the options"
    )


def test_letters_are_about_the_options_if_all_options_are_letters() -> None:
    asked = "Features are: a) fever b) rash c) gout d) cough"
    assert (
        why(asked, "cd", "ab", "bd", "ac")
        and why(asked, "c", "ab", "d", "bd")
        and why(asked, "1, 3", "1 only", "2, 3")
    )
    assert not why("Which blood group?", "AB", "A", "B", "O")
    assert not why("Lack of which vitamin?", "C", "A", "B", "D") and not why(
        "Which?", "A and D", "E and K", "B12"
    )
    assert not why("Which file?", "D1", "D2", "D3") and not why("The chance?", "3/4", "1/2", "1/4")


@pytest.mark.parametrize(
    "answer",
    ["Both kidneys", "All buccal cusps", "Below the diaphragm", "All lobes above the hilum", "None required", "全身麻醉",
     "全血", "所有细胞", "均匀分布", "皮质醇"],
)  # fmt: skip
def test_an_answer_in_its_own_words_stays(answer: str) -> None:
    assert not why("Which of the following is affected?", answer, "Alcohol", "Thrombosis")


@pytest.mark.parametrize(
    "question",
    [
        "All of the following are signs of gout except:", "Signs of gout are all, EXCEPT", "It may be because of all except",
        "Which of the following is NOT a sign of gout?", "Which of the following drugs does not lower urate?",
        "Which one of the following is false about gout?", "Not true about gout is:", "False about gout",
        "Which of these isn't a sign of gout?", "Incorrect statement regarding gout is", "Which is not seen in gout?",
        "A man has gout. Which finding is least likely?", "Allopurinol should not be used in:",
        "Allopurinol is not used in which of the following?", "The joint does not include:",
        "下列哪项不是痛风的表现？", "痛风的并发症不包括", "关于痛风的叙述，错误的是", "除下列哪项外，均可引起痛风？",
        "下列症状除哪项外均为痛风表现", "以下说法不正确的是：", "不属于痛风诱因的是（ ）", "以下哪种药物不能用于痛风？", "最不可能的诊断是",
    ],
)  # fmt: skip
def test_a_question_for_what_does_not_fit_needs_the_options(question: str) -> None:
    assert why(question, "Tophus", "Fever") == "the question asks which of the options does not fit"


@pytest.mark.parametrize(
    "question",
    [
        "Which of the following is the most likely diagnosis?",
        "A man who is not responding to colchicine. Which of the following is the best treatment?",
        "Which of the following is best for patients who do not tolerate colchicine?",
        "He is not aware of these attacks. Which of the following is the cause?",
        "The examination is normal except for a swollen toe. What is the diagnosis?",
        "Peeling all over except palms. What is the diagnosis?",
        "Which of the following gives a false positive VDRL?",
        "Which of the following is seen in at least 5% of patients?",
        "Why is colchicine not used in:",
        "An affected male does not have affected children. Type of inheritance?",
        "患者男，45岁，不能行走，以下诊断最可能的是",
        "患者停药后症状不缓解，应首选",
        "不稳定型心绞痛的首选治疗是",
        "原因不明的发热首先应做的检查是",
        "下列属于痛风诱因的是",
    ],
)
def test_a_question_with_an_answer_of_its_own_stays(question: str) -> None:
    assert not why(question, "Gout", "Sepsis")
    assert not needs_options(Item("i", "d", "Which is not a sign?", ("Fever",)))  # it never had any
