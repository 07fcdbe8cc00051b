from __future__ import annotations

import time

import pytest

from medr3_plugin.retrieval.index.analyser import terms
from medr3_plugin.retrieval.index.lexical import LexicalIndex
from medr3_plugin.retrieval.index.lexical_build import build_lexical
from medr3_plugin.retrieval.index.other_names import lettered, other_names


def found(folder, documents: list[str], query: str) -> list[str]:
    build_lexical(documents, folder)
    rows, scores = LexicalIndex(folder).search([query], len(documents))
    return [documents[row] for row, score in zip(rows[0], scores[0], strict=True) if row >= 0 and score > 0]


@pytest.mark.parametrize(
    ("query", "expected", "other"),
    [
        ("EKG", "an ECG at rest", "an EEG at rest"),
        ("A-fib treatment", "treatment of atrial fibrillation", "FIB-4 in the treatment of fibrosis"),
        ("afib", "atrial fibrillation at rest", "ventricular fibrillation at rest"),
        ("v fib", "ventricular fibrillation at rest", "atrial fibrillation at rest"),
        ("FIB-4 below 1", "FIB-4 scores", "atrial fibrillation"),
        ("CHF", "heart failure and diuretics", "renal failure and diuretics"),
        ("HTN", "hypertension and salt", "hypotension and salt"),
        ("DM type 2", "type 2 diabetes", "DM of the skin (dermatomyositis)"),
        ("DM2", "type 2 diabetes", "type 1 diabetes"),
        ("type II DM", "type 2 diabetes", "type 1 diabetes"),
        ("T1DM", "type 1 diabetes", "type 2 diabetes"),
        ("acute MI", "acute myocardial infarction", "acute cerebral infarction"),
        ("hip OA", "osteoarthritis of the hip", "fracture of the hip"),
        ("GORD", "gastro-oesophageal reflux", "vesicoureteral reflux"),
        ("ESRD", "end-stage renal disease", "end-stage liver disease"),
        ("SOB and wheeze", "dyspnoea with wheeze", "a rash with wheeze"),
        ("房颤", "心房颤动的抗凝", "心房黏液瘤的手术"),
        ("慢阻肺", "慢性阻塞性肺疾病", "社区获得性肺炎"),
        ("心衰", "心力衰竭的利尿剂", "心肌炎的治疗"),
        ("COPD吸入", "慢性阻塞性肺疾病的吸入治疗", "胰岛素的吸入"),
        ("SSRIs", "an SSRI or placebo", "an SNRI or placebo"),
        ("utis in women", "UTI of women", "STI of women"),
        ("ACEi in children", "ACE inhibitors in children", "ACE of children"),
        ("PARP inhibitors", "PARPi for ovarian cancer", "PARG for ovarian cancer"),
        ("FVIII deficiency", "deficiency of factor VIII", "deficiency of factor IX"),
        ("factor VIIa", "recombinant FVIIa", "recombinant factor Xa"),
        ("131I", "I-131 for goitre", "I-123 for goitre"),
        ("Tc-99m", "99mTc scan", "18F scan"),
        ("iodine-131", "131I for goitre", "123I for goitre"),
        ("T3 N1 M0", "a T3N1M0 tumour", "a T2N0M0 tumour"),
        ("47XXY", "karyotype 47,XXY", "karyotype 47,XYY"),
        ("HLA-DRB1*15:01", "the allele DRB1*1501", "the allele DRB1*0401"),
        ("NYHA III", "NYHA class 3", "NYHA class 2"),
        ("Gleason score 7", "Gleason 7", "Gleason 9"),
        ("BI-RADS 4", "a BIRADS 4 lesion", "a lesion of grade 4"),
        ("SARS-CoV-2", "SARSCoV2 in wards", "MERS in wards"),
        ("breast feeding", "breastfeeding in Peru", "bottle feeding in Peru"),
        ("breastfeeding", "breast feeding in Peru", "bottle feeding in Peru"),
        ("alpha-fetoprotein", "alphafetoprotein in serum", "alpha globulin in serum"),
        ("glyceryl trinitrate", "nitroglycerin for angina", "isosorbide for angina"),
        ("FIGO IB2", "FIGO stage 1B2 cancer", "FIGO stage 2A1 cancer"),
        ("Forrest Ia ulcer", "Forrest 1a ulcers", "Forrest 3 ulcers"),
        ("Ann Arbor stage IV", "Ann Arbor 4 lymphoma", "Ann Arbor 2 lymphoma"),
        ("Salter-Harris II", "Salter-Harris type 2 fracture", "Salter-Harris type 4 fracture"),
        ("CKD stage 3b", "CKD G3b", "CKD G4"),
        ("CKD G4", "CKD stage 4", "CKD stage 3"),
        ("ECOG PS 2", "ECOG performance status 2", "ECOG performance status 0"),
        ("ASA physical status IV", "ASA 4 patients", "ASA 2 patients"),
        ("TI-RADS 5", "TIRADS 5 nodules", "TIRADS 3 nodules"),
        ("BI-RADS category 4", "BIRADS 4 lesions", "BIRADS 2 lesions"),
        ("stage 1A2", "stage IA2 cancer", "stage IB2 cancer"),
        ("tritium", "an H-3 label", "a C-14 label"),
        ("herpes simplex virus type II", "herpes simplex virus 2", "herpes simplex virus 1"),
        ("MPS I", "MPS 1 (Hurler)", "MPS 2 (Hunter)"),
        ("T4b", "a cT4b tumour", "a cT4a tumour"),
        ("pT2N0", "a pT2 N0 tumour", "a pT3 N1 tumour"),
        ("HPV16", "HPV 16 infection", "HPV 18 infection"),
        ("Apo E4", "APOE4 carriers", "APOE2 carriers"),
        ("25-hydroxyvitamin D", "25-hydroxy vitamin D", "1,25-dihydroxy vitamin D"),
        ("radioiodine", "radio-iodine for Graves", "radio-frequency for Graves"),
        ("Sm-153", "153Sm for pain", "89Sr for pain"),
        ("cesium-137", "137Cs exposure", "60Co exposure"),
        ("CoQ10", "coenzyme Q10 in adults", "coenzyme A in adults"),
        ("CA19.9", "CA 19-9 in serum", "CA 72-4 in serum"),
        ("CA15.3", "CA 15-3 in serum", "CA 19-9 in serum"),
        ("p53", "TP53 in cancer", "TP63 in cancer"),
        ("2nd trimester", "bleeding in the second trimester", "bleeding in the first trimester"),
        ("EKG检查", "行ECG检查", "行EEG检查"),
        ("维他命D", "维生素D缺乏", "维生素A缺乏"),
        ("K+ 6.5", "potassium in serum", "sodium in serum"),
        ("D&C", "dilatation and curettage", "incision and drainage"),
        ("V/Q scan", "a VQ scan", "a PET scan"),
        ("Kienboeck disease", "Kienböck's disease", "Köhler's disease"),
        ("Ösophagus", "Oesophaguskarzinom; Oesophagus", "Magenkarzinom"),
        ("第3脑室", "第三脑室肿瘤", "第四脑室肿瘤"),
        ("T2DM", "type 2 diabetes in adults", "type 1 diabetes in adults"),
        ("warfarin 2.5mg", "warfarin, 2.5 mg", "warfarin 5mg"),
        ("50000 IU", "weekly 50,000 IU", "weekly 5,000 IU"),
        ("MTHFR C677T", "MTHFR 677C>T", "MTHFR 1298A>C"),
        ("1298A>C", "A1298C homozygotes", "C677T homozygotes"),
        ("JAK2 V617F", "JAK2V617F in ten", "JAK2 exon 12 in two patients"),
        ("BRAFV600E", "BRAF V600E was found", "BRAF was normal"),
        ("T2 N0 M0", "a pT2N0M0 tumour", "a pT3N1M0 tumour"),
        ("MenACWY vaccine", "the Men ACWY vaccine", "the Men B vaccine"),
        ("维生素D", "维他命D缺乏", "维他命A缺乏"),
        ("APOE4", "APOE ε4 carriers", "APOE ε2 carriers"),
        ("betablocker", "a beta-blocker after infarction", "a calcium antagonist after infarction"),
        ("vit. K for newborns", "vitamin K at birth", "vitamin D at birth"),
        ("VitB12缺乏", "维生素B12缺乏", "维生素B6缺乏"),
        ("HepC", "hepatitis C in prisons", "hepatitis B in prisons"),
        ("hepatitis B surface antigen", "HBsAg in donors", "HBeAg in donors"),
        ("第九因子", "凝血因子Ⅸ", "凝血因子Ⅷ"),
        ("凝血因子IX缺乏", "第九因子缺乏", "第八因子缺乏"),
        ("B型肝炎", "乙型肝炎疫苗", "甲型肝炎疫苗"),
        ("甲型血友病", "血友病A患者", "血友病B患者"),
        ("A族链球菌", "A组链球菌", "B组链球菌"),
        ("longterm oxygen", "long-term oxygen", "short oxygen"),
        ("TNF-a", "TNF-α in serum", "TNF-β in serum"),
        ("TNF-α", "TNF-a in serum", "TNF-b in serum"),
        ("TNF alpha", "TNF-a in serum", "TNF-b in serum"),
        ("TNFalpha", "TNF-α in serum", "TNF-β in serum"),
        ("IFN-g", "IFN gamma in serum", "IFN alpha in serum"),
        ("ERα", "ER-a in tumours", "ER-b in tumours"),
        ("PKC-d", "PKCδ in rats", "PKCα in rats"),
        ("TGF-b1", "TGF-β1 in fibrosis", "TGF-β3 in fibrosis"),
        ("TGF-β1", "TGF-b1 in fibrosis", "TGF-b3 in fibrosis"),
        ("IL-1b", "IL-1β in serum", "IL-1α in serum"),
        ("GSK3b", "GSK-3β in rats", "GSK-3α in rats"),
        ("IL1β", "IL-1beta in serum", "IL-1alpha in serum"),
        ("IL1B", "IL-1β in serum", "IL-1α in serum"),
        ("IL-1α", "IL1a in serum", "IL1b in serum"),
        ("HIF-1alpha", "HIF-1a in tumours", "HIF-1b in tumours"),
        ("GSK-3b", "GSK-3beta in rats", "GSK-3alpha in rats"),
        ("beta-2 microglobulin", "β2-microglobulin in serum", "β1-globulin in serum"),
    ],
)
def test_another_name_is_found(tmp_path, query, expected, other):
    assert found(tmp_path, [other, expected], query)[0] == expected


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ("a man is seen", "many adults"),
        ("what they supports a", "supportsa"),
        ("a sign or two", "signor"),
    ],
)
def test_a_word_and_a_function_word_are_no_other_word(tmp_path, query, other):
    assert found(tmp_path, [other, "unrelated text"], query) == []


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ("can we rely on it", "adults who were seen"),
        ("a man aged 40", "managed care"),
        ("Usher syndrome type 1E", "diabetes type 1"),
        ("her pes planus", "herpes zoster"),
        ("so dium", "sodium"),
        ("faeces in a bag", "the face of a child"),
        ("what fuelled it", "full blood count"),
        ("shipments", "a ship at sea | some ment"),
        ("factor IX activity", "to fix a fracture"),
        ("1200 mg of amiodarone", "200 beds"),
        ("1000 mg of it", "50,000 units"),
        ("a child 2 years old", "class 2 recommendation"),
        ("aspirin ASA 81", "81 of a class of drugs"),
        ("45X girls", "45 girls"),
        ("Ca 12.5 mg/dl", "CA-125 in serum"),
        ("hepatitis B/C", "BC was measured"),
        ("IL17A in psoriasis", "IL-17 and interferon alpha"),
        ("KDM5A", "KDM and 5-alpha reductase"),
        ("CD11b cells", "CD-11 and beta"),
        ("a FIB-4 of 2", "atrial fibrillation"),
        ("PE of the chest", "pulmonary embolism"),
        ("MI of missing data", "myocardial infarction"),
        ("DM and the skin", "type 2 diabetes"),
    ],
)
def test_what_looks_alike_is_no_other_name(tmp_path, query, other):
    build_lexical([*other.split(" | ") * 12, "faeces, not feces", "fuelled, not fueled"], tmp_path)
    index = LexicalIndex(tmp_path)
    added = {index._vocabulary[term] for term in terms(other) if term in index._vocabulary}
    assert not added & set(index.other_terms(query)) - set(index.terms(query))


def test_a_rarer_name_does_not_come_before_the_own_one(tmp_path):
    often = [f"follow-up of {n} patients" for n in range(9)]
    assert found(tmp_path, ["followup of patients", *often], "follow-up") == often
    assert found(tmp_path, ["an EKG", *["an ECG"] * 9], "ECG") == ["an ECG"] * 9
    assert found(tmp_path, ["the Ia cells", *["type 1A of it"] * 9], "type 1A")[0] == "type 1A of it"
    assert set(found(tmp_path, ["an EKG", *["an ECG"] * 9], "EKG")) == {"an EKG", "an ECG"}


def test_a_roman_numeral_of_a_type_is_its_number(tmp_path):
    documents = ["type 2 diabetes", "diabetes, type II", "phase II, axis II, cranial nerve II", "II"]
    build_lexical([*documents, *["type 1 diabetes"] * 9], tmp_path)
    rows, _ = LexicalIndex(tmp_path).search(["type 2 diabetes", "type II diabetes"], 2)
    assert set(rows[0]) == set(rows[1]) == {0, 1}
    assert (
        found(tmp_path / "factor", ["factor VIII", "factor 8", "factor IX"], "factor VIII")[0]
        == "factor VIII"
    )


def test_an_abbreviation_that_the_documents_explain_is_theirs(tmp_path):
    own = [f"Tuberculous bronchitis (TB), case {n}" for n in range(2)]
    others = ["TB", *["tuberculosis of the lung"] * 20]
    build_lexical([*own, *others], tmp_path)
    index = LexicalIndex(tmp_path)
    assert index._vocabulary["tuberculosi"] not in index.other_terms("TB treatment")
    build_lexical(others, tmp_path / "none")
    index = LexicalIndex(tmp_path / "none")
    assert index._vocabulary["tuberculosi"] in index.other_terms("TB treatment")


@pytest.mark.parametrize("query", ["vitamin A", "hepatitis A", "type A", "HLA-A", "Child-Pugh A", "group B"])
def test_a_letter_is_no_subunit_but_behind_capitals(tmp_path, query):
    documents = [f"{query} in adults", "alpha and beta in adults"]
    assert found(tmp_path, documents, query)[0] == documents[0]
    assert not lettered(query)
    assert not {"alpha", "beta"} & {term for _, other in other_names(query)[0] for term in other}


@pytest.mark.parametrize(
    "query",
    ["TNF-" * 4000, "A" * 16_000, "TNF-α " * 2500, "factor " * 2300, "1.1" * 5000, "IL-6 (IL-6), " * 1200],
)
def test_what_repeats_is_searched_for_quickly(tmp_path, query):
    build_lexical([f"TNF (factor {n}) is 1.1" for n in range(2000)], tmp_path)
    index = LexicalIndex(tmp_path)
    begun = time.process_time()
    index.search([query], 3)
    assert time.process_time() - begun < 0.4
