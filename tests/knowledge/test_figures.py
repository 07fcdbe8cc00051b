# ruff: noqa: E501 - sentences as they are written
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


@pytest.mark.parametrize(
    ("source", "own"),
    [
        (
            "Recurrence was seen in 15.4% with fidaxomicin and 25.3% with vancomycin.",
            "Recurrence was 25.3% with fidaxomicin (Dificid) against 15.4% with vancomycin.",
        ),
        (
            "In all, 629 adults were enrolled; recurrence was 15.4% with fidaxomicin and 25.3% with vancomycin (P=0.005).",
            "Among 629 adults, recurrence was 25.3% with fidaxomicin and 15.4% with vancomycin.",
        ),
        (
            "Among 629 adults, recurrence was 15.4% with fidaxomicin and 25.3% with vancomycin (P=0.005).",
            "Among 629 adults, recurrence was 25.3% with fidaxomicin and 15.4% with vancomycin.",
        ),
        (
            "The primary outcome occurred in 9.9% of the ticagrelor group and 11.7% of the clopidogrel group (hazard ratio 0.84).",
            "The primary outcome occurred in 11.7% of the ticagrelor group and 9.9% of the clopidogrel group (hazard ratio 0.84).",
        ),
        (
            "Of 7,020 patients, 10.5% on empagliflozin and 12.1% on placebo had an event over 3.1 years.",
            "Of 7,020 patients, 12.1% on empagliflozin and 10.5% on placebo had an event over 3.1 years.",
        ),
        (
            "阿司匹林组卒中发生率为2.1%，氯吡格雷组为3.4%，平均随访24个月。",
            "阿司匹林组卒中为3.4%，氯吡格雷组为2.1%，随访24个月。",
        ),
        (
            "Mortality at 90 days was 29% in the restrictive group and 34% in the liberal group (P=0.03).",
            "Mortality was 34% in the restrictive group and 29% in the liberal group.",
        ),
        (
            "Median time to recovery was 10 days (IQR 9 to 11) with remdesivir and 15 days (IQR 13 to 18) with placebo.",
            "Recovery took 15 days with remdesivir and 10 days with placebo.",
        ),
        (
            "观察组治愈率为88.5%，对照组为71.2%。",
            "观察组治愈率为71.2%，对照组为88.5%。",
        ),
        (
            "观察组治愈率为88.5%，对照组为71.2%。",
            "对照组治愈率为88.5%，观察组为71.2%。",
        ),
        (
            "Women had a prevalence of 4.1% and men of 1.9%.",
            "The prevalence is 4.1% in men and 1.9% in women.",
        ),
    ],
)
def test_swapped_beside_other_numbers_and_asides(source, own):
    assert misquoting(statements(own), own, [figures_of(source)])


@pytest.mark.parametrize(
    ("source", "own"),
    [
        (
            "In all, 629 adults were enrolled; recurrence was 15.4% with fidaxomicin and 25.3% with vancomycin (P=0.005).",
            "Among 629 adults, 25.3% of those on vancomycin and 15.4% of those on fidaxomicin had a recurrence.",
        ),
        (
            "Mean systolic pressure fell from 152 to 134 mm Hg with chlorthalidone and from 151 to 141 mm Hg with placebo.",
            "With placebo the systolic pressure went from 151 to 141 mm Hg, with chlorthalidone from 152 to 134.",
        ),
        (
            "Median survival was 18.2 months (95% CI, 15.1 to 21.3) with nivolumab and 12.9 months (95% CI, 10.4 to 15.0) with docetaxel.",
            "Docetaxel gave a median survival of 12.9 months (95% CI 10.4 to 15.0), nivolumab one of 18.2 months (95% CI 15.1 to 21.3).",
        ),
        (
            "From January 2010 to March 2014 we randomised 1,021 women to 20 mg of tamoxifen or 5 mg of raloxifene.",
            "The trial ran from 2010 to 2014 and gave 1,021 women raloxifene 5 mg or tamoxifen 20 mg.",
        ),
        (
            "Death occurred in 58 of 320 patients (18.1%) in the early group and in 83 of 318 (26.1%) in the late group.",
            "In the late group 83 of 318 (26.1%) died, compared with 58 of 320 (18.1%) in the early group.",
        ),
        (
            "The primary outcome occurred in 9.9% of the ticagrelor group and 11.7% of the clopidogrel group (hazard ratio 0.84).",
            "The hazard ratio was 0.84: 11.7% of patients on clopidogrel versus 9.9% on ticagrelor had the primary outcome.",
        ),
        (
            "Patients received 40 mg of prednisolone daily for 28 days or 400 mg of pentoxifylline three times daily for 28 days.",
            "Pentoxifylline was given at 400 mg three times a day and prednisolone at 40 mg a day.",
        ),
        (
            "At 12 months 64% of patients given semaglutide 2.4 mg lost at least 10% of weight, against 12% of those given placebo.",
            "Only 12% of the placebo group lost 10% or more of their weight at 12 months, while 64% did with semaglutide 2.4 mg.",
        ),
        (
            "HbA1c fell by 1.4 points with the pump and by 0.6 points with injections; hypoglycaemia occurred in 22 and 31 patients.",
            "With injections HbA1c fell by 0.6 and hypoglycaemia was seen in 31 patients; with the pump it fell by 1.4 with 22 such patients.",
        ),
        (
            "The mean age was 63.4 years (SD 8.1) in the surgery group and 61.9 years (SD 9.0) in the medical group.",
            "Medical patients were 61.9 years old on average and surgical patients 63.4 years.",
        ),
        (
            "Sensitivity was 92% and specificity 78% for ultrasound, and 97% and 95% for CT.",
            "CT has a sensitivity of 97% and a specificity of 95%; ultrasound has 92% and 78%.",
        ),
        (
            "Of 7,020 patients, 10.5% on empagliflozin and 12.1% on placebo had an event over 3.1 years.",
            "Over 3.1 years, an event was seen in 12.1% under placebo, but in just 10.5% of those under empagliflozin, among 7,020 patients.",
        ),
        (
            "Stroke was seen in 1.11% per year with dabigatran 150 mg, 1.53% with dabigatran 110 mg and 1.69% with warfarin.",
            "Warfarin had 1.69% strokes per year, dabigatran 110 mg 1.53% and dabigatran 150 mg 1.11%.",
        ),
        (
            "Cure was achieved in 72 of 80 children (90%) with amoxicillin for 5 days and in 74 of 81 (91%) for 10 days.",
            "For 10 days 74 of 81 children were cured, and 72 of 80 for 5 days.",
        ),
        (
            "Major bleeding occurred in 2.1% with apixaban compared with 3.1% with warfarin, and death in 3.5% compared with 3.9%.",
            "Death was seen in 3.9% of patients on warfarin and 3.5% on apixaban; major bleeding in 3.1% and 2.1%.",
        ),
        (
            "Pain scores were 3.2 (SD 1.1) at week 4 and 2.1 (SD 0.9) at week 12.",
            "By week 12 the pain score was 2.1, down from 3.2 at week 4.",
        ),
        (
            "Vaccination cut hospital admission from 8.4 to 3.1 per 1,000 in those over 65 and from 2.2 to 1.0 in the younger.",
            "In younger people admissions fell from 2.2 to 1.0 and in people over 65 from 8.4 to 3.1 per 1,000.",
        ),
        (
            "Remission was reached in 44.1% (95% CI 38.0 to 50.2) with infliximab plus azathioprine, 30.0% with infliximab alone and 24.1% with azathioprine alone.",
            "Azathioprine alone led to remission in 24.1%, infliximab alone in 30.0%, the two together in 44.1%.",
        ),
        (
            "The number needed to treat was 12 for the 10 mg dose and 25 for the 5 mg dose.",
            "At 5 mg the number needed to treat is 25, at 10 mg it is 12.",
        ),
        (
            "Serum potassium rose by 0.5 mmol/L with spironolactone 25 mg and by 0.3 mmol/L with eplerenone 50 mg.",
            "Eplerenone 50 mg raised potassium by 0.3 and spironolactone 25 mg by 0.5 mmol/L.",
        ),
        (
            "治疗组120例中有96例有效（80.0%），对照组118例中有71例有效（60.2%）。",
            "对照组有效率为60.2%（71/118），治疗组为80.0%（96/120）。",
        ),
        (
            "阿司匹林组卒中发生率为2.1%，氯吡格雷组为3.4%，平均随访24个月。",
            "随访24个月，氯吡格雷组卒中为3.4%，阿司匹林组为2.1%。",
        ),
        (
            "二甲双胍每日1500 mg使HbA1c下降1.2%，格列美脲每日4 mg使其下降1.0%。",
            "格列美脲4 mg使HbA1c下降1.0%，而二甲双胍1500 mg下降1.2%。",
        ),
        (
            "手术组中位生存期为32个月，保守组为21个月（P=0.01）。",
            "保守组中位生存期21个月，手术组32个月。",
        ),
        (
            "2015年至2019年共纳入302例，年龄45至78岁，男性180例，女性122例。",
            "共302例，其中女性122例、男性180例，时间为2015年至2019年。",
        ),
        (
            "Treatment with 10 mg/kg every 8 hours for 21 days cut mortality from 70% to 28%.",
            "Mortality fell from 70% to 28% with 10 mg/kg given every 8 hours for 21 days.",
        ),
        (
            "Ferritin was 310 ng/mL and CRP 45 mg/L at admission; ferritin was 120 ng/mL and CRP 8 mg/L at discharge.",
            "At discharge CRP was 8 mg/L and ferritin 120 ng/mL, while CRP was 45 and ferritin 310 at admission.",
        ),
        (
            "Asthma exacerbations were 0.45 per year with mepolizumab and 0.93 with placebo, a reduction of 53%.",
            "A reduction of 53%, that is 0.93 exacerbations per year with placebo versus 0.45 with mepolizumab.",
        ),
        (
            "Of the 40 patients with fever, 12 had a rash, and of the 60 without fever, 5 had one.",
            "A rash was present in 5 of the 60 without fever but in 12 of 40 with fever.",
        ),
        (
            "The odds ratio was 2.3 for smokers of 20 cigarettes and 1.4 for smokers of 10.",
            "Smoking 10 cigarettes carries an odds ratio of 1.4, and 20 one of 2.3.",
        ),
        (
            "Mortality at 90 days was 29% in the restrictive group and 34% in the liberal group (P=0.03).",
            "The liberal strategy had a 90-day mortality of 34%, the restrictive one 29%.",
        ),
        (
            "LDL cholesterol was 53 mg/dL with ezetimibe and 70 mg/dL with simvastatin alone, and events were 32.7% and 34.7%.",
            "Simvastatin alone: LDL 70 mg/dL and events in 34.7%. Ezetimibe added: LDL 53 and 32.7%.",
        ),
        (
            "Fracture risk was 3.3% in the zoledronate group versus 10.9% in the placebo group at 3 years.",
            "At 3 years, 10.9% of those on placebo and 3.3% of those on zoledronate had broken a vertebra.",
        ),
        (
            "Median time to recovery was 10 days (IQR 9 to 11) with remdesivir and 15 days (IQR 13 to 18) with placebo.",
            "Recovery took 15 days on placebo and 10 days on remdesivir.",
        ),
        (
            "Of 41 patients with the mutation, 30 had seizures; of 59 without it, 7 did.",
            "Seizures occurred in 7 of 59 patients without the mutation and 30 of 41 with it.",
        ),
        (
            "The drug was given at 5 mg/kg on days 1 and 15, and at 10 mg/kg on day 29.",
            "On day 29 the dose was 10 mg/kg, and on days 1 and 15 it was 5 mg/kg.",
        ),
        (
            "Cough resolved after 14 days in 62% on honey and 48% on dextromethorphan.",
            "48% on dextromethorphan and 62% on honey no longer coughed after 14 days.",
        ),
        (
            "Rates of stent thrombosis were 0.7% at 1 year and 1.4% at 5 years.",
            "At 5 years the rate was 1.4%, at 1 year only 0.7%.",
        ),
        (
            "Pneumonia was less common with head elevation, 8% (3 of 39) than with supine position, 34% (16 of 47).",
            "Pneumonia developed in 16 of 47 supine patients (34%) and 3 of 39 with the head elevated (8%).",
        ),
        (
            "In 2008 the incidence was 12 per 100,000 and in 2018 it was 19 per 100,000.",
            "The incidence rose from 12 per 100,000 in 2008 to 19 in 2018.",
        ),
        (
            "观察组治愈率为88.5%，对照组为71.2%，不良反应发生率分别为6.4%和14.1%。",
            "对照组治愈率71.2%、不良反应14.1%，观察组治愈率88.5%、不良反应6.4%。",
        ),
        (
            "他克莫司组有效率92%（46/50），环孢素组78%（39/50），随访6个月。",
            "环孢素组50例中39例有效（78%），他克莫司组46例有效（92%）。",
        ),
        (
            "Relapse occurred in 3 of 24 patients on rituximab and 11 of 25 on azathioprine; infections in 5 and 9.",
            "On azathioprine 11 of 25 relapsed and 9 had infections; on rituximab 3 of 24 relapsed and 5 had infections.",
        ),
        (
            "Women had a prevalence of 4.1% and men of 1.9%.",
            "The prevalence is 1.9% in men and 4.1% in women.",
        ),
        (
            "The 6-minute walk distance improved by 36 m with bosentan and fell by 8 m with placebo.",
            "With placebo the distance fell by 8 m, and with bosentan it improved by 36 m.",
        ),
        (
            "Among 2,309 patients, 267 (23.1%) in the control arm and 189 (16.4%) in the exercise arm fell.",
            "189 patients (16.4%) fell in the exercise arm, as against 267 (23.1%) in the control arm, of 2,309.",
        ),
    ],
)
def test_what_is_true_is_not_swapped(source, own):
    """Means, intervals, dates, doses, counts with percentages; two arms in another order, one without its verb."""
    assert not misquoting(statements(own), own, [figures_of(source)])


def test_only_the_statements_with_the_figures_are_false():
    own = "Oxygen is safe. Oxygen gave relief in 20% and air in 78%."
    found = misquoting(statements(own), own, [figures_of(OXYGEN)])
    assert {one.text.strip() for one in found} == {"Oxygen gave relief in 20%", "air in 78%."}
    twice = "Air gave relief in 20%. Oxygen gave relief in 20% and air in 78%."  # the first is true
    assert not any(
        one.text.startswith("Air") for one in misquoting(statements(twice), twice, [figures_of(OXYGEN)])
    )


def test_a_table_is_not_read():
    assert figures(" ".join(f"{n}% in group {n + 1}," for n in range(100))) == {}


@pytest.mark.parametrize(
    "unit", ["1 ", "(1%", "1,", "a and ", "5 of ", "1。", "1 CI ", "(1 SD", "(P<", "1-a"]
)
def test_any_text_is_read_in_linear_time(unit):
    started = time.process_time()
    figures_of(unit * (200_000 // len(unit)))
    assert time.process_time() - started < 5
