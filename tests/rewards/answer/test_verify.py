"""What a rule decides: right, wrong, or nothing (then a judge does)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.verify import verify

DRUGS = {"A": "Gentamicin", "B": "Ciprofloxacin", "C": "Ceftriaxone", "D": "Trimethoprim"}
JOINTS = {"A": "Septic arthritis", "B": "Pseudogout", "C": "Gout", "D": "Rheumatoid arthritis"}
NERVE = {
    "A": "paralysis of the facial muscles.",
    "B": "paralysis of the facial muscles and loss of taste.",
    "C": "paralysis of the facial muscles, loss of taste and lacrimation.",
}
CALCIUM = {
    "A": "Decreased calcium, increased phosphate",
    "B": "Increased calcium, increased phosphate",
    "C": "Increased calcium, decreased phosphate",
}
VERDICTS = {"A": "yes", "B": "no", "C": "maybe"}
CHINESE = {"A": "头孢曲松", "B": "庆大霉素"}
OWN = {
    "None": ({"A": "None", "B": "One", "C": "Two", "D": "Three"}, "None"),
    "NA": ({"A": "NA", "B": "K", "C": "Cl", "D": "Ca"}, "NA"),
    "null": ({"A": "One", "B": "null", "C": "Two"}, "null"),
    "empty": ({"A": "", "B": "One", "C": "Two"}, "Two"),
    "letters": ({"A": "c", "B": "d", "C": "ab", "D": "bd"}, "bd"),
    "signs": ({"A": "<5 mm", "B": ">5 mm", "C": "5 mm"}, ">5 mm"),
    "species": ({"A": "A. fumigatus", "B": "A. flavus"}, "A. flavus"),
    "none of the above": ({"A": "Iron", "B": "Zinc", "C": "None of the above"}, "None of the above"),
    "numbers": ({"A": 0, "B": 5, "C": 50}, "5"),
}  # fmt: skip


def level(answer, *answers: str, options=None, question: str = "Which one?", vocabulary=None):
    sample = Sample(id="1", question=question, response="", answers=answers, options=options)
    verdict = verify(answer, sample, vocabulary)
    return None if verdict is None else verdict.level


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("| Answer | C |", 2), ("| Option | Verdict |\n|---|:-:|\n| B | incorrect |\n| C | correct |", 2),
        ("| C | B |", None), ("| Answer | Text |\n|---|---|\n| C | Ceftriaxone |", 2),
        ("| Option | Fits |\n|---|---|\n| C | no |", None),
        ("- [ ] C", None), ("- [ ] B\n- [x] C", 2), ("- [x] B\n- [ ] C", 0), ("C\u0336", None), ("\u0338C", None),
        ("The answer is whatever the reference says, e.g. C.", None), ("C. It covers many germs, e.g. gonococci.", 2),
        ("~~B~~ C", 2), ("~~C~~", None), ("~~C~~ B", 0), ("❌ A\n❌ B\n✅ C", 2), ("❌ C", None), ("« C »", 2),
        ("&nbsp;C", 2), ("A: no. B: no. C: yes.", 2), ("Correct: C. Incorrect: A, B.", 2),
        ("Incorrect: C", None), ("∴ C", 2),
        ("【Answer】C", 2), ("【答案】C【解析】其他均错。", 2), ("综合以上分析，C正确。", 2),
        ("A不对，B也不对，C对。", 2), ("其他选项均可排除，故选C。", 2), ("A：错误。B：错误。C：正确。", 2),
        ("答案显然是C。", 2), ("C remains an option.", None), ("A ❌, B ❌, C ✅", 2),
        ("虽然B也有可能，但最佳答案是C。", None), ("虽然B正确，但C也正确。", None), ("My answer remains C.", 2),
        ("It is not B. The answer is C.", 2), ("B can be excluded; the answer is C", 2), ("排除B，选C", 2),
        ("```json\n{\"answer\": \"C\"}\n```", 2), ('["C"]', 2), ("C, not A", 2), ("Ｃ", 2),
        ("C. Ceftriaxone. Option B is incorrect because it may be too weak or too slow.", 2),
        ("C. This may be given once or twice, such as in the evening.", 2),
        ("Not B, but C.", 2), ('{"reasoning": "It may be mild or severe.", "answer": "C"}', 2), ('finish["C"]', 2),
        ('{"name": "submit_answer", "arguments": {"answer": "C"}}', 2), ("<option>C</option>", 2), ("C [1][2]", 2),
        ('{"answer": "C", "answer": "A"}', None), ('{"answer": "C", "other": "A"}', None), ("A C", None),
        ('{"answer": "C", "confidence": 0.9}', 2), ("C (confidence: high)", 2), ("C (60%)", None),
        ("Which one is it then? C", None), ("C. Malaise, fever, or both may be absent; no surgery is needed.", 2),
        ("C. A biopsy would be the next step instead if it were doubtful.", None), ("Answer → C", 2),
        ("C. A biopsy would be the next step instead if the lesion were doubtful.", 2),
        ("C. Influenza A and B were ruled out, and vitamin B12 was normal.", 2), ("C. B is not incorrect.", None),
        ("C. B would not be expected.", 2), ("C. A or B would not be diagnostic.", 2), ("C. A is not wrong.", None),
        ("C. Fever would suggest A.", 2), ("C. Fever would suggest A as well.", None),
        ("A: ✗\nB: ✗\nC: ✓", 2), ("C because A cannot be ruled out", None),
        ("C\n\nWhy not the others?\n- A: given by mouth.\n- B: used for other infections.", 2),
        ("C. In contrast, A would act elsewhere.", 2), ("C. In contrast, A is right.", None),
        ('{"excluded": "C"}', None), ("{'excluded': 'C'}", None), ("The answer is C. No, it is not.", None),
        ("C. A has no role here.", None), ("C. A has no flaw.", None), ("C. A is not bad.", None),
        ("The remaining options (A, B, D) are less appropriate; C.", 2),
        ("C. The other answer choices describe older drugs.", 2), ("C. The remaining option is right too.", None),
        ("A does not fit. We can eliminate B and D, leaving C.", 2),
        ("C. Ceftriaxone is correct.\n\nA. Gentamicin is incorrect because it may harm the ear.", 2),
        ("I am confident that the answer is C.", 2), ("I am not confident that it is C.", None),
        ("It is not C. The answer is B.", 0), ("A", 0), ("Gentamicin", 0),
        ("B) Ciprofloxacin because it may be given by mouth", 0), ("not ceftriaxone, but gentamicin", 0),
        ("C or A", None), ("ABCD", None), ("C. Gentamicin", None), ("not C", None), ("Possibly C", None),
        ("C, but it could also be A", None), ("C. Actually, it is something else.", None), ("C?", None),
        ("C. I am not sure.", None), ("C because B cannot be excluded", None), ("E", None), ("an antibiotic", None),
        ("A patient needs an antibiotic", None), ("{C, A}", None), ("None of A, B and D", None),
        ("C. Ceftriaxone 🅰", None),
        ("C. Ceftriaxone, then the first option", None), ("C: 60%, a: 40%", None),
        ("C. \u0410 is right too here", None),
        ("C. The answer is B.", None), ('{"answer": "C", "confidence": 0.2}', None), ("\ue002", None),
    ],
)  # fmt: skip
def test_choice(answer, expected):
    assert level(answer, "Ceftriaxone", options=DRUGS) == expected
    assert level(answer, "C", options=DRUGS) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # treatment ordered, but not what a patient took or somebody said
        ("Start ceftriaxone.", 2), ("We should start this patient on ceftriaxone.", 2),
        ("The patient should receive ceftriaxone.", 2), ("Ceftriaxone should be started.", None),
        ("He was given ceftriaxone.", None), ("Do not start ceftriaxone.", None), ("My friend says C", None),
        ("If he had renal failure, C", None), ("I hope the answer is C", None),
        ("C is appropriate in type 1 diabetes", None),
        # what stands before the option need not be known, if it leads to it
        ("The drug that blocks the cell wall in this infection is ceftriaxone.", None), ("I am left with C.", 2),
        ("The next step would be to administer ceftriaxone.", 2), ("Looks like C to me.", None), ("answer is c", 2),
        ("It has a wide spectrum, pointing to ceftriaxone.", 2), ("I consider C to be the best option.", None),
        ("It is given once a day, so the answer is C.", 2), ("The report favors option C.", 2), ("Definitely C.", 2),
        # a conclusion, and a predicate that says best
        ("Therefore, this patient needs ceftriaxone.", None), ("C would be the most suitable choice for a child.", 2),
        ("Ceftriaxone, a cephalosporin, is the best drug in this setting.", 2), ("Answer -> C", 2), ("=> C", 2),
        # another option set aside in the same breath
        ("While gentamicin may be considered, the answer is C.", None), ("B is tempting, but the answer is C.", None),
        ("I first thought of B. The answer is C.", None), ("A can be dismissed. C is therefore the answer.", 2),
        ("Why not the others? A: harms the ear.\nAnswer: C", None), ("A - no\nB - no\nC: correct, for many reasons", 2),
        ("Therefore, this patient needs gentamicin.", None), ("A would be the most suitable choice for a child.", 0),
        # one option alone, but not as the answer
        ("Therefore, the strain forms a thick ceftriaxone wall.", None),
        ("Therefore, ceftriaxone should be rejected.", None), ("C is the weakest choice.", None),
        ("According to some, the answer is C.", None), ("The answer is said to be C.", None),
        ("Therefore, ceftriaxone is contraindicated.", None), ("The trap here is C.", None),
        ("Ceftriaxone, like others, does not help here.", None), ("Most students would pick C.", None),
        ("C, as well as other drugs, are not needed.", None), ("C is also correct.", None), ("It can't be C.", None),
        ("C is out of the question.", None), ("Therefore, C may be given.", None),
        ("C is reasonable, but so is A.", None), ("While C is correct, A is also correct.", None),
        ("C would be correct in newborns.", None), ("Nothing supports C.", None),
        ("The absence of A suggests C.", None), ("Neither A nor C is right.", None),
        # in the conditional, or best in something that is not asked for
        ("C would be the answer.", 2), ("I would choose C.", 2), ("I would suggest C.", 2),
        ("The best choice would be C.", 2), ("C would be right.", None),
        ("Fever would suggest C.", None), ("I would have chosen C.", None),
        ("C is the most expensive treatment.", None), ("The most expensive option is C.", None),
        ("C is the right choice in pregnancy.", None), ("The referring physician favors C.", None),
        ("An answer is C.", None), ("The next best answer is C.", None),
        ("C is a good answer to another question.", None), ("Neither A nor B can be ruled out, so C.", None),
        ("Neither A nor B is better than C.", None), ("Gentamicin was considered. The answer is C.", None),
        ("Neither A nor B is correct. The answer is C.", 2), ("C. Neither A nor B is an arthritis of crystals.", 2),
        ("C) is correct.", 2), ("Answer: C (confidence: 95%)", 2),
    ],
)  # fmt: skip
def test_one_option_named_in_any_sentence(answer, expected):
    assert level(answer, "Ceftriaxone", options=DRUGS) == expected


@pytest.mark.parametrize(
    "doubt",
    [
        ", which is unlikely", ", which was ruled out", " (or another)", " (unlikely)", " (30 % likely)",
        ". That is not my answer.", ". None of them is right.", ". But this was excluded.",
        ". It could also be something else.", ", although something else is as likely", "，并不正确", "（不太可能）",
        "，但已排除", "，除非检查阴性", "，错",
    ],
)  # fmt: skip
def test_a_doubt_with_nothing_new_that_it_could_be_about_is_about_the_answer(doubt):
    for lead in ("C", "The answer is C", "C. Ceftriaxone", "Ceftriaxone"):
        assert level(f"{lead}{doubt}", "Ceftriaxone", options=DRUGS) is None


@pytest.mark.parametrize(
    "answer",
    [
        "Anything but C. Ceftriaxone is the correct answer.", "The trap is C. Ceftriaxone is the best choice.",
        "His mother has C. Ceftriaxone is the correct answer.", "C. Ceftriaxone is a poor choice.",
        "C. Ceftriaxone is one option.", "C. Ceftriaxone is right in children.", "C. Ceftriaxone is better avoided.",
        "C. Ceftriaxone is only a mimic.", "C. Ceftriaxone is one of the answers.",
        "C. Ceftriaxone is the correct answer: no", "History of C",
        "Half of the time it is C.", "Only in children, the answer is C.", "如果肾功能正常，选C",
        "C. Ceftriaxone is the best choice if the test is positive.", "In another patient, the answer is C.",
        "Who would choose C", "C was the answer.", "C. Ceftriaxone is the most expensive choice.", "As gentamicin, C",
    ],
)  # fmt: skip
def test_an_option_named_twice_but_not_as_the_answer(answer):
    assert level(answer, "Ceftriaxone", options=DRUGS) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The rare disease is Marfan syndrome.", 2), ("Marfan syndrome is a rare answer.", None),
        ("Tall stature and lens dislocation leads to Marfan syndrome", None),
        ("Lens dislocation causes Marfan syndrome.", None), ("Tall stature, Marfan syndrome", None),
        ("Lens dislocation in a tall man suggests Marfan syndrome.", 2),
        ("Marfan syndrome, a hereditary disorder of fibrillin", 2), ("Marfan syndrome, a mimic of something", None),
    ],
)  # fmt: skip
def test_the_words_of_a_case_around_its_diagnosis(answer, expected):
    question = "A man has tall stature and lens dislocation. What is the diagnosis?"
    assert level(answer, "Marfan syndrome", question=question) == expected


@pytest.mark.parametrize(
    ("question", "gold", "answer", "expected"),
    [
        ("How does orlistat act?", "inhibition of lipase", "Inhibits lipase", None),
        ("How does orlistat act?", "inhibition of lipase", "Orlistat is a lipase inhibitor.", None),
        ("How does orlistat act?", "inhibition of lipase", "Activates lipase", None),
        ("How does orlistat act?", "inhibition of lipase", "Lipase", None),
        ("Which vitamin deficiency causes scurvy?", "Vitamin C", "Vitamin C deficiency", 2),
        ("Which enzyme is deficient?", "Lipase", "Lipase is deficient.", 2),
        ("Which enzyme is deficient?", "Lipase", "Lipase excess", None),
    ],
)  # fmt: skip
def test_an_answer_with_a_word_of_the_question(question, gold, answer, expected):
    assert level(answer, gold, question=question) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The exception is C.", 2), ("C", 2), ("The answer is C.", 2), ("Ceftriaxone", 2),
        # what is denied of an option may be what is asked for, or its refutation: the judge's
        ("The drug that is not used in this infection is C.", None), ("Statement C is not true.", None),
        ("Ceftriaxone is not used in this infection.", None), ("Option C is false.", None),
        ("Therefore, the drug used in this infection is C.", None), ("Ceftriaxone is used in this infection.", None),
        ("It can be given once, so C is correct.", None), ("Gentamicin is not used in this infection.", None),
        ("The drug that is not used is not C.", None), ("It can't be C.", None), ("The incorrect option is C.", None),
        ("C. This is true of it in adults.", None),
    ],
)  # fmt: skip
def test_where_an_exception_is_asked_for_a_negation_decides_nothing(answer, expected):
    question = "All of these drugs are used in this infection except"
    assert level(answer, "Ceftriaxone", options=DRUGS, question=question) == expected


@pytest.mark.parametrize(
    "answer", ["3-4 years", "3 to 4 years", "Therefore, multiply 4 years by two.", "It solidifies at 40 °C"]
)
def test_a_number_or_a_unit_is_no_option(answer):
    ages = {"A": "1 year", "B": "4 years", "C": "9 years"}
    assert level(answer, "4 years", options=ages) is None
    assert level(answer, "9 years", options=ages) is None


def test_an_option_about_the_others_in_other_words_is_left_to_the_judge():
    options = {"A": "Iron", "B": "Zinc", "C": "All of the above"}
    for answer in ("all of the options", "The answer is all of these.", "none of these"):
        assert level(answer, "All of the above", options=options) is None


@pytest.mark.parametrize(
    ("question", "gold", "answer", "expected"),
    [
        ("Which disease is dasatinib used to treat?", "CML", "Dasatinib is used to treat CML.", 2),
        ("Which disease is dasatinib used to treat?", "CML", "It is used for CML.", None),
        ("Which disease can be treated with dasatinib?", "CML", "Dasatinib is used to treat CML.", None),
        ("Which disease can be treated with dasatinib?", "CML", "CML is used to treat dasatinib.", None),
        ("Which disease is dasatinib used to treat?", "CML", "Dasatinib is not used to treat CML.", None),
        ("Which disease is dasatinib used to treat?", "CML", "Dasatinib was used to treat CML.", None),
        ("Which is the main ligand of the receptor?", "cortisol", "Cortisol is the main ligand of the receptor.", 2),
        ("What is the route of administration?", "oral", "Oral route", 2),
        ("How many sites are there?", "5", "Five sites", 2),
        ("How many sites are there?", "5", "Five or more sites", None),
        ("In which disease are urate crystals seen?", "Gout", "In gout", 2),
        ("Which type 1 disease has 2 forms?", "Diabetes", "Diabetes type 2", None),
        ("Which phosphatase is inhibited by LB-100?", "PP2A", "LB-100 inhibits PP2A.", None),
        ("A man has ataxia. What is the diagnosis?", "Wolfram syndrome", "His mother has Wolfram syndrome.", None),
        ("A man has ataxia. What is the diagnosis?", "Wolfram syndrome", "Absence of Wolfram syndrome", None),
        ("A man has fever. What is the diagnosis?", "Gout", "Had there been fever, it would be gout.", None),
        ("A man has joint pain. What is the diagnosis?", "Gout", "Joint pain at night is typical of gout.", 2),
        ("A man has joint pain. What is the diagnosis?", "Gout", "Gout, given the swollen toe.", 2),
        ("A man has joint pain. What is the diagnosis?", "Gout", "I think it's gout.", 2),
        ("A man has joint pain. What should be given?", "Colchicine", "Start colchicine.", 2),
        ("A man has joint pain. What should be given?", "Colchicine", "Colchicine is indicated.", 2),
        ("A man has joint pain. What should be given?", "Colchicine", "He should be started on colchicine.", None),
        ("A man has joint pain. What should be given?", "Colchicine", "Stop colchicine.", None),
        ("A man has joint pain. What should be given?", "Colchicine", "Colchicine is the most toxic drug.", None),
        ("A man has joint pain. What is the diagnosis?", "Gout", "Joint pain at night would suggest gout.", None),
        ("A man has joint pain. What is the diagnosis?", "Gout", "His doctor suggests gout.", None),
        ("A man has joint pain. What is the diagnosis?", "Gout", "Gout. Sepsis explains the joint pain.", None),
        ("A man has joint pain. What is the diagnosis?", "Gout", "Joint pain only partly points to gout.", None),
        # what inhibits A is not what "A inhibits B" names
        ("Which protein inhibits MDM2?", "p14ARF", "p14ARF inhibits MDM2.", 2),
        ("Which protein inhibits MDM2?", "p14ARF", "MDM2 is inhibited by p14ARF.", None),
        ("Which protein inhibits MDM2?", "p14ARF", "MDM2 inhibits p14ARF.", None),
        ("Which protein inhibits MDM2?", "p14ARF", "p14ARF is inhibited by MDM2.", None),
        ("What protein does MDM2 inhibit?", "p53", "MDM2 inhibits p53.", 2),
        ("What protein does MDM2 inhibit?", "p53", "p53 is inhibited by MDM2.", None),
        ("What protein does MDM2 inhibit?", "p53", "p53 inhibits MDM2.", None),
        ("What protein does MDM2 inhibit?", "p53", "The protein that inhibits MDM2 is p53.", None),
        ("What is caused by mutations in FBN1?", "Marfan syndrome", "Mutations in FBN1 cause Marfan syndrome.", None),
        ("What is caused by mutations in FBN1?", "Marfan syndrome", "Marfan syndrome causes mutations in FBN1.", None),
        ("What causes scurvy?", "Vitamin C deficiency", "Scurvy causes vitamin C deficiency.", None),
        ("What leads to scurvy?", "Vitamin C deficiency", "Scurvy leads to vitamin C deficiency.", None),
    ],
)  # fmt: skip
def test_an_open_question_said_again_around_its_answer(question, gold, answer, expected):
    assert level(answer, gold, question=question) == expected


@pytest.mark.parametrize("name", OWN)
def test_every_option_keeps_its_place(name):
    options, gold = OWN[name]
    right = next(letter for letter, text in options.items() if str(text) == gold)
    for letter, text in options.items():
        expected = 2 if letter == right else 0
        answers = [letter, f"Answer: {letter}", f"{letter}. {text}", f"The answer is {text}."]
        for answer in answers[: 4 if text != "" else 2]:
            assert level(answer, gold, options=options) in (
                (expected,) if answer == letter else (expected, None)
            ), answer
        assert level(f"{letter}. {text}", gold, options=options) == expected


def test_the_texts_of_options_that_are_not_there_do_not_count():
    assert level("B", "Zinc", options={"A": "Iron", "B": "Zinc", "E": None}) == 2


@pytest.mark.parametrize(
    ("options", "gold", "answer", "expected"),
    [
        (NERVE, NERVE["A"], "Paralysis of facial muscles", 2), (NERVE, NERVE["A"], NERVE["B"], 0),
        (NERVE, NERVE["B"], "paralysis of facial muscles, loss of taste", None),
        (CALCIUM, CALCIUM["C"], CALCIUM["C"], 2), (CALCIUM, CALCIUM["C"], CALCIUM["A"], 0),
        (CALCIUM, CALCIUM["C"], "Increased phosphate, decreased calcium", None),
        (CALCIUM, CALCIUM["C"], "Increased calcium and decreased phosphate", 2),
        (CHINESE, "头孢曲松", "A、头孢曲松", 2), (CHINESE, "头孢曲松", "答案是头孢曲松", 2),
        (CHINESE, "头孢曲松", "庆大霉素", 0), (CHINESE, "头孢曲松", "首选药物是头孢曲松，因此选A。", 2),
        (CHINESE, "头孢曲松", "选A。B不是首选药物。", 2), (CHINESE, "头孢曲松", "选A。B不能排除。", None),
        (CHINESE, "头孢曲松", "选A。B也不是不可以。", None),
        (CHINESE, "头孢曲松", "头孢曲松或庆大霉素", None), (CHINESE, "头孢曲松", "不是头孢曲松", None),
        ({"A": "supported", "B": "not supported"}, "supported", "not supported", 0),
        ({"A": "3 years", "B": "13 years"}, "3 years", "three years", 2),
        ({"A": "5 mg", "B": "0.5 mg"}, "5 mg", ".5 mg", 0), ({"A": "B", "B": "A", "C": "O"}, "A", "B. A", 2),
        ({"A": "B", "B": "A", "C": "O"}, "A", "B. B", None), ({"A": "B", "B": "A", "C": "O"}, "A", "B or A", None),
    ],
)  # fmt: skip
def test_choice_texts(options, gold, answer, expected):
    assert level(answer, gold, options=options) == expected


def test_a_question_said_again_is_no_answer():
    question = "A man has fever. Which of these drugs, given daily, is not toxic? "
    for asked in (question, "Which of these drugs, given daily, is not toxic? ", f'"{question.strip()}" '):
        assert level(f"{asked}C", "Ceftriaxone", options=DRUGS, question=question) == 2
        assert level(f"{asked}C", "Gentamicin", options=DRUGS, question=question) == 0
    assert level("Is it safe at all? No.", "no", question="Is it safe at all?") == 2


def test_an_option_whose_text_is_a_letter() -> None:
    blood = {"A": "O", "B": "A", "C": "B", "D": "AB"}
    assert [level(answer, "A", options=blood) for answer in ("B", "B. A", "(B) A", "A", "C. B", "D. AB")] == [
        2, 2, 2, 0, 0, 0,
    ]  # fmt: skip
    assert level("a ≠ b", "a = b") is None


@pytest.mark.parametrize(
    "options",
    [
        {"A": "Inhibition of lipase", "B": "Lipase inhibitor", "C": "Inhibits lipase"},
        {"A": "Anemia, fever", "B": "Anemia and fever"},
    ],
)
def test_the_text_of_an_option_names_no_other_one(options):
    for letter, text in options.items():
        assert [level(text, other, options=options) for other in options] == [
            2 * (other == letter) for other in options
        ]


def test_a_long_option_that_stands_in_the_question_is_no_copy():
    question = "Which is right? " + " ".join(f"{letter}. {text}" for letter, text in NERVE.items())
    assert level(NERVE["C"], NERVE["C"], options=NERVE, question=question) == 2
    assert level(f"C. {NERVE['C']}", NERVE["C"], options=NERVE, question=question) == 2


@pytest.mark.parametrize("options", [None, VERDICTS])
@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("no", "No, there is no significant difference", 2), ("no", "No. There was no effect.", 2), ("no", "否", 2),
        ("yes", "Yes, no difference was found in the control group", 2), ("yes", "是的", 2), ("yes", "**Yes**", 2),
        ("yes", "Yes. The findings were tested in several groups, which may be explained by chance.", 2),
        ("maybe", "possibly", 2), ("maybe", "可能", 2), ("no", "Yes", 0), ("no", "maybe", 0), ("yes", "答案是否", 0),
        ("yes", "Yes, not no", 2), ("yes", "yes or no", None), ("yes", "Yes. Maybe.", None), ("yes", "not yes", None),
        ("yes", "Yes, although no is defensible.", None), ("yes", "Yes. The opposite may be true.", None),
        ("yes", "Yes. It appears to be equally safe in the elderly, although more trials are needed.", 2),
        ("no", "No, it is not.", 2), ("yes", 'The evidence supports a "yes" answer.', 2),
        ("yes", "Yes, it does not.", None), ("no", "No, it does.", None), ("no", "No. They do increase it.", None),
        ("no", "No, it did lower LDL, but not mortality.", 2), ("no", "No, it does nothing for survival.", 2),
        ("yes", "Yes, it does.", 2), ("yes", "Yes, but no in some subgroups.", None),
        ("no", "No. It is a yes for some and a no for others.", None), ("yes", "Yes, with no in-hospital deaths", 2),
        ("yes", "Yes, but no", None), ("yes", "Yes because it is no", None), ("yes", "Yes?", None),
        # the evidence does not tell: in a few words, or said of it as a whole
        ("yes", "Yes, inconclusive", None), ("yes", "Yes (unclear)", None), ("no", "No, but it is debatable.", None),
        ("yes", "Yes. The evidence is inconclusive.", None), ("no", "No, insufficient data", None),
        ("yes", "Yes, it depends.", None), ("yes", "是的，尚无定论", None), ("yes", "是，但证据不足", None),
        ("maybe", "Maybe, the evidence is mixed.", 2), ("yes", "Yes. The mechanism is unclear in mice.", 2),
        ("no", "No, it does not depend on the dose.", 2), ("yes", "Yes, it helps, although how it acts is unknown.", 2),
        ("yes", "The intervention increases use", None), ("no", "No significant difference was seen", None),
    ],
)  # fmt: skip
def test_yes_no_maybe(options, gold, answer, expected):
    assert level(answer, gold, options=options) == expected


@pytest.mark.parametrize("options", [None, VERDICTS])
@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("yes", "Yes, but this cannot be concluded from the data", None), ("yes", "Yes — not.", None),
        ("yes", "Yes, but no conclusions can be drawn.", None), ("yes", "Yes, but evidence is lacking", None),
        ("yes", "Yes, but there is insufficient evidence.", None), ("yes", "Yes, but this is not proven.", None),
        ("yes", "Yes, but that remains to be seen.", None), ("yes", "Yes, but the data do not allow this.", None),
        ("yes", "Yes, but it may not", None), ("yes", "Yes, but not significantly", None),
        ("yes", "Yes, but it was not significant", None), ("yes", "Yes, but it is unlikely", None),
        ("yes", "是，但不能从数据得出结论", None), ("yes", "是，但数据不足", None), ("yes", "是，然而并不", None),
        ("no", "No, but it might", None), ("no", "No, but it could help", None), ("no", "No, it may not be.", None),
        ("no", "No, but this can not be concluded", None), ("no", "否，但可能会", None),
        ("no", "No, not.", 2), ("no", "No, not significantly", 2), ("no", "No, it is unlikely", 2),
        ("yes", "Yes, it can", 2), ("yes", "Yes, but more research is needed", 2), ("yes", "Yes, not only in mice", 2),
        ("yes", "Yes. Causality cannot be concluded from a cohort, however.", 2),
        ("yes", "Yes. Surgery may be safe in the elderly.", 2), ("maybe", "Maybe, but this cannot be concluded", 2),
        ("no", "No. The drug might lower the pressure, but it does not lower mortality.", 2),
    ],
)  # fmt: skip
def test_a_verdict_that_is_left_open_or_turned_round_in_the_same_breath(options, gold, answer, expected):
    assert level(answer, gold, options=options) == expected


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        (["Jacobsen syndrome"], "jacobsen's syndrome."),
        (["Jacobsen syndrome"], "This patient most likely has Jacobsen syndrome"),
        (["Jacobsen syndrome", "11q deletion disorder"], "Jacobsen syndrome (11q deletion disorder)"),
        (["Jacobsen syndrome", "11q deletion disorder"], "Jacobsen syndrome, also known as 11q deletion disorder"),
        (["Jacobsen syndrome"], "Jacobsen syndrome (OMIM #147791)"), (["Behçet’s disease"], "Behcet disease"),
        (["β-thalassaemia"], "beta thalassemia"), (["Tumour of oesophagus"], "tumor of the esophagus"),
        (["non-Hodgkin's lymphoma"], "Non Hodgkin lymphoma"), (["PD-L1 status"], "PDL1 status"), (["2500"], "2,500"),
        (["five"], "5"), (["Factor X"], "Factor 10"), (["Gaucher disease, type III"], "type 3 Gaucher disease"),
        (["Leukemia, myeloid, chronic"], "chronic myeloid leukemia"), (["Escherichia coli"], "E. coli"),
        (["Immunodeficiency, common variable, 13"], "Common variable immunodeficiency 13"), (["SCT"], "SCTs"),
        (["Systemic lupus erythematosus"], "Systemic lupus erythematosus (SLE)"), (["10 mg"], "10 milligrams"),
        (["Type 2 diabetes mellitus"], "Type 2 diabetes mellitus (T2DM)"), (["0.5 mg"], ".5 mg"),
        (["Systemic lupus erythematosus (SLE)"], "SLE"), (["acute lymphoblastic leukemia", "ALL"], "ALL"),
        (["急性心肌梗死"], "最可能的诊断是急性心肌梗死。"), (["TGFβ"], "TGFβ (transforming growth factor beta)"),
        (["急性心肌梗死"], "根据ST段抬高和肌钙蛋白升高，诊断为急性心肌梗死。"),
        (["Non-metastatic prostate cancer"], "nonmetastatic prostate cancer (nmPC)"),
        (["5 µg"], "5 mcg"), (["BRCA1"], "the BRCA1 gene"),
        (["Jacobsen syndrome"], "Jacobsen syndrome\n\nExplanation: the findings match."),
    ],
)  # fmt: skip
def test_a_name_in_another_spelling(answers, answer):
    assert level(answer, *answers) == 2


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        (["Increased calcium, decreased phosphate"], "Decreased calcium, increased phosphate"), ([">5 mm"], "<5 mm"),
        (["5 mg"], "> 5 mg"), (["5 mg"], "The answer is <5 mg"), (["Systemic sclerosis"], "Systemic sclerosis (SLE)"),
        (["HBsAg-"], "HBsAg+"), (["Rh-"], "Rh"), (["↑ PTH"], "↓ PTH"), (["Methylene blue"], "Blue methylene"),
        (["3-5 days"], "3.5 days"),
        (["Trisomy X"], "Trisomy 10"), (["IL-1"], "IL-10"), (["10⁵"], "105"), (["1/10"], "1:10"), (["SCT"], "SCTS"),
        (["Cockayne syndrome"], "CS/CS"), (["Cockayne syndrome"], "CS"),
        (["Vein, artery, nerve"], "Nerve, artery, vein"),
        (["acute lymphoblastic leukemia", "ALL"], "all"), (["Hepatitis A"], "hepatitis"),
        (["Hepatitis A"], "hepatitis B"),
        (["Coffin-Siris syndrome 8"], "Coffin-Siris syndrome"), (["Left artery"], "Right artery"),
        (["Stage II"], "Stage III"),
        (["Gout"], "Gout-like arthritis"), (["Gout"], "Pseudogout"), (["Gout"], "Family history of gout"),
        (["Gout"], "Gout?"), (["Gout"], "Gout, a sprain, an abscess, a fracture"),
        (["Gout"], "Gout because sepsis is an equal candidate"), (["Gout"], "Gout¹ (¹ sepsis remains possible)"),
        (["Gout"], "≈ gout"), (["Gout"], "Gout due to Lesch-Nyhan"), (["32"], "32; 11-75%"),
        (["Gout"], "Gout or pseudogout"), (["Gout"], "Gout pseudogout"), (["Gout"], "not gout"), (["Gout"], "Gout 👎"),
        (["Gout"], "Given sepsis just as likely, the diagnosis is gout"), (["Gout"], "Gout, not yet confirmed"),
        (["急性心肌梗死"], "根据鉴别诊断，急性心肌梗死"), (["急性心肌梗死"], "根据心电图不支持，诊断为急性心肌梗死"),
        (["Right middle cerebral artery"], "right middle cerebral artery (MCA)"),
        (["Gout"], "Gout (got)"), (["Prostate cancer"], "Prostate cancer (nmPC)"),
        (["急性心肌梗死"], "不是急性心肌梗死"), (["急性心肌梗死"], "可能是急性心肌梗死"),
        (["急性心肌梗死"], "急性心肌梗死、肺栓塞"),
    ],
)  # fmt: skip
def test_no_rule_decides_on_another_name_or_a_hedge(answers, answer):
    assert level(answer, *answers) is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (["asthma", "croup"], 0), (["croup", "asthma"], 0), (["Croup", "**croup**"], 2),
        (["The answer is croup.", "croup"], 2),
        (["asthma", "asthma"], None), ([], 0), ("", 0), (" . ", 0), ("\u200b", 0),
    ],
)  # fmt: skip
def test_several_answers_that_differ_are_wrong(answer, expected):
    assert level(answer, "Croup") == expected


def test_a_vocabulary_adds_exact_synonyms():
    vocabulary = Vocabulary(
        [
            Entry("Myocardial infarction", ("heart attack", "MI")),
            Entry("Mitral insufficiency", ("MI",)),
            Entry("Croup", ("laryngitis", "viral croup"), frozenset(["laryngitis"])),
            Entry("Subglottic laryngitis", ("pseudocroup", "barking larynx")),
            Entry("HBsAg+", ("surface antigen positive",)),
        ]
    )
    known = [
        ("myocardial infarction", "Heart attacks", 2), ("heart attack", "myocardial infarction", 2),
        ("myocardial infarction", "MI", None), ("myocardial infarction", "heart attack or stroke", None),
        ("croup", "viral croup", 2), ("croup", "laryngitis", None), ("pseudocroup", "barking larynx", None),
        ("HBsAg-", "surface antigen positive", None),
    ]  # fmt: skip
    found = [(gold, answer, level(answer, gold, vocabulary=vocabulary)) for gold, answer, _ in known]
    assert found == known


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["gout", "yes", "Syndrome, X", "急性心肌梗死"]))
def test_verify_is_total(answer, gold):
    assert level(answer, gold) in (None, 0, 2)
    assert level(answer, "Ceftriaxone", options=DRUGS) in (None, 0, 2)


WORDS = [
    "A",
    "B",
    "C",
    "Gout",
    "pseudogout",
    "or",
    "and",
    "not",
    "is",
    "the answer",
    ".",
    ",",
    "because",
    "选",
    "排除",
    "(",
    ")",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=9))
def test_no_answer_is_right_for_two_options(words):
    answer = " ".join(words)
    rights = [letter for letter in JOINTS if level(answer, letter, options=JOINTS) == 2]
    assert len(rights) <= 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["gout", "sepsis", "lupus", "asthma"]), min_size=2, max_size=4, unique=True),
    st.sampled_from([" or ", ", ", "; ", " and ", "/", "\n", " vs ", "、", ". ", " "]),
)
def test_a_list_of_names_is_never_right(names, separator):
    assert level(separator.join(names), "gout") is None


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("It inhibits CDC42.", 2), ("It blocks the receptor.", 2), ("It causes podagra.", 2),
        ("It increases urine output.", 2), ("That is a lie.", None), ("It was a joke.", None),
        ("It needs more checking.", None), ("It points elsewhere.", None), ("I made it up.", None),
    ],
)  # fmt: skip
def test_a_short_comment_on_a_choice_says_what_it_does(comment, expected):
    for answer in (f"C. {comment}", f"{comment} The answer is gout."):
        assert level(answer, "Gout", options=JOINTS) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("C. Gout swells the toe.", 2), ("C. Gout follows high urate and limits walking.", 2),
        ("C. Gout needs checking.", None), ("C. Gout seems right.", None), ("C. Gout tablets", None),
        ("C. it is a crystal arthritis", 2), ("The answer is C. it swells the toe", 2),
        ("C selected", 2), ("C. difficile", None),
        ("C, although it is weak in renal failure", 2), ("C - some patients need colchicine", 2),
        ("That would make C right", None), ("C. Gout plus sepsis", None), ("C, which supports it poorly", None),
        ("C. Confirmed by nobody.", None),
    ],
)  # fmt: skip
def test_a_verb_behind_letter_and_name_begins_an_explanation(answer, expected):
    assert level(answer, "Gout", options=JOINTS) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("C。呋塞米作用于髓袢升支粗段。", 2), ("选C，呋塞米属于袢利尿剂。", 2), ("本题选C，呋塞米抑制氯的重吸收。", 2),
        ("C。呋塞米作用" + "极" * 70 + "不正确", None),
        ("C。呋塞米属于错误选项", None), ("C。呋塞米不正确", None), ("C。呋塞米或甘露醇", None),
        ("C。呋塞米和其他药", None), ("C。呋塞米作用较弱，也可选D", None),
        ("呋塞米属于袢利尿剂，故选C。", 2), ("呋塞米作用于髓袢，因此正确答案是C", 2), ("甘露醇作用于髓袢，故选D", 0),
        ("呋塞米可能属于袢利尿剂，故选C", None), ("若呋塞米属于袢利尿剂，故选C", None), ("答案不明，故选C", None),
        ("螺内酯属于袢利尿剂，故选C", None), ("呋塞米作用于髓袢，因此应选C，也可选D", None),
    ],
)  # fmt: skip
def test_so_it_does_in_chinese(answer, expected):
    drugs = {"A": "螺内酯", "B": "阿米洛利", "C": "呋塞米", "D": "甘露醇"}
    assert level(answer, "呋塞米", options=drugs) == expected


@pytest.mark.parametrize(
    "unit",
    ["A AND ", "gout or ", "A, ", "not A ", "{\"a\":", "[", r"\boxed{", "( ", "排除A",
     "other options are ", "and ", "\n", "\ufdfa", "<b>"],
)  # fmt: skip
def test_long_answers_end(unit):
    """Twice as long takes about twice the time: with a quadratic rule these would take minutes."""
    answer = (unit * 100_000)[:100_000]
    assert level(answer, "Gout", options=JOINTS) != 2
    assert level(answer, "no") != 2


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("\n\nExplanation: the findings may vary in severity or onset, such as in adults.", 2),
        (", a rare genetic disorder that affects several organs", 2),
        (": this disorder is typically diagnosed in childhood", 2), (", not Turner syndrome", None),
        (". Mutations in the gene impair DNA repair, and sunlight can worsen the lesions.", 2),
        (". In one trial, growth hormone shortened the stay compared with placebo.", 2),
        (". Antibiotics are not needed unless there is a secondary infection.", 2), (" [1]", 2),
        (". Thrombophilia 13, X-linked, due to factor VIII defect", None),
        (". Turner syndrome has been seen in families with this.", None), (", not unlike Turner syndrome", None),
        (". Turner syndrome has to be kept in mind as an entity.", None),
        (" (Turner syndrome has the same signs)", None),
        (". Turner syndrome is less likely.", None),
        (". If left untreated, blindness may result.", None), (". Turner syndrome testing is needed.", None),
        (". If the karyotype is normal, Turner syndrome is present.", None), (". He might have croup.", None),
        (". On reflection, croup has a stronger claim to all of this.", None),
        (", not excluding Turner syndrome", None),
        (". This is Turner syndrome.", None), (". It is a carcinoma.", None), (". This may be croup.", None),
        (". The findings are consistent with Turner syndrome.", None), (". It or Turner syndrome", None),
        (". The patient also has croup.", None), (", this being Turner syndrome", None),
        (". These features may suggest Turner syndrome.", None), (" - a Turner variant", None),
    ],
)  # fmt: skip
def test_an_explanation_of_an_open_answer_names_nothing_else(comment, expected):
    assert level(f"Jacobsen syndrome{comment}", "Jacobsen syndrome", question="What is it?") == expected


@pytest.mark.parametrize(
    "lead", ["It cannot be", "Nobody would choose", "It is unclear whether it is", "The trap is"]
)
def test_a_lead_in_of_words_that_the_grammar_does_not_know_decides_nothing(lead):
    assert level(f"{lead} C.", "Ceftriaxone", options=DRUGS) is None


@pytest.mark.parametrize(
    "answer",
    [
        "{'answer': 'C'}",
        "['C']",
        '["C"].',
        "✅ C",
        "<C>",
        "[C]",
        "C (correct answer)",
        "The answer is clearly C.",
    ],
)
def test_wrappings_of_a_letter(answer):
    assert level(answer, "Ceftriaxone", options=DRUGS) == 2


def test_an_index_entry_of_a_vocabulary_is_no_name_in_its_own_order():
    vocabulary = Vocabulary(
        [Entry("Methylene Blue", ("blue, methylene", "swiss blue", "methylthioninium chloride"))]
    )
    said = {
        answer: level(answer, "Methylene blue", question="Which antidote?", vocabulary=vocabulary)
        for answer in ("Methylene blue", "Swiss blue", "Methylthioninium chloride", "Blue methylene")
    }
    assert said == {
        "Methylene blue": 2,
        "Swiss blue": 2,
        "Methylthioninium chloride": 2,
        "Blue methylene": None,
    }


def test_an_option_that_is_a_roman_number_does_not_take_the_letter_of_the_ninth():
    options = {letter: f"grade {number}" for number, letter in enumerate("ABCDEFGH", start=5)} | {"I": "IV"}
    stages = options | {"A": "I"}
    assert level("I", "IV", options=stages) == 2
    assert level("I. IV", "IV", options=stages) == 2
    assert level("A. I", "I", options=stages) == 2
    assert level("I", "I", options={"A": "I", "B": "II", "C": "III"}) == 2
    assert level("I think it is B", "II", options={"A": "I", "B": "II", "C": "III"}) == 2


SCANS = {
    "A": "Polymerase chain reaction (PCR)",
    "B": "Magnetic resonance imaging (MRI)",
    "C": "Lungs and HEART",
}
IONS = {"A": "Ca2+", "B": "CO2", "C": "≥140/90 mmHg", "D": "O2", "E": "10-21 days", "F": "0.5 mg", "G": "K+"}


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("MRI", "B"), ("B. MRI", "B"), ("(B) Magnetic resonance imaging", "B"), ("The best test is PCR.", "A"),
        ("LUNGS AND HEART", "C"),
    ],
)  # fmt: skip
def test_an_option_is_named_by_either_half_of_name_and_abbreviation_and_in_capitals(answer, right):
    assert level(answer, SCANS[right], options=SCANS) == 2
    assert level(answer, next(text for text in SCANS.values() if text != SCANS[right]), options=SCANS) == 0
    assert level("MRI or PCR", SCANS["B"], options=SCANS) is None


def test_the_full_stop_of_an_option_ends_no_sentence_that_goes_on():
    gold = NERVE["B"]
    for answer in (f"{gold} rather than {NERVE['A']}, or the reverse", f"{gold} or {NERVE['A']}"):
        assert level(answer, gold, options=NERVE) is None
    for answer in (gold, f"B. {gold} It spares the forehead.", f"{gold} rather than {NERVE['A']}"):
        assert level(answer, gold, options=NERVE) == 2


@pytest.mark.parametrize(
    "closing",
    [
        "Let me know if you would rather say pseudogout.",
        "Let me know if you think of pseudogout.",
        "Thanks for thinking of pseudogout.",
    ],
)
def test_a_closing_that_names_another_answer_is_no_courtesy(closing):
    assert level(f"Gout. {closing}", "Gout") is None
    for courtesy in ("Let me know if you have any questions.", "Thank you for your question!"):
        assert level(f"Gout. {courtesy}", "Gout") == 2


def test_options_in_capitals_are_named_in_any_case():
    options = {"A": "STAPHYLOCOCCUS AUREUS", "B": "STREPTOCOCCUS PNEUMONIAE", "C": "LUNGS"}
    for answer in ("S. pneumoniae", "Streptococcus pneumoniae", "B"):
        assert level(answer, "STREPTOCOCCUS PNEUMONIAE", options=options) == 2
    assert level("S. aureus", "STREPTOCOCCUS PNEUMONIAE", options=options) == 0
    assert level("Lungs", "LUNGS", options=options) == 2


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("$Ca^{2+}$", "A"), (r"$\mathrm{Ca}^{2+}$", "A"), ("Ca²⁺", "A"), (r"\mathrm{CO_2}", "B"), ("$CO_{2}$", "B"),
        (r"$\mathrm{O_2}$", "D"), (r"$\geq 140/90$ mmHg", "C"), (">=140/90 mmHg", "C"), (r"$\mathrm{K}^+$", "G"),
        ("10～21 days", "E"), ("10 to 21 days", "E"), ("0·5 mg", "F"),
    ],
)  # fmt: skip
def test_formulae_signs_and_ranges_in_other_notations(answer, right):
    assert level(answer, IONS[right], options=IONS) == 2
    assert level(answer, next(text for text in IONS.values() if text != IONS[right]), options=IONS) == 0


@pytest.mark.parametrize("answer", ["選B", "答案為 B", "正確答案是B", "螺內酯", "B、螺內酯", "選項B"])
def test_traditional_and_simplified_chinese_are_one(answer):
    options = {"A": "氢氯噻嗪", "B": "螺内酯", "C": "呋塞米"}
    assert level(answer, "螺内酯", options=options) == 2
    assert level(answer, "呋塞米", options=options) == 0
    assert level("螺內酯", "螺内酯") == 2
    for hedge in ("選A或B", "並非B", "不選B"):
        assert level(hedge, "螺内酯", options=options) is None


@pytest.mark.parametrize("letters", [("I", "II", "III", "IV"), tuple(map(str, range(8, 12)))])
def test_options_whose_names_have_several_letters(letters):
    options = dict(zip(letters, ("Iron", "Zinc", "Copper", "Iodine"), strict=True))
    third, fourth = letters[2:]
    for answer in (
        third,
        f"{third}.",
        f"({third})",
        f"{third}. Copper",
        f"Option {third}",
        f"The answer is {third}.",
    ):
        assert level(answer, "Copper", options=options) == 2
        assert level(answer, "Zinc", options=options) == 0
    assert level(f"{third} or {fourth}", "Copper", options=options) is None


@pytest.mark.parametrize(
    "answer",
    ["1. CML\n2. It is used as a treatment.", '["CML", "the disease"]', '{"answer": ["CML", "a disease"]}'],
)
def test_another_item_of_a_list_is_another_answer(answer):
    question = "Which disease is dasatinib used to treat?"
    assert level(answer, "CML", question=question) is None
    assert (
        level('["CML", "chronic myeloid leukemia"]', "CML", "chronic myeloid leukemia", question=question)
        == 2
    )


@pytest.mark.parametrize("answer", ["B. So is the third.", "B. Same for the first.", "B (50/50)"])
def test_an_option_named_by_its_place_is_a_second_answer(answer):
    assert level(answer, "Zinc", options={"A": "Iron", "B": "Zinc", "C": "Copper"}) is None


def test_a_word_that_is_one_option_in_capitals_and_another_as_a_plural_names_neither():
    options = {"A": "AIDS", "B": "Aid", "C": "DIC"}
    assert level("AIDS", "AIDS", options=options) == 2
    assert level("Aids", "AIDS", options=options) is None
    assert level("dic", "AIDS", options=options) == 0


@pytest.mark.parametrize(
    ("answer", "options", "gold", "other"),
    [
        ("This is a typical absence seizure.", {"A": "Typical absence seizure", "B": "Atypical absence seizure"}, 2, 0),
        ("A typical absence seizure", {"A": "Typical absence seizure", "B": "Atypical absence seizure"}, 2, 0),
        ("In direct inguinal hernia", {"A": "Direct inguinal hernia", "B": "Indirect inguinal hernia"}, None, None),
        ("an aerobic rod", {"A": "Aerobic rod", "B": "Anaerobic rod"}, 2, 0),
        ("A SYMPTOMATIC STENOSIS", {"A": "Symptomatic stenosis", "B": "Asymptomatic stenosis"}, 2, 0),
        ("Increase indirect bilirubin", {"A": "Increase in direct bilirubin", "B": "Fall of indirect bilirubin"}, None,
         None),
    ],
)  # fmt: skip
def test_an_article_or_a_preposition_is_no_prefix_of_the_next_word(answer, options, gold, other):
    assert [level(answer, letter, options=options) for letter in options] == [gold, other]


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("Anaerobic gram-negative rod", "an aerobic gram-negative rod"), ("Afebrile seizure", "a febrile seizure"),
        ("Acyanotic heart defect", "a cyanotic heart defect"), ("Incomplete heart block", "in complete heart block"),
        ("Treatment of atypical pneumonia", "treatment of a typical pneumonia"),
        ("Treatment of a typical pneumonia", "treatment of atypical pneumonia"),
    ],
)  # fmt: skip
def test_nor_does_an_open_answer_so_deny_itself(name, answer):
    assert level(answer, name) is None


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("Anaerobic rod", "an anaerobic rod"), ("Afebrile seizure", "an afebrile seizure"),
        ("Atypical pneumonia", "a-typical pneumonia"), ("Vitamin A deficiency", "vitamin a deficiency"),
        ("Carcinoma in situ", "carcinoma in-situ"), ("In-patient care", "inpatient care"),
        ("Immature teratoma", "im mature teratoma"), ("PD-L1", "PD L1"), ("Apo A-I", "Apo A I"),
    ],
)  # fmt: skip
def test_other_words_that_are_written_apart_are_the_same(name, answer):
    assert level(answer, name) == level(name, answer) == 2


CASE = "A man with type 1 diabetes has had acute pain in the right toe for 2 days. His pulse and pressure are normal. "
CHINESE_CASE = "患者男性，1型糖尿病，肺部啰音，2天前血糖升高。"


@pytest.mark.parametrize(
    "answer",
    [
        "X, normal pressure", "X (normal pressure)", "X - normal pressure", "X: normal pressure", "X. Normal pressure.",
        "X\nNormal pressure", "X, type 2", "X (type 2)", "X. Type 2.", "X, 2", "X. It is type 2.", "X, of type 2",
        "The diagnosis is X, type 2.", "X, type 2, is the diagnosis.", "Normal pressure: X", "X, acute", "X, right toe",
        "X, acute.\nThe pain in the toe is typical.", "X. The man has type 2.",
    ],
)  # fmt: skip
def test_words_of_the_question_may_narrow_the_name_beside_them(answer):
    for question in (f"{CASE}What is the diagnosis?", f"{CASE}What is it?"):
        assert level(answer.replace("X", "gout"), "Gout", question=question) is None


@pytest.mark.parametrize("answer", ["X（2型）", "X，2型", "X。2型。", "X（肺）", "肺：X"])
def test_so_they_may_in_chinese(answer):
    assert level(answer.replace("X", "痛风"), "痛风", question=f"{CHINESE_CASE}诊断是什么？") is None


def test_an_adjective_of_the_question_before_a_name_makes_another_one():
    question = "A man coughs. Which pulmonary disease is it?"
    assert level("Pulmonary hypertension", "Hypertension", question=question) is None
    assert level("Hypertension", "Hypertension", question=question) == 2


@pytest.mark.parametrize(
    "answer",
    [
        "X, given the acute pain", "X, because of the pain in the toe", "X, as he has acute pain in the toe",
        "X. He has acute pain in the right toe.", "X. The acute pain in the right toe is typical.",
        "X - acute pain in the right toe", "X, which causes acute pain", "X. It explains the acute pain in the toe.",
        "X, the most likely diagnosis", "X (the most likely diagnosis)", "X. This fits best.", "Diagnosis: X",
        "X (acute pain, right toe)", "X: acute pain in the right toe", "The man has X.",
        "The diagnosis in this man with acute pain is X.", "2. X",
    ],
)  # fmt: skip
def test_grounds_of_the_questions_words_do_not(answer):
    assert level(answer.replace("X", "gout"), "Gout", question=f"{CASE}What is the diagnosis?") == 2


@pytest.mark.parametrize(
    "answer", ["X，因为血糖升高", "X（血糖升高）", "X，患者血糖升高", "诊断为X。", "X。患者血糖升高。"]
)
def test_so_it_is_in_chinese(answer):
    assert level(answer.replace("X", "痛风"), "痛风", question=f"{CHINESE_CASE}诊断是什么？") == 2


@pytest.mark.parametrize(
    "ending",
    [
        "I hope it is correct.", "Hope this helps!", "Let me know if you have any questions.", "Thank you.",
        "Note: this is for educational purposes only.", "Please consult a doctor for medical advice.", "Good luck!",
        "希望对你有帮助。", "以上仅供参考。",
    ],
)  # fmt: skip
def test_a_courtesy_at_the_end_changes_nothing(ending):
    assert level(f"The final answer is $\\boxed{{C}}$. {ending}", "Gout", options=JOINTS) == 2
    assert level(f"The final answer is $\\boxed{{B}}$. {ending}", "Gout", options=JOINTS) == 0
    assert level(f"Gout. {ending}", "Gout") == 2
    assert level(f"The answer is yes.\n\n{ending}", "yes") == 2
    assert level(f"Possibly gout. {ending}", "Gout") is None


@pytest.mark.parametrize("hope", ["I hope it is C.", "I hope the answer is correct.", "C. Hope so."])
def test_a_hope_is_no_courtesy(hope):
    assert level(hope, "Gout", options=JOINTS) is None


def test_the_article_is_no_option_that_is_called_a():
    """Options "A", "B", "C" (stages, clusters): "C is a distractor" excludes no option A."""
    letters = {letter: letter for letter in "ABCD"}
    assert level("C is a distractor.", "C", options=letters) is None
    assert [level(answer, "C", options=letters) for answer in ("C", "c", "(a)", "a")] == [2, 2, 0, 0]


def test_the_letter_of_a_numbered_line_is_no_part_of_a_name():
    """A list of two answers, where an option is called "2b"."""
    stages = {"A": "1b", "B": "2a", "C": "2b", "D": "3a"}
    assert level("1. C\n2. B", "2b", options=stages) is None
    assert level('{"answer": ["C", "B"]}', "2b", options=stages) is None
    assert [level(answer, "2b", options=stages) for answer in ("2b", "2 B", "2-b", "C. 2b")] == [2, 2, 2, 2]
