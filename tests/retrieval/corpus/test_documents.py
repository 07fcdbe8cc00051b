from __future__ import annotations

import csv
import gzip
import json
import math
import sys
from types import SimpleNamespace

import pytest
from index_helpers import rows, write_jsonl

from medr3_plugin.errors import RowError, UserError
from medr3_plugin.retrieval.corpus.documents import BadRows, read_corpus


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("row", "field", "says"),
    [
        ({"text": "x"}, "id", "non-empty string"),
        ({"id": "  ", "text": "x"}, "id", "non-empty string"),
        ({"id": ["a"], "text": "x"}, "id", "non-empty string"),
        ({"id": "a"}, "text", "missing"),
        ({"id": "a", "text": " "}, "text", "empty"),
        ({"id": "a", "text": None}, "text", "empty"),
        ({"id": "a", "text": 5}, "text", "expected a string"),
        ({"id": "a", "text": "x", "title": 5}, "title", "expected a string"),
        ({"id": "a", "text": "x \ud800"}, "text", "surrogate"),
        ({"id": "a", "text": "x", "note": "\udfff"}, "note", "surrogate"),
        ({"id": "a", "text": "x", "year": "last"}, "year", "whole number"),
        ({"id": "a", "text": "x", "year": "--5"}, "year", "whole number"),
        ({"id": "a", "text": "x", "year": "5" * 5000}, "year", "whole number"),
        ({"id": "a", "text": "x", "year": math.inf}, "year", "whole number"),
        ({"id": "a", "text": "x", "impact": math.inf}, "impact", "infinity"),
        ({"id": "a", "text": "x", "impact": [1, math.nan]}, "impact", "NaN"),
        ({"id": "a", "text": "x", "impact": {"n": [10**400]}}, "impact", "64 bits"),
        ({"id": "a", "text": "x", "impact": 2**64}, "impact", "64 bits"),
        ({"id": "a", "text": "x", "\udfff": 1}, "\\udfff", "surrogate"),
        ({"id": "a", "text": "x", "notes": ["\udfff"]}, "notes", "surrogate"),
        ({"id": "a", "text": "x", "notes": nested(500)}, "notes", "nested deeper than 64"),
        ({"id": "a", "text": "x", "publication_types": 5}, "publication_types", "list of strings"),
        ({"id": "a", "text": "x", "year": True}, "year", "whole number"),
        ({"id": "a", "text": "x", "evidence_level": 10}, "evidence_level", "1 to 9"),
        ({"id": "a", "text": "x", "evidence_level": 2.5}, "evidence_level", "1 to 9"),
        ({"id": "a", "text": "x", "evidence_type": 3}, "evidence_type", "expected a string"),
    ],
)
def test_a_wrong_row_names_file_line_and_field(tmp_path, row, field, says):
    path = write_jsonl(tmp_path / "c.jsonl", [{"id": "good", "text": "x"}, row])
    with pytest.raises(RowError) as caught:
        list(read_corpus(path))
    message = str(caught.value)
    assert f"{path}:2" in message and f"'{field}'" in message and says in message
    bad = BadRows()
    assert [document.id for document in read_corpus(path, bad_rows=bad)] == ["good"] and bad.count == 1


def test_nan_is_a_missing_value(tmp_path):
    row = {"id": "a", "text": "x", "title": math.nan, "year": math.nan, "impact": math.nan, "mesh": ["M"]}
    (document,) = read_corpus(write_jsonl(tmp_path / "c.jsonl", [row]))
    assert (document.title, document.year) == ("", None)
    assert document.extra == {"mesh": ["M"], "evidence_type_method": "none"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"id": None, "doc_id": "a", "text": None, "content": "x"}, ("a", "x", None)),
        ({"id": "", "pmid": 12, "text": "", "abstract": "x"}, ("pmid:12", "x", None)),
        ({"id": 12.0, "text": "x", "year": "2019.0"}, ("12", "x", 2019)),
        ({"doc_id": 4983, "abstract": ["One.", "Two."], "structured": False}, ("4983", "One. Two.", None)),
        ({"id": "a", "text": "x", "year": "2019-05-01"}, ("a", "x", 2019)),
        ({"id": "a", "text": "x", "year": "2019 May"}, ("a", "x", 2019)),
        ({"id": "a", "text": "x", "year": "NaN"}, ("a", "x", None)),
        ({"id": "a", "text": "x", "year": "n/a"}, ("a", "x", None)),
        *(
            ({"id": "a", "text": "x", "year": date}, ("a", "x", 2019))
            for date in ("May 2019", "1 May 2019", "05/2019", "c. 2019", "2019-2020", "20190501", 20190501)
        ),
        ({"id": "a", "text": "x", "year": "-400"}, ("a", "x", -400)),
        ({"id": "a", "text": "x", "year": None, "publication_year": 1999}, ("a", "x", 1999)),
        ({"pmcid": "PMC77", "text": "x"}, ("pmc:77", "x", None)),
    ],
)
def test_rows_as_other_tools_write_them(tmp_path, row, expected):
    (document,) = read_corpus(write_jsonl(tmp_path / "c.jsonl", [row]))
    assert (document.id, document.text, document.year) == expected
    assert not {"id", "text", "year"} & document.extra.keys()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_as_a_spreadsheet_writes_it(tmp_path, separator):
    long = "word " * 50_000
    path = tmp_path / "c.csv"
    lines = [["id", "title", "text"], ["001", "T, and; more", f"{long}; end"]]
    quoted = "\r\n".join(separator.join(f'"{cell}"' for cell in line) for line in lines)
    path.write_bytes(b"\xef\xbb\xbf" + quoted.encode())
    (document,) = read_corpus(path)
    assert (document.id, document.title, document.text) == ("001", "T, and; more", f"{long}; end")


@pytest.mark.parametrize("line", ["{", "[1]", "null", '{"id": "a"', "\x00", "[" * 100_000])
def test_a_line_that_is_no_object(tmp_path, line):
    path = tmp_path / "c.jsonl"
    path.write_text(f'{{"id": "good", "text": "x"}}\n{line}\n')
    with pytest.raises(RowError, match=r"c\.jsonl:2: "):
        list(read_corpus(path))


def test_skipped_rows_are_counted_and_the_first_ones_listed(tmp_path):
    items = [{"id": str(number), "text": "x" if number % 2 else ""} for number in range(100)]
    bad = BadRows(limit=3)
    documents = list(read_corpus(write_jsonl(tmp_path / "c.jsonl", items), bad_rows=bad))
    assert len(documents) == 50
    assert bad.count == 50
    assert len(bad.messages) == 3
    assert "c.jsonl:1" in bad.messages[0]


def test_ids_must_be_unique_across_files(tmp_path):
    first = write_jsonl(tmp_path / "a.jsonl", [{"id": "x", "text": "1"}])
    second = write_jsonl(tmp_path / "b.jsonl", [{"id": "x", "text": "2"}])
    with pytest.raises(RowError, match=r"b\.jsonl:1: field 'id': 'x'"):
        list(read_corpus([first, second]))
    bad = BadRows()
    assert [document.text for document in read_corpus(tmp_path, bad_rows=bad)] == ["1"]
    assert bad.count == 1


def test_a_saved_dataset_gives_the_same_documents(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(rows(30)).save_to_disk(str(tmp_path / "saved"))
    assert list(read_corpus(tmp_path / "saved")) == list(
        read_corpus(write_jsonl(tmp_path / "c.jsonl", rows(30)))
    )


@pytest.mark.parametrize("damage", ["short", "state", "missing"])
def test_a_damaged_saved_dataset(tmp_path, damage):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(rows(5)).save_to_disk(str(tmp_path / "saved"))
    (data,) = (tmp_path / "saved").glob("*.arrow")
    if damage == "short":
        data.write_bytes(data.read_bytes()[:300])
    elif damage == "state":
        (tmp_path / "saved" / "state.json").write_text("x")
    else:
        data.unlink()
    with pytest.raises(UserError, match=r"saved: .*row 0"):
        list(read_corpus(tmp_path / "saved"))


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for `datasets`; returns what `load_dataset` was asked for."""
    asked = []

    class DatasetsError(Exception):
        pass

    def load_dataset(path, name=None, *, split, streaming):
        asked.append((path, name, split, streaming))
        if name == "none":
            raise ValueError("BuilderConfig 'none' not found.\nAvailable: ['a']")
        return iter(rows(3))

    stub = SimpleNamespace(load_dataset=load_dataset, exceptions=SimpleNamespace(DatasetsError=DatasetsError))
    monkeypatch.setitem(sys.modules, "datasets", stub)
    return asked


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("MedRAG/textbooks", (None, "train")),
        ("MedRAG/textbooks:test", (None, "test")),
        ("MedRAG/textbooks:english:test", ("english", "test")),
        ("MedRAG/textbooks:english:", ("english", "train")),
    ],
)
def test_a_hub_name_with_configuration_and_split(hub, name, asked):
    assert [document.id for document in read_corpus(name)] == ["d0", "d1", "d2"]
    assert hub == [("MedRAG/textbooks", *asked, True)]


def test_a_wrong_hub_name(hub):
    with pytest.raises(UserError, match=r"owner/name:a:b:c: .*owner/name:config:split"):
        list(read_corpus("owner/name:a:b:c"))
    assert not hub
    with pytest.raises(UserError, match=r"owner/name:none:train: .*BuilderConfig 'none'"):
        list(read_corpus("owner/name:none:train"))


@pytest.mark.parametrize(
    ("row", "title", "text"),
    [
        ({"contents": '"Aaron"\nAaron is a prophet.\nHe'}, "Aaron", "Aaron is a prophet.\nHe"),
        ({"contents": "One line"}, "", "One line"),
        ({"contents": "A line and nothing\n "}, "", "A line and nothing\n "),
        ({"title": "Gray", "content": "The heart", "contents": "Gray. The heart"}, "Gray", "The heart"),
    ],
)
def test_contents_of_search_r1_and_medrag(tmp_path, row, title, text):
    (document,) = read_corpus(write_jsonl(tmp_path / "c.jsonl", [{"id": "0", **row}]))
    assert (document.title, document.text) == (title, text)
    assert "contents" not in document.extra


@pytest.mark.parametrize("source", ["nowhere.jsonl", "./none", "/no/such/folder", ""])
def test_a_source_without_a_corpus(tmp_path, source):
    with pytest.raises(UserError, match=r"no (such )?corpus"):
        list(read_corpus(source or tmp_path))


def test_reading_is_lazy(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": "1", "text": "x"}\nbroken\n')
    assert next(read_corpus(path)).id == "1"


TABLE = [
    {"id": "a", "title": "Sodium", "text": "Na+ is kept, p < 0.05", "year": 2019, "evidence_type": "rct"},
    {"id": "b", "title": "Quoted", "text": 'One "quoted", and\ntwo lines', "year": None, "evidence_type": ""},
]


def in_form(folder, form):
    path = folder / f"corpus.{form}"
    if form == "json":
        path.write_text(json.dumps(TABLE))
    elif form == "ndjson":
        write_jsonl(path, TABLE)
    elif form == "keyed.json":
        path.write_text(json.dumps({row["id"]: {**row, "id": row["id"]} for row in TABLE}))
    elif form.endswith(".gz"):
        path.write_bytes(gzip.compress(in_form(folder, form[:-3]).read_bytes()))
        path.with_suffix("").unlink()
    elif form == "ndjson.zst":
        lines = "".join(json.dumps(row) + "\n\n" for row in TABLE).encode()
        compress = pytest.importorskip("pyarrow").Codec("zstd").compress
        path.write_bytes(b"".join(compress(part, asbytes=True) for part in (lines[:40], lines[40:])))
    elif form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        import pyarrow

        parquet.write_table(pyarrow.Table.from_pylist(TABLE), path)
    else:
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, list(TABLE[0]), delimiter="\t" if form == "tsv" else ",")
            writer.writeheader()
            writer.writerows(TABLE)
    return path


@pytest.mark.parametrize(
    "form", ["csv", "tsv", "json", "ndjson", "keyed.json", "json.gz", "ndjson.zst", "parquet"]
)
def test_the_same_documents_in_every_form(tmp_path, form):
    expected = list(read_corpus(write_jsonl(tmp_path / "reference.jsonl", TABLE)))
    folder = tmp_path / "folder"
    folder.mkdir()
    path = in_form(folder, form)
    found = list(read_corpus(path))
    assert [(d.id, d.title, d.text, d.year, d.evidence_level) for d in found] == [
        (d.id, d.title, d.text, d.year, d.evidence_level) for d in expected
    ]
    assert list(read_corpus(folder)) == found


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
@pytest.mark.parametrize("form", ["csv", "tsv", "json", "ndjson", "keyed.json"])
def test_utf16_as_windows_writes_it(tmp_path, form, encoding):
    path = in_form(tmp_path, form)
    expected = list(read_corpus(path))
    text = path.read_text("utf-8-sig")
    path.write_bytes(("" if encoding == "utf-16" else "\ufeff").encode("utf-16-be") + text.encode(encoding))
    assert list(read_corpus(path)) == expected


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ('{"id": "1", "text": "x"}\n'.encode("utf-16-le"), "convert the file to UTF-8"),
        ('\ufeff{"id": "1", "text": "x"}\n'.encode("utf-16-le")[:-1] + b"\xd8\x00", "UTF-?16"),
    ],
)
def test_utf16_without_its_mark_or_cut_off_is_named(tmp_path, name, raw, says):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(UserError, match=rf"(?i){name}.*{says}"):
        list(read_corpus(tmp_path / name))


def test_a_text_in_utf16(tmp_path):
    (tmp_path / "note.md").write_text("# Sjögren\nDry eyes.", encoding="utf-16")
    (document,) = read_corpus(tmp_path)
    assert (document.title, document.text) == ("Sjögren", "Dry eyes.")


@pytest.mark.parametrize("damage", ["cut", "other"])
@pytest.mark.parametrize("form", ["ndjson.zst", "ndjson.gz", "parquet"])
def test_a_damaged_file_is_named(tmp_path, form, damage):
    path = in_form(tmp_path, form)
    path.write_bytes(path.read_bytes()[:-9] if damage == "cut" else b"PAR1 no such file at all")
    with pytest.raises(UserError, match=rf"corpus\.{form}: "):
        list(read_corpus(path))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"id": "1", "text": "x"},\n', r"c\.jsonl:1: not JSON: .*one object per line"),
        ('[\n{"id": "1", "text": "x"}\n]\n', r"c\.jsonl:1: not JSON: .*\.json"),
    ],
)
def test_json_of_another_form_is_refused_with_the_remedy(tmp_path, content, says):
    (tmp_path / "c.jsonl").write_text(content)
    with pytest.raises(RowError, match=says):
        list(read_corpus(tmp_path))


def test_the_first_lines_of_spreadsheets(tmp_path):
    (tmp_path / "c.csv").write_text("sep=;\r\nid;text\r\n1;one\r\n")
    assert [(d.id, d.text) for d in read_corpus(tmp_path)] == [("1", "one")]
    (tmp_path / "c.csv").write_text("id,text,text\n1,one,two\n")
    with pytest.raises(UserError, match=r"c\.csv:1: column 'text'"):
        list(read_corpus(tmp_path))


def test_a_csv_row_of_another_width_is_named_or_skipped(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("id,text\n1,one\n2,two,three\n3,three\n")
    with pytest.raises(RowError, match=r"c\.csv:3: "):
        list(read_corpus(path))
    bad = BadRows()
    assert [document.id for document in read_corpus(path, bad_rows=bad)] == ["1", "3"]
    assert bad.count == 1


def test_a_csv_of_another_code_page_loses_its_odd_rows_only(tmp_path):
    """As a jsonl does: what Windows saved without being asked for UTF-8, half of it plain English."""
    path = tmp_path / "c.csv"
    path.write_bytes('id,text\r\n1,one\r\n2,"Ménière,\r\ntwo"\r\n3,three – 3\r\n4,four\r\n'.encode("cp1252"))
    with pytest.raises(RowError, match=r"c\.csv:3: column 2 is not UTF-8 .*M\\xe9ni\\xe8re"):
        list(read_corpus(path))
    bad = BadRows()
    assert [document.id for document in read_corpus(path, bad_rows=bad)] == ["1", "4"]
    assert bad.count == 2 and "c.csv:5: " in bad.messages[1]


def test_a_folder_of_texts(tmp_path):
    (tmp_path / "guides" / "lung").mkdir(parents=True)
    (tmp_path / "guides" / ".git").mkdir()
    (tmp_path / "guides" / ".git" / "description.txt").write_text("no document")
    (tmp_path / "guides" / "lung" / "asthma.md").write_text(
        "# Asthma in children\n\nInhaled steroids first.\n"
    )
    (tmp_path / "guides" / "gout_acute.txt").write_text("Colchicine within 12 hours.")
    (tmp_path / "guides" / "latin.txt").write_bytes(b"M\xe9decine")
    bad = BadRows()
    documents = list(read_corpus(tmp_path / "guides", bad_rows=bad))
    assert [(d.id, d.title, d.text.strip(), d.source) for d in documents] == [
        ("gout_acute.txt", "gout acute", "Colchicine within 12 hours.", "guides"),
        ("lung/asthma.md", "Asthma in children", "Inhaled steroids first.", "guides"),
    ]
    assert bad.count == 1
    assert "latin.txt" in bad.messages[0]


def test_a_readme_beside_tables_is_no_document(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"id": "1", "text": "one"}])
    (tmp_path / "README.md").write_text("# About")
    (tmp_path / "SOURCES.json").write_text('{"a.jsonl": {}}')
    assert [document.id for document in read_corpus(tmp_path)] == ["1"]


def test_tables_below_a_folder_with_tables_of_its_own_are_named(tmp_path, caplog):
    (tmp_path / "more").mkdir()
    write_jsonl(tmp_path / "more/b.jsonl", [{"id": "b", "text": "x"}])
    assert [document.id for document in read_corpus(tmp_path)] == ["b"] and not caplog.text
    write_jsonl(tmp_path / "a.jsonl", [{"id": "a", "text": "x"}])
    assert [document.id for document in read_corpus(tmp_path)] == ["a"]
    assert ".jsonl (1)" in caplog.text


def test_files_beside_texts_that_are_not_read_are_named(tmp_path, caplog):
    for name in ("a.txt", "b.md", "c.html", "d.pdf", "e.HTML", ".hidden.pdf"):
        (tmp_path / name).write_text("text")
    assert len(list(read_corpus(tmp_path))) == 2
    assert ".html (2), .pdf (1)" in caplog.text


@pytest.mark.parametrize("queries", ["queries.jsonl", "query.jsonl.gz", "queries.tsv", "qrels.tsv"])
def test_of_a_folder_with_queries_the_corpus_is_read(tmp_path, queries):
    write_jsonl(tmp_path / "corpus.jsonl", [{"_id": "1", "text": "one"}])
    (tmp_path / queries).write_text("not read")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    assert [document.id for document in read_corpus(tmp_path)] == ["1"]


def test_a_packed_file_may_be_named_in_capitals(tmp_path):
    file = tmp_path / "ROWS.JSONL.GZ"
    file.write_bytes(gzip.compress(b'{"id": "1", "text": "one"}'))
    assert [document.id for document in read_corpus(file)] == ["1"]


def test_columns_named_with_spaces(tmp_path):
    file = tmp_path / "c.csv"
    file.write_text("Doc ID,Text,Publication Year,Evidence Type,Publication Types\n7,x,2019,RCT,Review\n")
    (document,) = read_corpus(file)
    assert (document.id, document.year, document.evidence_type) == ("7", 2019, "rct")
    assert document.extra["publication_types"] == "Review"


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"page_content": "x", "metadata": {}}, '"page_content", "metadata"'),
        ({"id": "1", "sections": [], "b": 1}, '"sections", "b"'),
    ],
)
def test_what_a_row_has_instead_is_named(tmp_path, row, columns):
    with pytest.raises(RowError, match=columns):
        list(read_corpus(write_jsonl(tmp_path / "c.jsonl", [row])))


def test_rows_under_a_key_of_an_object(tmp_path):
    file = tmp_path / "bioasq.json"
    file.write_text(
        json.dumps({"articles": [{"pmid": "1", "title": "T", "abstractText": "x", "year": "2010"}]})
    )
    (document,) = read_corpus(file)
    assert (document.id, document.text, document.year) == ("pmid:1", "x", 2010)
    file.write_text(json.dumps({"id": "1", "text": "x", "passages": [{"id": "2"}]}))
    assert [document.id for document in read_corpus(file)] == ["1"]


@pytest.mark.parametrize(
    ("row", "identity", "alias"),
    [
        ({"pmid": 123, "abstract": "x"}, "pmid:123", "pmid:123"),
        ({"PMID": "123", "Title": "T", "Abstract": "x"}, "pmid:123", "pmid:123"),
        ({"doi": "10.1000/AbC", "text": "x"}, "doi:10.1000/abc", "doi:10.1000/abc"),
        ({"_id": "MED-10", "text": "x"}, "MED-10", "MED-10"),
        (
            {"id": "pubmed23n0001_0", "content": "x", "contents": "T. x", "PMID": 7},
            "pubmed23n0001_0",
            "pmid:7",
        ),
        ({"id": "17", "doi": "https://doi.org/10.1000/x", "text": "x"}, "17", "doi:10.1000/x"),
    ],
)
def test_articles_are_known_by_pmid_and_doi(tmp_path, row, identity, alias):
    (document,) = read_corpus(write_jsonl(tmp_path / "c.jsonl", [row]))
    assert (document.id, document.text) == (identity, "x")
    assert alias in document.ids


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Na&#43; and K&#x2B;", "Na+ and K+"),
        ("p &lt; 0.05 &amp;amp; n &amp;gt; 5", "p < 0.05 & n > 5"),
        ("A&nothing; and &#946;", "A&nothing; and β"),
        ("AT&T; R&D, Q&A at ?a=1&para=2", "AT&T; R&D, Q&A at ?a=1&para=2"),
        ("&alpha;-blocker &#55357;", "α-blocker \ufffd"),
    ],
)
def test_html_entities_are_resolved(tmp_path, raw, text):
    (document,) = read_corpus(write_jsonl(tmp_path / "c.jsonl", [{"id": "1", "title": raw, "text": raw}]))
    assert (document.title, document.text) == (text, text)


def test_an_unknown_evidence_type_is_kept_beside_the_level(tmp_path):
    row = {"id": "1", "text": "x", "evidence_type": "Level 1a"}
    (document,) = read_corpus(write_jsonl(tmp_path / "c.jsonl", [row]))
    assert (document.evidence_type, document.evidence_level) == ("other", 1)
    assert document.extra == {"evidence_type_method": "none", "evidence_type_stated": "Level 1a"}
