"""The forms of `benchmarks/answer_forms.py` on a few invented questions, in both languages."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "benchmarks" / "answer_forms.py"
CHOICES = [
    ({"A": "Gentamicin", "B": "Ciprofloxacin", "C": "Ceftriaxone", "D": "Trimethoprim"}, "C"),
    ({"A": "2", "B": "4", "C": "1 in 40", "D": "10 mg"}, "D"),
    (
        {
            "A": "diaphragm",
            "B": "pericardium",
            "C": "diaphragm, parietal pleura and pericardium.",
            "D": "a rib",
        },
        "A",
    ),
    ({"A": "Candida albicans", "B": "Hepatitis B", "C": "Streptococcus pneumoniae", "D": "Vitamin C"}, "B"),
    ({"A": "头孢曲松", "B": "庆大霉素", "C": "青霉素", "D": "阿司匹林"}, "D"),
    ({"A": "None", "B": "NA", "C": "null", "D": "One"}, "A"),
]


@pytest.fixture(scope="module")
def forms():
    spec = importlib.util.spec_from_file_location("answer_forms", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["answer_forms"] = module
    spec.loader.exec_module(module)
    return module


def cases(forms):
    for options, gold in CHOICES:
        row = {"question": "Which one?", "options": options, "answer": options[gold], "answer_idx": gold}
        yield forms.choice_case("own", row, random.Random(0))
    for gold in ("yes", "no", "maybe"):
        for options in (None, {"A": "yes", "B": "no", "C": "maybe"}):
            yield forms.verdict_case("own", {"question": "Does it help?", "answer": gold, "options": options})
    for names in (["Jacobsen syndrome"], ["Leukemia, myeloid, chronic"], ["急性心肌梗死"]):
        yield forms.open_case("own", "What is it?", names, "Turner syndrome")


def test_right_answers_are_right_and_never_wrong(forms):
    missed, total = [], 0
    for case in cases(forms):
        for form in case.forms:
            answer = form.format(**case.right)
            level = forms.level(case, answer)
            assert level != 0, answer
            total += 1
            missed += [answer] if level is None else []
    assert len(missed) <= 0.03 * total, missed


def test_other_answers_and_hedges_are_never_right(forms):
    for case in cases(forms):
        for form in case.forms:
            assert forms.level(case, form.format(**case.wrong)) != 2, (form, case.wrong)
        for form in case.hedges:
            assert forms.level(case, form.format(**case.right)) != 2, (form, case.right)
