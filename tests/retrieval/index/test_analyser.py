# ruff: noqa: SIM905, E501

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from chinese_corpus import CHINESE
from hypothesis import given, settings
from hypothesis import strategies as st

from medr3_plugin.retrieval.index.analyser import STOP_WORDS, terms
from medr3_plugin.retrieval.index.lexical import LexicalIndex
from medr3_plugin.retrieval.index.lexical_build import build_lexical


def best(folder, documents: dict[str, str], query: str) -> str | None:
    build_lexical(documents.values(), folder)
    row = LexicalIndex(folder).search([query], 1)[0][0, 0]
    return list(documents)[row] if row >= 0 else None


@pytest.mark.parametrize(
    ("query", "expected", "others"),
    [
        ("hepatitis C treatment", "hepatitis C", ["autoimmune hepatitis treatment", "hepatitis B treatment"]),
        ("hepatitis A", "infection with the hepatitis A virus", ["a hepatitis of no cause", "hepatitis E"]),
        ("vitamin a deficiency", "deficiency of vitamin A", ["vitamin D deficiency", "a vitamin deficiency"]),
        ("type 1 diabetes", "diabetes mellitus type 1", ["type 2 diabetes", "diabetes type 2, 1 patient"]),
        ("type I diabetes", "type 1 diabetes", ["type II diabetes", "type 2 diabetes"]),
        ("factor X deficiency", "deficiency of factor X", ["factor V deficiency", "factor VIII deficiency"]),
        ("factor 10", "inherited lack of factor X", ["inherited lack of factor IX"]),
        ("grade 3 glioma", "a glioma of grade III", ["grade 2 glioma", "grade 4 glioma"]),
        ("B cell lymphoma", "lymphoma of B cells", ["T cell lymphoma", "cell lymphoma B"]),
        ("HLA-B27", "HLA B27 in spondylitis", ["HLA B51 in vasculitis"]),
        ("IL6", "raised IL-6 in plasma", ["raised IL-10 in plasma", "raised IL-17 in plasma"]),
        ("interleukin 6", "interleukin-6 in plasma", ["interleukin-1 in plasma"]),
        ("CD-4 count", "count of CD4+ cells", ["count of CD8+ cells"]),
        ("covid 19", "a trial in COVID-19", ["a trial in 19 wards"]),
        ("5HT receptors", "receptors of 5-HT", ["receptors of HT"]),
        ("H pylori", "eradication of H. pylori", ["pylori of dogs"]),
        ("vitamin B 12", "vitamin B12 in serum", ["vitamin B6 in serum"]),
        ("hepatitis B and C", "hepatitis B or C, both", ["hepatitis B", "hepatitis E"]),
        ("neurofibromatosis 2", "neurofibromatosis type 2; neurofibromatosis 2", ["neurofibromatosis 1"]),
        ("Sjogren syndrome", "Sjögren’s syndrome", ["Down syndrome"]),
        ("Sjoegren syndrome", "Sjögren syndrome", ["Down syndrome"]),
        ("Henoch-Schoenlein purpura", "Henoch–Schönlein purpura", ["fulminant purpura"]),
        ("Ménière", "Meniere disease", ["Crohn disease"]),
        ("Meniere", unicodedata.normalize("NFD", "Ménière disease"), ["Crohn disease"]),
        ("beta blocker", "a β-blocker", ["a blocker of calcium channels"]),
        ("TNF alpha", "TNF-α in serum", ["TNF-β in serum"]),
        ("interferon gamma", "interferon-γ assay", ["interferon-β assay"]),
        ("NF-kappa B", "activation of NF-κB", ["activation of NF-AT"]),
        ("alpha 1 antitrypsin", "α1-antitrypsin deficiency", ["alpha 2 antiplasmin deficiency"]),
        ("omega-3", "ω-3 fatty acids", ["ω-6 fatty acids"]),
        ("anaemia of oesophageal haemorrhage", "anemia, esophageal hemorrhage", ["oral ulcer"]),
        ("tumor behavior", "behaviour of tumours", ["behest of tutors"]),
        ("hospitalisation of randomised patients", "hospitalization, randomized", ["patients"]),
        ("ｈｅｐａｔｉｔｉｓ　Ｃ", "hepatitis C", ["hepatitis B"]),
        ("CO2 retention", "CO₂ retention", ["urine retention"]),
        ("fibrosis", "ﬁbrosis of the lung", ["cyst of the lung"]),
        ("type II", "type Ⅱ lesions", ["type Ⅰ lesions"]),
        ("25 ug", "25 μg daily", ["25 mg daily"]),
        ("维生素C", "缺乏维生素 C", ["缺乏维生素 D", "维生素缺乏"]),
        ("二型糖尿病", "2型糖尿病", ["1型糖尿病"]),
        ("瘧疾", "疟疾由按蚊传播", ["登革热由伊蚊传播"]),
        ("癌", "肺癌", ["肺炎"]),
        ("糖尿病の治療", "糖尿病の治療について", ["高血圧の治療について"]),
        ("당뇨병", "당뇨병의 치료", ["고혈압의 치료"]),
        ("лечения диабета", "лечение диабета", ["лечение астмы"]),
        ("مرض السكري", "علاج مرض السكري", ["علاج الربو"]),
        ("โรคเบาหวาน", "การรักษาโรคเบาหวาน", ["การรักษาโรคหัวใจ"]),
        ("मधुमेह", "मधुमेह का इलाज", ["दमा का इलाज"]),
        ("διαβητης", "θεραπεία του διαβήτη", ["θεραπεία του άσθματος"]),
    ],
)
def test_what_is_asked_for_comes_first(tmp_path, query, expected, others):
    documents = {other: other for other in others} | {expected: expected}
    assert best(tmp_path, documents, query) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hepatitis is a disease", "hepatitis is disease"),
        ("should I take aspirin", "should take aspirin"),
        ("Crohn's disease", "Crohn disease"),
        ("larvae in toes, does it", "larvae in toes, does it"),
        ("Aspirin™", "aspirin"),
    ],
)
def test_what_means_the_same_has_the_same_terms(one, other):
    assert sorted(terms(one)) == sorted(terms(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("toe", "tea"),
        ("four", "for"),
        ("hour", "her"),
        ("larva", "lava"),
        ("leucine", "leukine"),
        ("disease", "dizzy"),
    ],
)
def test_words_of_different_meaning_stay_apart(one, other):
    assert set(terms(one)).isdisjoint(terms(other))


def test_british_and_american_words_share_a_term():
    pairs = (
        "anaemia anemia oesophagus esophagus haemorrhage hemorrhage oedema edema foetus fetus diarrhoea diarrhea "
        "leukaemia leukemia paediatric pediatric gynaecology gynecology caesarean cesarean aetiology etiology "
        "anaesthesia anesthesia faeces feces oestrogen estrogen coeliac celiac apnoea apnea analysed analyzed "
        "paralysed paralyzed tumours tumors labour labor fibre fiber millilitre milliliter centres centers titre titer "
        "goitre goiter manoeuvre maneuver labelled labeled signalling signaling enrolment enrollment defence defense "
        "sulphonamide sulfonamide catalogue catalog analogues analogs leucocyte leukocyte phaeochromocytoma "
        "pheochromocytoma paraesthesia paresthesia ischaemia ischemia septicaemia septicemia haem heme ageing aging "
        "neurone neuron sterilise sterilize catheterisation catheterization gonorrhoea gonorrhea naevus nevus "
        "myxoedema myxedema dialysed dialyzed immunisations immunizations odour odor grey gray"
    ).split()
    assert [
        pair
        for pair in zip(pairs[::2], pairs[1::2], strict=True)
        if set(terms(pair[0])).isdisjoint(terms(pair[1]))
    ] == []


@pytest.mark.parametrize(
    "forms",
    [
        "preeclampsia|pre-eclampsia|pre eclampsia|Pre‐eclampsia",
        "non-steroidal|nonsteroidal|non steroidal",
        "anti-PD1|antiPD1|anti PD1",
        "HER2|HER-2|HER 2|HER-2/neu",
        "PD-L1|PDL1|PD‑L1",
        "COVID19|COVID-19|COVID 19",
        "CYP3A4|CYP 3A4|CYP-3A4|cytochrome P450 3A4",
        "IL17A|IL-17A|IL 17A",
        "CA125|CA-125|CA 125",
        "MODY3|MODY 3|MODY-3",
        "SGLT2i|SGLT2 inhibitors|SGLT-2 inhibitor",
        "BRAF p.Val600Glu|V600E|p.V600E",
        "HLA-B*57:01|HLA-B*5701|HLA-B5701",
        "HTLV-1|HTLV-I",
        "CIN 3|CIN III|CIN-III",
        "angiotensin 2|Angiotensin II",
        "stage IIIB|stage 3b",
        "E11.9|ICD-10: E11.9",
        "22q11.2 deletion|22q11.2DS",
        "500 mg|500mg",
        "TGF-β1|TGFB1|TGF-ß1|TGF-beta1",
        "IFNγ|IFNg|interferon gamma",
        "β-hCG|βhCG|beta-hCG",
        "10⁹/L|10^9/L",
        "HbA1c|A1C|haemoglobin A1c",
        "vitamin D|vit D|vitamin-D",
        "hepatitis C|hep C",
        "metastasis|metastases",
        "diagnosis|diagnoses",
        "embolus|emboli",
        "bacterium|bacteria",
        "arthritis|arthritides",
        "paracetamol|acetaminophen",
        "adrenaline|epinephrine",
        "PD-1抑制剂|PD1抑制劑|ＰＤ－１ 抑制剂",
        "t(8;14)(q24;q32)|t（8；14）|T(8, 14)",
        "del(5q)|5q- syndrome|5q-综合征",
        "0.9 % saline|0.90% NaCl|0.9％氯化钠",
        "5% dextrose|dextrose 5 %|5 per cent",
        "10^6 CFU|10⁶/mL|10(6) cells",
        "Ca2+|Ca++|Ca²⁺内流",
        "K+|the K⁺ channel",
        "H&E|H & E stain|H＆E染色",
        "1,25-(OH)2 vitamin D|1,25(OH)2D3|1,25-dihydroxyvitamin D",
        "25(OH)D|25-OH vitamin D|25-hydroxyvitamin D|25羟维生素D",
        "Gleason 3+4|3+4=7",
        "a 2/6 murmur|2/6级杂音",
        "Lp(a)|lipoprotein(a)|lipoprotein (a)",
        "凝血因子八|凝血因子Ⅷ|凝血因子8",
        "第七对脑神经|第Ⅶ对脑神经|第7对脑神经",
        "гепатит С|гепатита C|лечение гепатита с",
    ],
)
def test_forms_of_one_name_share_a_term(forms):
    assert set.intersection(*(set(terms(form)) for form in forms.split("|")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HER-2", "her 2 children"),
        ("inhaled NO", "there is no cough"),
        ("AS and uveitis", "as in uveitis of dogs"),
        ("E11.9", "J45.9"),
        ("CYP2C19*2", "CYP2C19*17"),
        ("BRAF V600E", "KRAS G12C 600 mg"),
        ("via", "6a"),
        ("t(8;14)", "t(14;18)"),
        ("0.9%", "0.45%, 9%, 10.9% and 0.9.1"),
        ("D&C", "D&E"),
        ("3+4", "4+3"),
        ("-2.5", "-1.5, 5 and 25"),
        ("25-OH", "1,25-(OH)2"),
        ("Na+", "Ca2+ K+"),
        ("витамин Д", "витамин А"),
        ("فيتامين د", "فيتامين ج"),
    ],
)
def test_names_of_different_things_have_terms_of_their_own(one, other):
    assert set(terms(one)) - set(terms(other))
    assert set(terms(one)) & set(terms(other)) <= {
        "uveiti",
        "cyp2c19",
        "cyp",
        "2c19",
        "her",
        "14",
        "25",
        "oh",
        "витамин",
        "يتام",
    }


def test_figures_do_not_make_a_document_longer(tmp_path):
    plain = "asthma improved in wards"
    build_lexical([plain, f"{plain}, 0.9 %, 7 %, 5 %"], tmp_path)
    scores = LexicalIndex(tmp_path).search(["asthma"], 2)[1][0]
    assert scores[1] == scores[0]
    assert LexicalIndex(tmp_path).search(["0.9% asthma"], 1)[0][0, 0] == 1


def test_capitals_of_a_whole_line_are_no_abbreviations():
    assert terms("NO") == ["NO"]
    assert "NO" in terms("the role of NO in asthma")
    assert "NO" not in terms("THE ROLE OF NO IN ASTHMA")
    assert "NO" not in terms("THE ROLE OF NO IN ASTHMA. Nothing is known.")


def test_the_chinese_set(tmp_path):
    build_lexical([document for _, document, _ in CHINESE], tmp_path)
    found = LexicalIndex(tmp_path).search([question for _, _, question in CHINESE], 1)[0][:, 0]
    right = sum(int(row == number) for number, row in enumerate(found))
    assert len(CHINESE) >= 60
    assert right / len(CHINESE) >= 0.95


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_any_text_has_terms_that_can_be_stored(text):
    found = terms(text)
    assert all(found)
    assert "".join(found).encode().decode() == "".join(found)
    # whatever holds a letter is found by something
    letters = [c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) == "Lo"]
    assert found or len(letters) < 2 or " " in text or not text.isalpha()


def test_stop_words_are_lucenes():
    stopwords = pytest.importorskip("bm25s.stopwords")
    assert frozenset(stopwords.STOPWORDS_EN) == STOP_WORDS


def test_english_needs_no_chinese_tables():
    code = "import sys; from medr3_plugin.retrieval.index.analyser import terms; terms('Sjögren β-blocker'); print('opencc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
