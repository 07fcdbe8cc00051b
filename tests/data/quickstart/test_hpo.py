"""Reading HPO's own file formats, on a small folder written here and on the installed release."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medr3_plugin.data.quickstart import build, corpora, disease_names, hpo
from medr3_plugin.errors import UserError
from medr3_plugin.text import bare_words

OBO = """format-version: 1.2
data-version: hp/releases/2025-01-16

[Term]
id: HP:0000118
name: Phenotypic abnormality

[Term]
id: HP:0000006
name: Autosomal dominant inheritance

[Term]
id: HP:0001945
name: Fever
synonym: "Pyrexia" EXACT []
synonym: "Hot \\"to the\\" touch" EXACT layperson [ORCID:1]
synonym: "Heat" BROAD layperson []
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:0012735
name: Cough
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:0009999
name: obsolete Thing
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""
HEADER = "database_id disease_name qualifier hpo_id reference evidence onset frequency sex modifier aspect biocuration"
ROWS = [
    ("OMIM:1", "ALPHA DISEASE, FAMILIAL", "", "HP:0001945", "PMID:1", "3/4", "P"),
    ("OMIM:1", "ALPHA DISEASE, FAMILIAL", "", "HP:0001945", "PMID:2", "1/4", "P"),
    ("OMIM:1", "ALPHA DISEASE, FAMILIAL", "", "HP:0012735", "PMID:2", "HP:0040283", "P"),
    ("OMIM:1", "ALPHA DISEASE, FAMILIAL", "NOT", "HP:0000118", "PMID:2", "", "P"),
    ("OMIM:1", "ALPHA DISEASE, FAMILIAL", "", "HP:0000006", "OMIM:1", "", "I"),
    ("OMIM:2", "Beta syndrome", "", "HP:0012735", "PMID:3", "0/7", "P"),
    ("OMIM:2", "Beta syndrome", "", "HP:0009999", "PMID:3", "", "P"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hp.obo").write_text(OBO, encoding="utf-8")
    lines = ["#version: 2025-01-16", "\t".join(HEADER.split())]
    for disease, name, qualifier, term, reference, frequency, aspect in ROWS:
        lines.append(
            "\t".join([disease, name, qualifier, term, reference, "PCS", "", frequency, "", "", aspect, "x"])
        )
    (tmp_path / "phenotype.hpoa").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def test_terms_and_annotations(folder):
    ontology = hpo.load(folder)
    assert ontology.version == "2025-01-16" and set(ontology.diseases) == {"OMIM:1", "OMIM:2"}
    fever = ontology.terms["HP:0001945"]
    assert fever.layperson_words == ('Hot "to the" touch',)
    assert "HP:0009999" not in ontology.terms
    alpha, beta = ontology.diseases["OMIM:1"], ontology.diseases["OMIM:2"]
    assert alpha.signs == {"HP:0001945": 0.75, "HP:0012735": 0.17}
    assert alpha.excluded == {"HP:0000118"} and alpha.inheritance == ["HP:0000006"]
    assert beta.signs == {} and beta.excluded == {"HP:0012735"}
    assert ontology.characteristic_signs(alpha)[0] == "HP:0001945"


def test_profile_of_the_small_folder(folder):
    (row,) = corpora.hpo_profiles(folder)  # Beta has too few annotations
    assert (row["title"], row["official_name"]) == ("Alpha disease, familial", "ALPHA DISEASE, FAMILIAL")
    assert row["summary"] == "Signs: fever, cough."
    assert row["text"] == "Signs: fever, cough. Inheritance: autosomal dominant inheritance."


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("3/4", 0.75),
        ("45%", 0.45),
        ("HP:0040280", 1.0),
        ("", None),
        ("0/3", 0.0),
        ("1/0", None),
        ("often", None),
    ],
)
def test_frequency(text, share):
    assert hpo.frequency(text) == share


def test_missing_files_and_columns(tmp_path, folder):
    with pytest.raises(UserError, match=r"hp\.obo"):
        hpo.load(tmp_path / "nowhere")
    (folder / "phenotype.hpoa").write_text("database_id\tdisease_name\n")
    with pytest.raises(UserError, match="'aspect'"):
        hpo.read_annotations(folder / "phenotype.hpoa", {})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "Ciliary dyskinesia, primary, 29",
            ["Ciliary dyskinesia, primary, 29", "Primary ciliary dyskinesia 29"],
        ),
        ("CHOLANGIOCARCINOMA", ["Cholangiocarcinoma"]),
        ("Marfan syndrome", ["Marfan syndrome"]),
        ("Hepatic adenomas, familial", ["Hepatic adenomas, familial", "Familial hepatic adenomas"]),
    ],
)
def test_aliases(name, expected):
    assert disease_names.aliases(name) == expected


@pytest.mark.parametrize(
    "other", ["Noonan syndrome 2", "Noonan syndrome, type III", "NOONAN SYNDROME 14", "Noonan syndrome"]
)
def test_family_joins_numbered_siblings(other):
    assert disease_names.family(other) == disease_names.family("Noonan syndrome")


def test_family_keeps_different_diseases_apart():
    assert disease_names.family("Alpha-mannosidosis") != disease_names.family("Beta-mannosidosis")
    assert disease_names.family("Spastic paraplegia 23") != disease_names.family("Spastic ataxia 3")


@given(st.text(max_size=60))
def test_name_functions_are_total(name):
    assert disease_names.aliases(name)
    assert isinstance(disease_names.family(name), str)
    assert bare_words(bare_words(name)) == bare_words(name)
    if disease_names.is_readable(name):
        assert re.search("[a-z]", name) and "," not in name


def test_vocabulary_rows(folder):
    rows = {row["name"]: row for row in build.vocabulary(hpo.load(folder))}
    assert rows["Fever"] == {
        "id": "HP:0001945",
        "name": "Fever",
        "synonyms": ["Pyrexia", 'Hot "to the" touch'],
        "kind": "phenotype",
    }
    assert rows["Alpha disease, familial"]["synonyms"] == ["Familial alpha disease"]
    assert rows["Alpha disease, familial"]["kind"] == "disease"


def test_guideline_sections_from_markdown(tmp_path):
    page = (
        "# Page — 2020\n\n## 1. First\n- **Bold:** text\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n---\n\n"
        "## Empty\n\n### Sub\nSee [this](http://x).\n"
    )
    assert list(corpora.markdown_sections(page)) == [
        ("Page — 2020 - First", "Bold: text a; b 1; 2"),
        ("Page — 2020 - Sub", "See this."),
    ]
    (tmp_path / "content/g1").mkdir(parents=True)
    (tmp_path / "content/g1/s.md").write_text(page)
    (tmp_path / "registry.json").write_text(
        '[{"id": "g1", "title": "G", "organization": "O", "year": 2020, "doi": "10.1/x", "sections": ["s"]}]'
    )
    rows = list(corpora.guideline_sections(tmp_path))
    assert [row["id"] for row in rows] == ["guideline:g1/s#first", "guideline:g1/s#sub"]
    assert rows[0]["year"] == 2020 and rows[0]["evidence_type"] == "guideline"
    (tmp_path / "content/g1/s.md").unlink()
    with pytest.raises(UserError, match=r"g1/s\.md"):
        list(corpora.guideline_sections(tmp_path))
