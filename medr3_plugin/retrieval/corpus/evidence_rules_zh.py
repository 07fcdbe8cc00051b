"""Study design from Chinese titles and abstracts, by patterns; simplified and traditional alike.

The order is that of `evidence_rules`: what the title says, animal and laboratory work, what the abstract says.
"""

# ruff: noqa: E501  (patterns are easier to read, and to check, on one line each)

from __future__ import annotations

import re
from collections.abc import Sequence

_SIMPLIFIED = str.maketrans(
    "統評價綜隨機對照試驗薈萃隊橫斷調臨診療識專議個報傘樣雙單組現問體細動實類臂觀點見規範檢數庫顧縱訪進斑馬魚導讀獻",
    "统评价综随机对照试验荟萃队横断调临诊疗识专议个报伞样双单组现问体细动实类臂观点见规范检数库顾纵访进斑马鱼导读献",
)
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")

Rules = Sequence[tuple[str, re.Pattern[str]]]


def _rules(*pairs: tuple[str, str]) -> Rules:
    return [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in pairs]


_TITLE = _rules(
    # a reading of a guideline, and how well it is kept, are no guidelines
    (
        "expert_opinion",
        "(?:指南|共识).{0,12}(?:解读|导读|述评|评析)|^(?:述评|专家观点|社论|编者按|评论|致编辑)|述评$",
    ),
    # planned, without results; a scheme of treatment (诊疗方案) is something else
    ("other", r"(?:研究|试验|评价|综述|分析|对照)(?:的)?(?:方案|计划书)(?:设计)?\s*(?:$|[:：(（])"),
    ("meta_analysis", r"meta\s*[-—]?\s*(?:分析|回归)|荟萃分析|meta-?analysis"),
    ("systematic_review", "系统(?:性)?(?:文献)?(?:评价|综述|回顾)|伞状(?:评价|综述)"),
    (
        "guideline",
        r"(?:指南|共识|诊疗规范|诊疗方案|推荐意见)(?:声明|意见)?\s*(?:$|[(（〔\[【《》:：,，。;；—-]|(?:19|20)\d\d|第.{1,2}版|更新|要点|制定|概要|摘要)",
    ),
    ("cohort", "孟德尔"),
    ("non_randomised_trial", "非随机|类实验|准实验|单臂"),
    ("rct", r"随机.{0,12}(?:对照|双盲|单盲|三盲|交叉|分组|试验|临床研究)|双盲|安慰剂对照|\bRCT\b"),
    ("case_control", "病例[-—－ ]?对照"),
    (
        "case_series",
        r"病例系列|(?<!\d)(?:[2-9]|[1-9]\d+)\s*例.{0,10}(?:分析|报告|报道|总结|体会)|[二三四五六七八九十两]例",
    ),
    ("case_report", r"(?:病例|个案)(?:报告|报道)|(?<!\d)1\s*例|一例(?![外如])"),
    ("cohort", "队列|前瞻性|回顾性|纵向研究|随访研究"),
    ("cross_sectional", "横断面|(?:现况|现状|问卷|流行病学|患病率)(?:的)?调查|患病率研究"),
    ("review", "综述|研究进展|(?:诊治|诊疗|治疗|临床)进展"),
)
_ABSTRACT = _rules(
    ("other", "本(?:研究)?方案(?:描述|介绍|旨在)|(?:拟|我们将|研究将)(?:检索|纳入)"),
    (
        "meta_analysis",
        r"(?:进行|行|采用|本)\s*meta\s*分析|meta\s*分析(?:结果)?(?:显示|表明)|纳入.{0,40}meta\s*分析|荟萃分析(?:结果)?(?:显示|表明)",
    ),
    (
        "systematic_review",
        "检索.{0,60}(?:PubMed|Embase|Cochrane|MEDLINE|CNKI|知网|万方|维普|数据库)|(?:PubMed|Embase|Cochrane|CNKI|知网|万方|维普).{0,60}检索",
    ),
    ("non_randomised_trial", "非随机|类实验|准实验|单臂"),
    ("rct", r"随机(?:数字表|数表|分为|分成|分入|分配|分至|对照|双盲|抽签|区组|纳入)|随机.{0,6}分.{0,4}组|双盲|安慰剂对照"),
    ("case_report", r"(?:报告|报道|收治|介绍).{0,4}(?<!\d)(?:1|一)\s*例|患[者儿][，,]?\s*[男女][性]?\s*[，,]\s*\d+\s*(?:岁|个?月|天)"),
    ("case_control", "病例[-—－ ]?对照|病例组.{0,80}对照组"),
    ("cohort", "队列|前瞻性|回顾性|随访|孟德尔"),
    ("cross_sectional", "横断面|问卷|现况调查|整群抽样|分层抽样"),
    ("non_randomised_trial", "(?:观察组|治疗组|试验组|干预组|实验组).{0,120}对照组|对照组.{0,120}(?:观察组|治疗组|试验组|干预组|实验组)"),
    ("guideline", "(?:本|该)(?:指南|共识)|推荐(?:强度|等级)"),
    ("review", "综述"),
)  # fmt: skip
_NOT_OWN = re.compile(
    "(?<=孟德尔)随机(?:化)?"
    "|(?:缺乏|缺少|尚无|暂无|并无|没有|未见|未有|需要?|有待|期待|亟待|少有|鲜有|未来|今后|进一步)[^，。；,;]{0,16}?"
    "随机[^，。；,;]{0,8}?(?:试验|研究|证据)"
)
"""Trials that are missing or needed, and the randomisation of genes by nature, are none of the authors'."""
_ANIMAL_OR_LABORATORY = re.compile(
    "大鼠|小鼠|家兔|新西兰兔|豚鼠|斑马鱼|比格犬|动物(?:实验|模型)|体外(?:实验|研究|培养)|细胞系|细胞株"
)
_PEOPLE = re.compile("患者|病人|患儿|受试者|志愿者|孕妇|儿童|老年人|参与者|病例")
CLINICAL = frozenset(
    ("rct", "non_randomised_trial", "cohort", "case_control", "cross_sectional", "case_report", "case_series")
)
"""Designs that are of people unless the text is about animals or the laboratory."""


def is_chinese(text: str) -> bool:
    """Whether a text has a Chinese character."""
    return _HAN.search(text) is not None


def classify(title: str, text: str) -> str | None:
    """The study design, one of the keys of `evidence.LEVELS`; None if nothing tells it."""
    title, text = (_NOT_OWN.sub("", one.translate(_SIMPLIFIED)) for one in (title, text))
    animals = len(_ANIMAL_OR_LABORATORY.findall(f"{title}。{text}"))
    laboratory = animals > len(_PEOPLE.findall(f"{title}。{text}"))
    for kind, pattern in _TITLE:
        if pattern.search(title):
            return "animal_or_in_vitro" if laboratory and kind in CLINICAL else kind
    if laboratory:
        return "animal_or_in_vitro"
    return next((kind for kind, pattern in _ABSTRACT if pattern.search(text)), None)
