"""The verifiers on hand-written answers: what is right, partly right, wrong, and not for a rule to decide."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medr3_plugin.knowledge.vocabulary import Entry, Vocabulary
from medr3_plugin.records import Sample
from medr3_plugin.rewards.answer.verify import MAX_CHARS, verify

DRUGS = {"A": "Gentamicin", "B": "Ciprofloxacin", "C": "Ceftriaxone", "D": "Trimethoprim"}
NERVE = {
    "A": "paralysis of the facial muscles.",
    "B": "paralysis of the facial muscles and loss of taste.",
    "C": "paralysis of the facial muscles, loss of taste and lacrimation.",
}
EFFECT = {"A": "significantly increased", "B": "significantly decreased", "C": "no significant difference"}
PUBMEDQA = {"A": "yes", "B": "no", "C": "maybe"}
ABOVE = {"A": "Iron", "B": "Zinc", "C": "None of the above", "D": "All of the above"}


def level(answer: str, *answers: str, options: dict[str, str] | None = None, question: str = "Which one?"):
    sample = Sample(id="1", question=question, response="", answers=answers, options=options)
    verdict = verify(answer, sample)
    return None if verdict is None else verdict.level


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("C", 2),
        ("c", 2),
        ("(C)", 2),
        ("C.", 2),
        ("C)", 2),
        ("[C]", 2),
        ("**C**", 2),
        (r"$\boxed{C}$", 2),
        (r"\boxed{\text{C}}", 2),
        ("Ｃ", 2),
        ("Option C", 2),
        ("option c.", 2),
        ("ANSWER: C", 2),
        ("The answer is C.", 2),
        ("The correct answer is (C).", 2),
        ("Therefore, the best answer is: C", 2),
        ("C. Ceftriaxone", 2),
        ("C: ceftriaxone", 2),
        ("C - Ceftriaxone", 2),
        ("(C) Ceftriaxone.", 2),
        ("C Ceftriaxone", 2),
        ("Ceftriaxone", 2),
        ("ceftriaxone (C)", 2),
        ("Ceftriaxone.", 2),
        ("The answer is ceftriaxone.", 2),
        ("Give ceftriaxone 250 mg", 2),
        ("答案是C", 2),
        ("答案：C", 2),
        ("选C", 2),
        ("C、Ceftriaxone", 2),
        ("C because it blocks cell wall synthesis", 2),
        ("C. Ceftriaxone, because it blocks cell wall synthesis", 2),
        ("Ceftriaxone rather than gentamicin", 2),
        ("Ceftriaxone, not gentamicin", 2),
        ("C, not A", 2),
        ("C\n", 2),
        ("A", 0),
        ("B) Ciprofloxacin", 0),
        ("Gentamicin", 0),
        ("not C", 0),
        ("not ceftriaxone", 0),
        ("anything except C", None),
        ("A or C", 0),
        ("C or A", 0),
        ("A, C", 0),
        ("A and C", 0),
        ("A/C", 0),
        ("AC", 0),
        ("ABCD", 0),
        ("A B C D", 0),
        ("A, B, C, D", 0),
        ("both A and C", 0),
        ("either C or D", 0),
        ("(A) (C)", 0),
        ("C. Gentamicin", 0),
        ("A. Ceftriaxone", 0),
        ("A Ceftriaxone", 0),
        ("a or c", 0),
        ("C. Ceftriaxone\nA. Gentamicin", 0),
        ("C\nA\nB\nD", 0),
        ("C. Ceftriaxone or A. Gentamicin", 0),
        ("Ceftriaxone or gentamicin", 0),
        ("Ceftriaxone, gentamicin", 0),
        ("ceftriaxone and gentamicin", 0),
        ("Gentamicin Ciprofloxacin Ceftriaxone Trimethoprim", None),
        ("Ceftriaxone is unlikely", 0),
        ("Possibly ceftriaxone", 0),
        ("C, but it could also be A", 0),
        ("It cannot be determined", 0),
        ("I don't know", 0),
        ("none", 0),
        ("an antibiotic", None),
        ("E", None),
        ("A patient needs an antibiotic", None),
        ("ceftriaxone or", 0),
    ],
)
def test_choice(answer, expected):
    assert level(answer, "Ceftriaxone", options=DRUGS) == expected


@pytest.mark.parametrize(
    ("options", "gold", "answer", "expected"),
    [
        (NERVE, "paralysis of the facial muscles.", "A", 2),
        (NERVE, "paralysis of the facial muscles.", "Paralysis of facial muscles", 2),
        (NERVE, "paralysis of the facial muscles.", "paralysis of the facial muscles and loss of taste", 0),
        (NERVE, "paralysis of the facial muscles and loss of taste.",
         "paralysis of facial muscles, loss of taste", None),
        (NERVE, "paralysis of the facial muscles and loss of taste.", "paralysis of the facial muscles", 0),
        (EFFECT, "no significant difference", "no significant difference", 2),
        (EFFECT, "no significant difference", "C. No significant difference", 2),
        (EFFECT, "no significant difference", "C. No significant difference in visceral fat", 2),
        (EFFECT, "no significant difference", "There was no significant difference.", 2),
        (EFFECT, "significantly decreased", "not significantly decreased", 0),
        (EFFECT, "significantly decreased", "significantly increased or decreased", 0),
        (EFFECT, "significantly decreased", "Visceral fat area was significantly decreased", 2),
        (PUBMEDQA, "yes", "yes", 2),
        (PUBMEDQA, "yes", "A", 2),
        (PUBMEDQA, "yes", "A. yes", 2),
        (PUBMEDQA, "yes", "Yes, because counselling helped.", 2),
        (PUBMEDQA, "yes", "yes or no", 0),
        (PUBMEDQA, "yes", "yes/no/maybe", 0),
        (PUBMEDQA, "yes", "Yes and no", 0),
        (PUBMEDQA, "maybe", "maybe", 2),
        (PUBMEDQA, "maybe", "yes", 0),
        (PUBMEDQA, "no", "No, it did not.", 2),
        (PUBMEDQA, "no", "not yes", 0),
        (ABOVE, "None of the above", "None of the above", 2),
        (ABOVE, "None of the above", "C", 2),
        (ABOVE, "All of the above", "Iron", 0),
        (ABOVE, "All of the above", "Iron and zinc", 0),
        ({"A": "A. fumigatus", "B": "A. flavus"}, "A. flavus", "A. flavus", 2),
        ({"A": "A. fumigatus", "B": "A. flavus"}, "A. flavus", "A", 0),
        ({"A": "AB", "B": "O"}, "AB", "AB", 2),
        ({"A": "3 years", "B": "13 years"}, "3 years", "three years", 2),
        ({"A": "3 years", "B": "13 years"}, "3 years", "13 years", 0),
        ({"A": "supported", "B": "contradicted", "C": "not enough evidence in the corpus"},
         "not enough evidence in the corpus", "not enough evidence in the corpus", 2),
        ({"A": "supported", "B": "not supported"}, "supported", "not supported", 0),
        ({"A": "supported", "B": "not supported"}, "supported", "supported", 2),
        ({"A": "头孢曲松", "B": "庆大霉素"}, "头孢曲松", "头孢曲松", 2),
        ({"A": "头孢曲松", "B": "庆大霉素"}, "头孢曲松", "A、头孢曲松", 2),
        ({"A": "头孢曲松", "B": "庆大霉素"}, "头孢曲松", "答案是头孢曲松", 2),
        ({"A": "头孢曲松", "B": "庆大霉素"}, "头孢曲松", "头孢曲松或庆大霉素", 0),
        ({"A": "头孢曲松", "B": "庆大霉素"}, "头孢曲松", "不是头孢曲松", 0),
        ({"A": "Iron", "B": "Zinc", "E": None}, "Zinc", "B", 2),
        ({"A": "Iron", "B": "Zinc"}, "B", "Zinc", 2),
        ({"a": "Iron", "b": "Zinc"}, "Zinc", "b", 2),
        ({"A": 0, "B": 5}, "5", "B", 2),
        ({"A": 0, "B": 5}, "5", "0", 0),
    ],
)  # fmt: skip
def test_choice_texts(options, gold, answer, expected):
    assert level(answer, gold, options=options) == expected


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("yes", "Yes", 2),
        ("yes", "Yes.", 2),
        ("yes", "The answer is yes.", 2),
        ("yes", "Yes, no difference was found in the control group", 2),
        ("yes", "是的", 2),
        ("no", "否", 2),
        ("no", "No", 2),
        ("no", "No. There was no effect.", 2),
        ("no", "Yes", 0),
        ("no", "maybe", 0),
        ("yes", "yes, no, maybe", 0),
        ("yes", "Yes. Maybe.", 0),
        ("yes", "yes / no", 0),
        ("yes", "not yes", 0),
        ("yes", "I cannot say", 0),
        ("yes", "The intervention increases use", None),
        ("maybe", "possibly", 2),
        ("maybe", "可能", 2),
        ("maybe", "cannot be determined", 0),
        ("true", "yes", 2),
        ("negative", "no", None),
    ],
)
def test_yesno(gold, answer, expected):
    assert level(answer, gold) == expected


@pytest.mark.parametrize(
    ("answers", "answer", "expected"),
    [
        # the same name
        (["Jacobsen syndrome"], "Jacobsen syndrome", 2),
        (["Jacobsen syndrome"], "jacobsen's syndrome.", 2),
        (["Jacobsen syndrome"], "**JACOBSEN SYNDROME**", 2),
        (["Jacobsen syndrome"], "The most likely genetic diagnosis is Jacobsen syndrome.", 2),
        (["Jacobsen syndrome"], "Final diagnosis: Jacobsen syndrome", 2),
        (["Jacobsen syndrome"], "This patient most likely has Jacobsen syndrome", 2),
        (["Jacobsen syndrome"], "Jacobsen syndrome because of the short philtrum and the low platelets", 2),
        (["Jacobsen syndrome"], "Jacobsen syndrome due to a deletion of 11q", 1),
        (["Thrombophilia due to factor VIII defect"], "thrombophilia due to factor 8 defect", 2),
        (["Thrombophilia due to factor VIII defect"], "thrombophilia due to factor 9 defect", 0),
        (["Weill-Marchesani syndrome"], "Marchesani-Weill syndrome", 2),
        (["Creutzfeldt-Jakob disease"], "variant Creutzfeldt-Jakob disease", 1),
        (["Gangliosidosis GM1, type 2"], "Type 1 GM2 gangliosidosis", None),
        (["Gangliosidosis GM1, type 2"], "GM1 gangliosidosis type II", 2),
        (["Leukemia, myeloid, chronic"], "chronic myeloid leukemia", 2),
        (["Leukemia, myeloid, chronic"], "chronic myeloid leukemia, chronic phase", None),
        (["breast cancer stage 2"], "breast cancer type 2", 0),
        (["MCOP6"], "MCOPS6", None),
        (["PD-L1"], "PDL1", 2),
        (["Night blindness"], "night blindness since birth", None),
        (["primary coenzyme Q10 deficiency 2"], "coenzyme Q10 deficiency, primary, 2", 2),
        (["Right aortic arch with left artery"], "Left aortic arch with right artery", None),
        (["SCT"], "SCTS", None),
        (["SCT"], "SCTs", 2),
        (["Jacobsen syndrome"], "Jacobsen syndrome rather than Down syndrome", 2),
        (["Jacobsen syndrome"], "Jacobsen syndrome, not Down syndrome", 2),
        (["Jacobsen syndrome", "11q deletion disorder"], "Jacobsen syndrome (11q deletion disorder)", 2),
        (["Jacobsen syndrome", "11q deletion disorder"],
         "Jacobsen syndrome, also known as 11q deletion disorder", 2),
        (["3 years"], "years", None),
        (["3 years"], "5 years", 0),
        (["BRCA1"], "BRCA2", 0),
        (["vitamin B12"], "vitamin", None),
        (["Jacobsen syndrome", "11q deletion disorder"], "11q deletion disorders", 2),
        (["Sjögren's syndrome"], "Sjogren syndrome", 2),
        (["Behçet’s disease"], "Behcet disease", 2),
        (["β-thalassaemia"], "beta thalassemia", 2),
        (["Tumour of oesophagus"], "tumor of the esophagus", 2),
        (["Kaposi's  sarcoma"], "Kaposi sarcoma", 2),
        (["non-Hodgkin's lymphoma"], "Non Hodgkin lymphoma", 2),
        (["non-Hodgkin's lymphoma"], "Hodgkin lymphoma", None),
        (["PD-L1 status"], "PDL1 status", 2),
        (["2500"], "2,500", 2),
        (["five"], "5", 2),
        (["phase II"], "Phase 2", 2),
        (["Gaucher disease, type III"], "Gaucher disease type 3", 2),
        (["Gaucher disease, type III"], "type 3 Gaucher disease", 2),
        (["Immunodeficiency, common variable, 13"], "Common variable immunodeficiency 13", 2),
        (["Immunodeficiency, common variable, 13"], "common variable immunodeficiency type 13", 2),
        (["Spastic paraplegia 93, autosomal recessive"], "Autosomal recessive spastic paraplegia 93", 2),
        (["Abdomen, Acute"], "acute abdomen", 2),
        (["acute abdomen"], "Abdomen, Acute", 2),
        (["Systemic lupus erythematosus"], "Systemic lupus erythematosus (SLE)", 2),
        (["Systemic lupus erythematosus (SLE)"], "SLE", 2),
        (["Systemic lupus erythematosus (SLE)"], "systemic lupus erythematosus", 2),
        (["Magnetic Resonance Imaging", "MRI"], "MRI", 2),
        (["Magnetic Resonance Imaging", "MRI"], "MRI (magnetic resonance imaging)", 2),
        (["acute lymphoblastic leukemia", "ALL"], "ALL", 2),
        (["Retinitis pigmentosa with or without skeletal anomalies"],
         "retinitis pigmentosa with or without skeletal anomalies", 2),
        (["急性心肌梗死"], "急性心肌梗死", 2),
        (["急性心肌梗死"], "最可能的诊断是急性心肌梗死。", 2),
        (["急性心肌梗死"], "急性 心肌梗死", 2),
        # partly
        (["Coffin-Siris syndrome 8"], "Coffin-Siris syndrome", 1),
        (["Ehlers-Danlos syndrome, classic type, 1"], "Ehlers-Danlos syndrome", 1),
        (["Spastic paraplegia 93, autosomal recessive"], "Spastic paraplegia", 1),
        (["pancreatitis"], "acute pancreatitis", 1),
        # wrong
        (["Coffin-Siris syndrome 8"], "Coffin-Siris syndrome 3", 0),
        (["Gaucher disease, type III"], "Gaucher disease type 1", 0),
        (["acute pancreatitis"], "chronic pancreatitis", 0),
        (["Jacobsen syndrome"], "not Jacobsen syndrome", 0),
        (["Jacobsen syndrome"], "Jacobsen syndrome is unlikely", 0),
        (["Jacobsen syndrome"], "Jacobsen syndrome has been ruled out", 0),
        (["Jacobsen syndrome"], "not Jacobsen syndrome, Down syndrome", 0),
        (["Jacobsen syndrome"], "Down syndrome rather than Jacobsen syndrome", 0),
        (["Jacobsen syndrome"], "anything but Jacobsen syndrome", None),
        (["Jacobsen syndrome"], "Jacobsen syndrome or Down syndrome", 0),
        (["Jacobsen syndrome"], "Down syndrome or Jacobsen syndrome", 0),
        (["Jacobsen syndrome"], "Jacobsen syndrome / Down syndrome", 0),
        (["Jacobsen syndrome"], "Jacobsen syndrome, Down syndrome", 0),
        (["Jacobsen syndrome"], "Jacobsen syndrome; Down syndrome", 0),
        (["Jacobsen syndrome"], "Jacobsen syndrome and Down syndrome", 0),
        (["Jacobsen syndrome"], "1. Jacobsen syndrome 2. Down syndrome", 0),
        (["Jacobsen syndrome"], "- Jacobsen syndrome\n- Down syndrome\n- Turner syndrome", 0),
        (["Jacobsen syndrome"], "Jacobsen syndrome vs. Down syndrome", 0),
        (["Jacobsen syndrome"], "possibly Jacobsen syndrome", 0),
        (["Jacobsen syndrome"], "It could be Jacobsen syndrome", 0),
        (["Jacobsen syndrome"], "Differential diagnosis: Jacobsen syndrome, Down syndrome", 0),
        (["Jacobsen syndrome"], "cannot be determined", 0),
        (["Jacobsen syndrome"], "Unknown", 0),
        (["Jacobsen syndrome"], "Down syndrome or Turner syndrome", 0),
        (["acute lymphoblastic leukemia", "ALL"], "all", None),
        (["急性心肌梗死"], "不是急性心肌梗死", 0),
        (["急性心肌梗死"], "排除急性心肌梗死", 0),
        (["急性心肌梗死"], "急性心肌梗死或肺栓塞", 0),
        (["急性心肌梗死"], "急性心肌梗死、肺栓塞", 0),
        (["急性心肌梗死"], "可能是急性心肌梗死", 0),
        (["急性心肌梗死"], "无法确定", 0),
        # not for a rule
        (["Jacobsen syndrome"], "Down syndrome", None),
        (["Jacobsen syndrome"], "Jacobsen syndrome. This is Down syndrome.", None),
        (["Jacobsen syndrome"], "Jacobsen syndrome (Down syndrome)", None),
        (["Jacobsen syndrome"], "Jacobsen syndrome, also known as Down syndrome", 0),
        (["Jacobsen syndrome"], "syndrome", None),
        (["Hepatitis A"], "hepatitis", 1),
        (["Hepatitis A"], "hepatitis B", 0),
        (["Ullrich congenital muscular dystrophy 1B"], "Ullrich congenital muscular dystrophy 1A", 0),
        (["Type 2 diabetes mellitus"], "Type 1 diabetes mellitus", 0),
        (["Type 2 diabetes mellitus"], "Diabetes mellitus type 2", 2),
        (["Type 2 diabetes mellitus"], "T2DM", None),
    ],
)  # fmt: skip
def test_names(answers, answer, expected):
    assert level(answer, *answers) == expected


def test_empty_and_copied_answers_are_wrong():
    question = (
        "A 21-year-old man complains of fever and pain in the right knee. What is the most likely diagnosis?"
    )
    assert level("", "gout") == 0
    assert level(" . ", "gout") == 0
    assert level("\u200b\u200b", "gout") == 0
    assert level(question, "gout", question=question) == 0
    assert level(question[:80], "gout", question=question) == 0


def test_vocabulary_adds_synonyms():
    vocabulary = Vocabulary([Entry("Myocardial infarction", ("heart attack", "MI")), Entry("Stroke")])
    sample = Sample(id="1", question="?", response="", answers=("myocardial infarction",))
    assert verify("Heart attacks", sample) is None
    assert verify("Heart attacks", sample, vocabulary).level == 2
    assert verify("heart attack or stroke", sample, vocabulary).level == 0
    assert verify("stroke", sample, vocabulary) is None


def test_long_answers_are_wrong_unless_the_accepted_answer_is_long():
    dump = "gout " * 250_000
    assert level(dump, "gout") == 0
    prose = "Gout is a form of arthritis. " * 200
    assert len(prose) > MAX_CHARS
    assert level(prose, prose) == 2


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["gout", "yes", "Syndrome, X", "急性心肌梗死"]))
def test_verify_is_total_and_deterministic(answer, gold):
    assert level(answer, gold) == level(answer, gold)
    assert level(answer, "Ceftriaxone", options=DRUGS) in (None, 0, 2)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(["gout", "sepsis", "lupus", "asthma"]), min_size=2, max_size=4, unique=True),
    st.sampled_from([" or ", ", ", "; ", " and ", "/", "\n", " / ", " vs ", "、"]),
)  # fmt: skip
def test_a_list_of_different_names_is_never_right(names, separator):
    assert level(separator.join(names), "gout") in (None, 0)
    assert "gout" not in names or level(separator.join(names), "gout") == 0


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from("ABCD"), min_size=1, max_size=4, unique=True),
    st.sampled_from([", ", " or ", "/", " "]),
)
def test_letters_are_right_only_alone(letters, separator):
    expected = 2 if letters == ["C"] else 0
    assert level(separator.join(letters), "Ceftriaxone", options=DRUGS) == expected


JOINTS = {"A": "Septic arthritis", "B": "Pseudogout", "C": "Gout", "D": "Rheumatoid arthritis"}


def joint_level(answer, options):
    sample = Sample(id="", question="Which joint disease?", response="", answers=("Gout",), options=options)
    verdict = verify(answer, sample)
    return verdict and verdict.level


@pytest.mark.parametrize("options", [None, JOINTS])
@pytest.mark.parametrize(
    "answer",
    [
        "Gout because septic arthritis is also present",
        "Gout since the answer is pseudogout",
        "Gout, not just gout but pseudogout",
        "Gout, not only gout",
        "Gout, not gout",
        "Gout instead of gout",
        "Gout rather than sepsis, because the diagnosis is pseudogout",
    ],
)
def test_a_tail_that_names_another_answer_is_not_right_by_rule(answer, options):
    assert joint_level(answer, options) != 2


@pytest.mark.parametrize(
    "answer",
    [
        "C because B is also right",
        "C because B is right",
        "C, because B is right",
        "C, not D but B",
        "C. Gout, because B",
        "C. Gout, not A because B fits",
        "C because of the pseudogout",
        "C. Gout because it is septic arthritis",
        "Gout because it is pseudogout",
        "Gout, since the answer is B",
    ],
)
def test_a_tail_that_names_another_option_is_not_right_by_rule(answer):
    assert joint_level(answer, JOINTS) != 2


@pytest.mark.parametrize(
    "answer",
    [
        "Gout because of the urate crystals",
        "Gout because only urate forms such crystals",
        "Gout, not pseudogout",
        "Gout, not pseudogout or septic arthritis",
        "Gout rather than pseudogout because the crystals are needles",
        "C because the crystals are birefringent",
        "C because vitamin D and B cells do not matter",
        "C because pseudogout is excluded",
        "C. Gout, because B is wrong",
        "C, not B",
    ],
)
def test_a_reason_or_an_exclusion_stays_right(answer):
    assert joint_level(answer, JOINTS) == 2


@pytest.mark.parametrize(
    "answer", ["Hepatitis A, not B", "Hepatitis A because hepatitis B and C are excluded"]
)
def test_letters_in_a_reason_say_nothing_where_there_are_no_options(answer):
    verdict = verify(answer, Sample(id="", question="", response="", answers=("Hepatitis A",)))
    assert verdict and verdict.level == 2


def test_a_name_that_holds_a_contrast_is_the_answer():
    name = "Seizures, not just febrile but also others"
    verdict = verify(name, Sample(id="", question="", response="", answers=(name,)))
    assert verdict and verdict.level == 2


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Yes, but no", False),
        ("Yes, because no", False),
        ("Yes, however, no", False),
        ("Yes. Actually no", False),
        ("A, but no", False),
        ("A because no", False),
        ("Yes since the answer is no", False),
        ("Yes because it is no", False),
        ("Yes, not no", True),
        ("Yes, because no difference was seen", True),
        ("Yes, but no difference was found in children", True),
        ("A, because counselling helped", True),
    ],
)
def test_yes_then_no_is_not_right_by_rule(answer, right):
    options = {"A": "yes", "B": "no", "C": "maybe"}
    verdict = verify(answer, Sample(id="", question="", response="", answers=("yes",), options=options))
    assert (verdict is not None and verdict.level == 2) == right
