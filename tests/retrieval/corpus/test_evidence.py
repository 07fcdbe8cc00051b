from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from medr3_plugin.retrieval.corpus import evidence
from medr3_plugin.retrieval.corpus.evidence import LEVELS, assess, from_publication_types, normalise_type
from medr3_plugin.retrieval.corpus.evidence_rules import classify

RCT = "Methods: 120 patients were randomly assigned to aspirin or placebo. Results: no difference."


def test_the_hierarchy():
    order = [
        "meta_analysis", "systematic_review", "guideline", "rct", "non_randomised_trial", "cohort", "case_series",
        "case_report", "expert_opinion",
    ]  # fmt: skip
    assert [LEVELS[name] for name in order] == list(range(9, 0, -1))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"evidence_level": 4, "evidence_type": "rct", "text": RCT}, ("rct", 4, "column")),
        ({"evidence_type": "guideline", "text": RCT}, ("guideline", 7, "source")),
        ({"evidence_type": "Randomized Controlled Trial", "text": "x"}, ("rct", 6, "source")),
        ({"evidence_type": "blog", "text": RCT}, ("rct", 6, "rule")),
        (
            {"publication_types": ["Journal Article", "Meta-Analysis"], "text": RCT},
            ("meta_analysis", 9, "publication_type"),
        ),
        (
            {"publication_types": "Review; Systematic Review", "text": RCT},
            ("systematic_review", 8, "publication_type"),
        ),
        (
            {"publication_types": ["Clinical Trial, Phase III"], "text": "x"},
            ("non_randomised_trial", 5, "publication_type"),
        ),
        (
            {"publication_types": ["Randomized Controlled Trial, Veterinary"], "text": "The sky."},
            ("other", 1, "none"),
        ),
        # PubMed's names in our column, and those that tell nothing
        ({"evidence_type": "Observational Study", "text": RCT}, ("cohort", 4, "source")),
        ({"evidence_type": "Clinical Trial, Phase II", "text": RCT}, ("non_randomised_trial", 5, "source")),
        ({"evidence_type": "Journal Article", "text": RCT}, ("rct", 6, "rule")),
        ({"evidence_type": "N/A", "text": RCT}, ("rct", 6, "rule")),
        ({"text": RCT}, ("rct", 6, "rule")),
        ({"evidence_type": "unspecified", "text": RCT}, ("rct", 6, "rule")),
        # a guessed type gives way to our rules, and counts where they find nothing
        ({"evidence_type": "review", "evidence_type_method": "rule", "text": RCT}, ("rct", 6, "rule")),
        (
            {"evidence_type": "cohort", "evidence_type_method": "rule", "text": "The sky."},
            ("cohort", 4, "rule"),
        ),
        ({"text": "The sky is blue."}, ("other", 1, "none")),
    ],
)
def test_where_the_level_comes_from(row, expected):
    found = assess(row)
    assert (found.type, found.level, found.method) == expected


def test_how_a_level_was_found_survives_being_read_again():
    row = {"text": RCT, "evidence_type": "other", "evidence_level": 1}
    assert assess({**row, "evidence_type_method": "none"}).method == "none"
    assert assess({**row, "evidence_type_method": ["odd"]}).method == "column"
    assert assess(row).method == "column"


@pytest.mark.parametrize("stated", ["banana", "Level 1a", "Ib"])
def test_a_type_that_is_none_is_named_and_tells_no_level(stated):
    assert evidence.is_unknown(stated)
    found = assess({"text": RCT, "evidence_type": stated})
    assert (found.type, found.method) == ("rct", "rule")
    assert assess({"text": "x", "evidence_type": stated}).method == "none"
    assert assess({"text": "x", "evidence_type": stated, "evidence_level": 8}).level == 8


@pytest.mark.parametrize("stated", ["", "article", "Journal Article", "RCT", "randomised controlled trials"])
def test_types_that_say_nothing_and_known_types_are_not_unknown(stated):
    assert not evidence.is_unknown(stated)


@pytest.mark.parametrize(
    ("title", "text", "kind"),
    [
        ("Statins in the elderly: a meta-analysis", "", "meta_analysis"),
        ("Exercise for falls: a systematic review of randomised trials", "", "systematic_review"),
        ("Atrial fibrillation", "We searched MEDLINE and Embase for trials.", "systematic_review"),
        ("Clinical practice guideline for the treatment of gout", "", "guideline"),
        ("Rate control in atrial fibrillation, ACC/AHA 2023", "Target below 110 bpm.", "guideline"),
        ("Aspirin in pregnancy: a randomised, double-blind trial", "", "rct"),
        ("Aspirin", "Women were randomly allocated to aspirin.", "rct"),
        ("Aspirin", "In this non-randomized trial, 20 patients received aspirin.", "non_randomised_trial"),
        ("Smoking", "We followed a cohort of 2,000 women for ten years.", "cohort"),
        ("Smoking", "A retrospective chart review of our patients.", "cohort"),
        ("Smoking and bladder cancer: a case-control study", "", "case_control"),
        ("Anxiety in students", "A cross-sectional study of 300 students; we asked.", "cross_sectional"),
        ("Fatal hepatitis after kava: a case report", "", "case_report"),
        ("Kava", "We report a patient with hepatitis after kava.", "case_report"),
        ("Thrombolysis in mice", "Mice were randomly assigned to alteplase.", "animal_or_in_vitro"),
        (
            "p53 signalling",
            "In vitro, transgenic cell lines; results in mice and mouse models.",
            "animal_or_in_vitro",
        ),
        ("What is gout?", "Gout is a painful disease of the joints.", None),
    ],
)
def test_designs_by_rule(title, text, kind):
    assert classify(title, text) == kind


@pytest.mark.parametrize("text", ["", "a" * 100_000, "randomi" * 20_000, "we " * 50_000, "case " * 50_000])
def test_any_text_is_classified_in_linear_time(text):
    assert classify(text, text) in {None, *LEVELS}


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("", "No randomized controlled trials exist; we report two patients."),
        ("", "No randomized prospective trials have assessed this. Methods: a retrospective cohort."),
        (
            "",
            "Larger, randomized, placebo-controlled trials are warranted. We report a retrospective cohort.",
        ),
        ("", "Future randomized studies should evaluate this. We reviewed charts. Results: none."),
        ("", "There is a need for well-designed randomized controlled trials. Conclusion: unclear."),
        ("", "Evidence from randomised trials is lacking. Results of this cohort are given."),
        ("", "Two-sample Mendelian randomization. Results: we found an association."),
        ("Mendelian randomisation study of lipids", ""),
        ("Editorial", "Randomized trials are needed."),
        ("Editorial: a randomised controlled trial of statins", ""),
        ("Comment on: a meta-analysis of statins", ""),
        ("Protocol for a systematic review and meta-analysis of statins", "We will search PubMed."),
        ("Statins in gout: study protocol for a randomised controlled trial", "Patients will be randomised."),
        ("Rationale and design of the GOUT trial", "A double-blind trial."),
        ("", "We will search PubMed and Embase. Ethics and dissemination: none. Methods: a meta-analysis."),
        ("孟德尔随机化研究血脂与冠心病", ""),
        ("血脂与冠心病：两样本孟德尔随机化分析", "采用孟德尔随机化分析两组数据"),
        ("", "目前缺乏随机对照试验。我们回顾性分析了50例患者"),
        ("", "尚需大样本、多中心的随机对照研究进一步证实，本研究为回顾性"),
        ("某药治疗糖尿病的系统评价方案", "拟检索PubMed"),
        ("某药治疗糖尿病的随机对照试验研究方案", ""),
    ],
)
def test_what_reports_no_trial_is_no_trial(title, text):
    assert assess({"title": title, "text": text}).level <= LEVELS["cohort"]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("", f"No randomized trials had been done before. {RCT}"),
        ("", f"Further randomized trials are needed. {RCT}"),
        ("", f"Mendelian randomization suggests a benefit. {RCT}"),
        ("", "In this randomized trial patients were required to fast. Results: no difference."),
        ("Effect of a weaning protocol: a randomized controlled trial", ""),
        ("", "In a randomized-controlled clinical study we compared two scalers."),
        ("", "Subjects were randomly and equally divided into two groups. Results: no difference."),
        ("不同治疗方案治疗糖尿病的随机对照研究", ""),
        ("", "既往缺乏随机对照试验。将120例患者随机分为两组"),
    ],
)
def test_a_trial_that_speaks_of_others_is_a_trial(title, text):
    assert assess({"title": title, "text": text}).type == "rct"
    assert assess({"title": "糖尿病诊疗方案（2020年版）", "text": ""}).type == "guideline"


def test_every_rule_names_a_known_type():
    from medr3_plugin.retrieval.corpus import evidence_rules

    assert {rule.kind for rule in (*evidence_rules._TITLE, *evidence_rules._ABSTRACT)} <= LEVELS.keys()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Meta-Analyses", "meta_analysis"),
        ("meta analysis", "meta_analysis"),
        ("Systematic Reviews", "systematic_review"),
        ("Evidence-based practice guidelines", "guideline"),
        ("Guidelines", "guideline"),
        ("RCTs", "rct"),
        ("Randomised Controlled Trials", "rct"),
        ("non-randomised trials", "non_randomised_trial"),
        ("Cohort studies", "cohort"),
        ("Prospective study", "cohort"),
        ("Case-control study", "case_control"),
        ("Cross-sectional studies", "cross_sectional"),
        ("Case Series", "case_series"),
        ("Case reports", "case_report"),
        ("Expert opinions", "expert_opinion"),
        ("Editorial", "expert_opinion"),
        ("Diagnosis", "diagnosis"),
        ("blogs", "blogs"),
        ("", ""),
        ("研究", "研究"),
        ("N/A", "n_a"),
        *((name, name) for name in LEVELS),
    ],
)
def test_names_of_types(name, kind):
    assert normalise_type(name) == kind


def test_publication_types_and_names():
    assert from_publication_types(["Journal Article"]) is None
    assert from_publication_types("Randomized Controlled Trial|Review") == "rct"
    assert normalise_type("Case Reports") == "case_report"


def test_rules_on_documents_of_known_type():
    shared = Path(os.environ.get("MEDR3_SHARED", Path(__file__).parents[4] / "shared")) / "data" / "corpus"
    if not shared.is_dir():
        pytest.skip("needs the development corpora")
    found: dict[str, Counter] = {}
    for name in ("pmc_rct_abstracts_train", "guideline_summaries", "hpoa_disease_profiles"):
        with gzip.open(shared / f"{name}.jsonl.gz", "rt") as lines:
            known = [row for row in map(json.loads, lines) if row["evidence_type_method"] == "source"][::5]
        found[name] = Counter(classify(row["title"], row["text"]) for row in known)
    assert found["pmc_rct_abstracts_train"]["rct"] >= 0.8 * found["pmc_rct_abstracts_train"].total()
    assert found["guideline_summaries"]["guideline"] >= 0.95 * found["guideline_summaries"].total()
    high = sum(found["hpoa_disease_profiles"][kind] for kind in LEVELS if LEVELS[kind] > 1)
    assert high <= 0.01 * found["hpoa_disease_profiles"].total()


@pytest.mark.parametrize(
    ("title", "text", "kind"),
    [
        ("二甲双胍治疗多囊卵巢综合征疗效的Meta分析", "", "meta_analysis"),
        ("针刺治疗偏头痛随机对照试验的系统评价与 Meta 分析", "", "meta_analysis"),
        ("他汀類藥物對骨折風險影響的薈萃分析", "", "meta_analysis"),
        ("中药治疗肠易激综合征的系统评价", "", "systematic_review"),
        ("運動預防老年人跌倒之系統性文獻回顧", "", "systematic_review"),
        ("中国高血压防治指南（2018年修订版）", "", "guideline"),
        ("儿童支气管哮喘诊断与防治指南", "", "guideline"),
        ("急性胰腺炎多学科诊治专家共识意见", "", "guideline"),
        ("慢性乙型肝炎防治指南(2022年版)解读", "", "expert_opinion"),
        ("护士对压力性损伤指南依从性的横断面调查", "", "cross_sectional"),
        ("利拉鲁肽治疗肥胖的多中心、随机、双盲、安慰剂对照研究", "", "rct"),
        ("替格瑞洛與氯吡格雷之隨機對照試驗", "", "rct"),
        ("太极拳干预膝骨关节炎的非随机对照研究", "", "non_randomised_trial"),
        ("吸烟与肺癌关系的病例对照研究", "", "case_control"),
        ("肥胖与结直肠癌发病风险的前瞻性队列研究", "", "cohort"),
        ("罕见肝豆状核变性1例报告", "", "case_report"),
        ("以癫痫为首发症状的克雅病一例", "", "case_report"),
        ("川崎病休克综合征11例临床分析", "", "case_series"),
        ("某市社区老年人抑郁患病率调查", "", "cross_sectional"),
        ("糖尿病肾病发病机制的研究进展", "", "review"),
        ("黄芪甲苷对糖尿病大鼠肾脏的保护作用", "60只大鼠随机分为4组。", "animal_or_in_vitro"),
        ("沙库巴曲缬沙坦治疗心力衰竭的疗效", "将80例患者按随机数字表法分为观察组和对照组。", "rct"),
        ("膝关节置换术后康复", "回顾性分析2015年至2019年收治的120例患者。", "cohort"),
        ("误诊分析", "患者，男，45岁，因发热入院。", "case_report"),
        ("维生素D与骨折", "计算机检索PubMed、CNKI数据库，由两名研究者筛选文献。", "systematic_review"),
        ("什么是高血压", "高血压是一种常见的慢性病。", None),
        ("阿司匹林", "We randomly assigned 90 patients to aspirin or placebo. Results: none.", "rct"),
    ],
)
def test_chinese_titles_and_abstracts(title, text, kind):
    assert classify(title, text) == kind


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ("随机对照试验", "rct"),
        ("Meta分析", "meta_analysis"),
        ("指南", "guideline"),
        ("病例报告", "case_report"),
        ("队列研究", "cohort"),
    ],
)
def test_chinese_evidence_types(stated, kind):
    assert normalise_type(stated) == kind
    assert evidence.is_unknown("香蕉")
