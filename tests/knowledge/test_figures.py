"""Figures belong to groups; swapped ones are found, in any order of telling."""

from __future__ import annotations

import time

import pytest

from medr3_plugin.knowledge.figures import figures, figures_of, misquoting, swapped
from medr3_plugin.knowledge.statements import statements

SYNDROME = (
    "The syndrome developed in 5 of 9 given antibiotics (56%) and in 5 of 62 who were not (8%, P<0.001)."
)
OXYGEN = "Pain freedom at 15 minutes was reached in 78% of attacks with oxygen and 20% with air (P<0.001)."
MORTALITY = (
    "Mortality was reduced with tranexamic acid: 1463 (14.5%) versus 1613 (16.0%), relative risk 0.91."
)
RECURRENCE = "Fewer patients in the fidaxomicin group had a recurrence (15.4% versus 25.3%, P=0.005)."
DEATHS = "At six months 465 of 925 patients in the hypothermia group and 446 of 925 in the normothermia group had died."
CHINESE = "输注组病死率为1%，间断组为8%。"


@pytest.mark.parametrize(
    ("source", "own"),
    [
        (SYNDROME, "The syndrome developed in 8% with antibiotics against 56% without."),
        (OXYGEN, "Oxygen gave relief in 20% and air in 78%, so air works better."),
        (MORTALITY, "Mortality was 16.0% with tranexamic acid and 14.5% with placebo."),
        (RECURRENCE, "Fidaxomicin had a recurrence of 25.3%, which is higher than vancomycin at 15.4%."),
        (DEATHS, "446 of 925 died in the hypothermia arm and 465 of 925 in the normothermia arm."),
        (CHINESE, "间断组病死率为1%，输注组为8%。"),
    ],
)
def test_swapped_figures(source, own):
    assert swapped(figures(own), figures(source))
    assert misquoting(statements(own), own, [figures_of(source)])


@pytest.mark.parametrize(
    ("source", "own"),
    [
        (SYNDROME, "56% with antibiotics had it and 8% without."),
        (SYNDROME, "8% of the children without antibiotics and 56% of those given antibiotics had it."),
        (OXYGEN, "78% of attacks relieved at 15 minutes versus 20% with air."),
        (OXYGEN, "With air only 20% were free of pain, with oxygen 78%."),
        (MORTALITY, "Mortality fell from 16.0% to 14.5%."),
        (MORTALITY, "Mortality was 16.0% with placebo and 14.5% with tranexamic acid (RR 0.91)."),
        (RECURRENCE, "Recurrence was 25.3% with vancomycin and 15.4% with fidaxomicin."),
        (RECURRENCE, "Recurrence: 25.3 vs 15.4."),
        (DEATHS, "In the hypothermia arm 465 of 925 died, in the normothermia arm 446 of 925."),
        (CHINESE, "输注组1%，间断组8%。"),
        (OXYGEN, "She is 78 and lives on the 20th floor."),
    ],
)
def test_the_same_in_another_order(source, own):
    assert not swapped(figures(own), figures(source))


def test_only_the_statements_with_the_figures_are_false():
    own = "Oxygen is safe. Oxygen gave relief in 20% and air in 78%."
    found = misquoting(statements(own), own, [figures_of(OXYGEN)])
    assert {one.text.strip() for one in found} == {"Oxygen gave relief in 20%", "air in 78%."}


def test_a_table_is_not_read():
    assert figures(" ".join(f"{n}% in group {n + 1}," for n in range(100))) == {}


@pytest.mark.parametrize("unit", ["1 ", "(1%", "1,", "a and ", "5 of ", "1。"])
def test_any_text_is_read_in_linear_time(unit):
    started = time.process_time()
    figures_of(unit * (200_000 // len(unit)))
    assert time.process_time() - started < 5
