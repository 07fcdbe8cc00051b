"""One right answer in the many forms that models write, and the wrong ones that look like it."""

from __future__ import annotations

import pytest

from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.verify import verify

CHOICES = {
    "short": ({"A": "Gentamicin", "B": "Ciprofloxacin", "C": "Ceftriaxone", "D": "Trimethoprim"}, "C", "A"),
    "numbers": ({"A": "2", "B": "4", "C": "1 in 40", "D": "10 mg"}, "C", "B"),
    "one in the other": (
        {
            "A": "diaphragm",
            "B": "pericardium",
            "C": "diaphragm, parietal pleura and pericardium.",
            "D": "results in turning off one of the two X chromosomes",
        },
        "C",
        "A",
    ),
    "hedge in an option": (
        {
            "A": "It is rare",
            "B": "not enough evidence",
            "C": "Turning off one of two X chromosomes",
            "D": "Either",
        },
        "C",
        "B",
    ),
    "species": (
        {
            "A": "Candida albicans",
            "B": "Chlamydia pneumoniae",
            "C": "Streptococcus pneumoniae",
            "D": "Escherichia coli",
        },
        "C",
        "B",
    ),
}
RIGHT = """
{L} | ({L}) | {L}. | {L}) | <{L}> | <b>{L}</b> | **{L}** | `{L}` | #### {L} | - {L} | '{L}' | {L}。 | 【{L}】
\\boxed{{{L}}} | $\\mathbf{{{L}}}$ | \\(\\boxed{{\\text{{{L}. {t}}}}}\\) | The final answer is $\\boxed{{{L}}}$.
{{"answer": "{L}"}} | {{"answer": "{L}. {t}"}}
Answer: {L} | Ans: {L} | Ans. ({L}) {t} | Answer choice {L} | Letter {L} | Option {L}: {t} | {L} = {t} | {L} → {t}
The correct answer choice is {L}. | The most accurate answer is {L}. | It's {L}. | The answer's {L}.
I would go with {L}. | Based on the above reasoning, the answer is {L}. | The answer is therefore {L}.
Therefore, option {L} ({t}) is the best answer.
{L} is correct. | {L} is the correct answer. | {L} is the best answer because it fits. | {t} is the most likely answer.
{t} | {t}. | {t} ({L}) | {t} [{L}] | {t} (Choice {L}) | {t}, option {L} | {t}: {L} | It is {t}.
{L}. {t}, because it fits the history | {L}. {t}. This is the classic presentation. | {L}. {t} - it fits the history
答案是{L} | 答案是选项{L} | 答案选{L}。 | 选项{L} | 本题选{L} | 应该选{L} | 我选择{L}
{L}项 | {L}是正确的 | 正确的是{L}
综上所述，正确答案是{L}。{t} | 故答案为{L} | 由此可得，答案是{L}
"""
RIGHT_IN_LINES = [
    "{L}\n\nExplanation: it fits the history.",
    "{L}. {t}\nReason: it fits the case.",
    "### Answer\n{L}",
]
WRONG = """
{W} | {w} | {W}. {w} | {w} ({W}) | {W} is correct. | 答案是{W}
{W}. {t} | {L}. {w} | {t} ({W}) | {w} (option {L}) | Answer: {W}) {t} | The correct answer is {W}: {t}.
{L} or {W} | {L} {W} | {L}/{W} | ({L})({W}) | {L} > {W} | \\boxed{{{L}}} \\boxed{{{W}}}
{t} or {w} | {t}; {w} | {L}. Actually, {W}
Not {L}. {t} | not {t} | Option {L} is incorrect. | {L} is wrong | Option {L} is not the best answer.
{L} would be wrong. | {L} can be excluded. | {L} is less likely | {L} does not fit. | {t} isn't correct
{t} (incorrect) | Anything other than {t} | Possibly {L} | It might be {t} | {L}? | {t}?
选{L}或{W} | {L}、{W}均正确 | {L}不对 | 不选{L} | {L}是错误的
{W} rather than {L} | {W}, not {L} | {W}. {w}, not {t} | {L} because {W} is right
"""


def forms(table: str) -> list[str]:
    return [form.strip() for line in table.strip().splitlines() for form in line.split(" | ")]


def level(answer, *answers, options=None, question="Which one?"):
    verdict = verify(answer, Sample(id="", question=question, response="", answers=answers, options=options))
    return None if verdict is None else verdict.level


def filled(form, options, right, wrong):
    plain = {letter: text.rstrip(".") for letter, text in options.items()}
    return form.format(L=right, t=plain[right], W=wrong, w=plain[wrong])


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("by_letter", [False, True])
def test_a_choice_in_every_form(kind, by_letter):
    options, right, wrong = CHOICES[kind]
    gold = right if by_letter else options[right]
    answers = [filled(form, options, right, wrong) for form in forms(RIGHT) + RIGHT_IN_LINES]
    assert [answer for answer in answers if level(answer, gold, options=options) != 2] == []


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("by_letter", [False, True])
def test_what_is_no_clean_choice_is_never_right_by_rule(kind, by_letter):
    options, right, wrong = CHOICES[kind]
    gold = right if by_letter else options[right]
    answers = [filled(form, options, right, wrong) for form in forms(WRONG)]
    assert [answer for answer in answers if level(answer, gold, options=options) == 2] == []


@pytest.mark.parametrize("options", [None, {"A": "yes", "B": "no", "C": "maybe"}])
@pytest.mark.parametrize("gold", ["yes", "no", "maybe"])
@pytest.mark.parametrize(
    "form",
    [
        "Final decision: {}", "The evidence supports {}.", "The answer to the question is {}.", "In short, {}.",
        "The study suggests that the answer is {}.", "Based on the evidence, the answer is {}.",
        "I conclude that the answer is {}.", '{{"answer": "{}"}}', "#### {}", "{} (the trial showed this)",
    ],
)  # fmt: skip
def test_yes_no_maybe_in_every_form(form, gold, options):
    assert level(form.format(gold), gold, options=options) == 2


@pytest.mark.parametrize("options", [None, {"A": "yes", "B": "no", "C": "maybe"}])
@pytest.mark.parametrize(
    ("gold", "answer"),
    [("no", "No and yes"), ("no", "no/yes"), ("no", r"\boxed{no} \boxed{yes}"), ("yes", "Yes -> no"),
     ("yes", "yes (incorrect)"), ("yes", "Yes?"), ("yes", "yes (B)"), ("no", "Hardly no"),
     ("yes", "The evidence does not support yes.")],
)  # fmt: skip
def test_yes_and_no_is_neither(gold, answer, options):
    if answer == "yes (B)" and not options:
        pytest.skip("B is an option")
    assert level(answer, gold, options=options) != 2


NAME = "Jacobsen syndrome"


@pytest.mark.parametrize(
    "form",
    [
        "Dx: {}", "Most likely: {}", "{} is the most likely diagnosis.", "{} is the correct answer.", "1. {}",
        "A diagnosis of {} is most likely.", "The diagnosis of {} is most likely.", "It is called {}.",
        "The findings are consistent with {}.", "The clinical presentation is most consistent with {}.",
        "This presentation suggests {}.", "These findings are best explained by {}.", "I think the diagnosis is {}.",
        "The patient's most likely diagnosis is {}.", "In this patient, the most likely diagnosis is {}.",
        "{} (OMIM #147791)", "{} (formerly 11q deletion disorder)", "{}, also called 11q deletion disorder",
        "{} (synonym: 11q deletion disorder)", '{{"diagnosis": "{}"}}', "{}\nExplanation: the findings match.",
    ],
)  # fmt: skip
def test_a_name_in_every_form(form):
    assert level(form.format(NAME), NAME, "11q deletion disorder") == 2


@pytest.mark.parametrize(
    "form",
    [
        "{}?", "The findings are not consistent with {}.", "{} is the least likely diagnosis.", "I doubt {}.",
        "A diagnosis of {} is unlikely.", "{} is not the most likely diagnosis.", "Family history of {}",
        "{}-like syndrome", "{}-induced renal failure", "The wrong diagnosis is {}.", "{} (Down syndrome)",
        "{}, formerly known as Down syndrome", "The findings are inconsistent with {}.",
        "{} (70%), Down syndrome (30%)",
        '{{"answer": "{}", "alternative": "Down syndrome"}}', "The differential includes {}.",
    ],
)  # fmt: skip
def test_what_is_no_clean_name_is_never_right_by_rule(form):
    assert level(form.format(NAME), NAME) != 2


def test_a_sentence_below_a_name_is_for_the_judge():
    assert level(f"{NAME}\n\nThe findings match this condition.", NAME) is None
    assert level(f"{NAME}\nDown syndrome\nTurner syndrome", NAME) == 0


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("ethosuximide", "The drug of choice for absence seizures is ethosuximide.", 2),
        ("ethosuximide", "The drug of choice is ethosuximide or valproate.", 0),
        ("ethosuximide", "The other drug of choice is ethosuximide.", None),
        ("ethosuximide", "The drug of choice is not ethosuximide.", 0),
        ("ethosuximide", "The antidote is ethosuximide.", None),
    ],
)
def test_the_words_of_the_question_may_lead_to_the_answer(gold, answer, expected):
    question = "What is the drug of choice for a child with absence seizures and no fever?"
    assert level(answer, gold, question=question) == expected


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("10 mg", "10mg"), ("10 mg", "10 milligrams"), ("5 µg", "5 mcg"), ("5 micrograms", "5 μg"),
        ("0.5 L", "0.5 litres"),
        ("20%", "20 percent"), ("24 h", "24 hours"), ("10 to 20 mg", "10–20 mg"), ("second trimester", "2nd trimester"),
        ("Leukocyte", "leucocytes"), ("randomized trial", "randomised trial"), ("center", "centre"),
        ("sulfonamide", "sulphonamides"), ("gray matter", "grey matter"), ("BRCA1", "the BRCA1 gene"),
        ("Escherichia coli", "E. coli"), ("systemic lupus erythematosus", "SLE (systemic lupus erythematosus)"),
    ],
)  # fmt: skip
def test_spellings_of_one_thing(gold, answer):
    assert level(answer, gold) == 2


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("10 mg", "10 g"), ("10 mg", "100 mg"), ("5 mg", "5 µg"), ("20", "20%"), ("5 mm", "> 5 mm"),
        ("24 h", "24 days"),
        ("10 to 20 mg", "10 to 30 mg"), ("second trimester", "third trimester"), ("BRCA1", "BRCA1 inhibitor"),
        ("Escherichia coli", "E. histolytica"), ("Down syndrome", "D. syndrome"),
    ],
)  # fmt: skip
def test_spellings_of_two_things(gold, answer):
    assert level(answer, gold) != 2


def test_the_order_of_a_list_of_phrases_matters():
    gold = "Normal PaO2, normal SaO2, low CaO2"
    assert level("Low PaO2, normal SaO2, normal CaO2", gold) != 2
    assert level("chronic leukemia, myeloid", "Leukemia, myeloid, chronic") == 2


def test_a_word_that_begins_with_a_letter_is_no_choice():
    options = {"A": "yes", "B": "no", "C": "maybe"}
    assert level("B-mode remission was defined by the score", "no", options=options) is None
    assert level("B - no", "no", options=options) == 2
