from __future__ import annotations

import gzip
import tracemalloc

import pytest

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.corpus.documents import BadRows, read_corpus

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN" "https://dtd.nlm.nih.gov/p.dtd">
<PubmedArticleSet>"""
TAIL = "<DeleteCitation><PMID>9</PMID></DeleteCitation></PubmedArticleSet>"
ABSTRACT = """<Abstract><AbstractText Label="METHODS">Aspirin &lt;100 mg, H<sub>2</sub>O.</AbstractText>
<AbstractText Label="RESULTS">Fewer <i>strokes</i>.</AbstractText></Abstract>"""


def article(pmid="123", title="Aspirin in <i>stroke</i>.", abstract=ABSTRACT, date="<Year>2019</Year>"):
    return f"""<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article><Journal><JournalIssue>
    <PubDate>{date}</PubDate></JournalIssue></Journal><ArticleTitle>{title}</ArticleTitle>{abstract}
    <PublicationTypeList><PublicationType>Randomized Controlled Trial</PublicationType></PublicationTypeList></Article>
    <CommentsCorrectionsList><CommentsCorrections><PMID>77</PMID></CommentsCorrections></CommentsCorrectionsList>
    </MedlineCitation><PubmedData><ArticleIdList><ArticleId IdType="doi">10.1/X</ArticleId></ArticleIdList>
    <ReferenceList><Reference><ArticleIdList><ArticleId IdType="doi">10.1/other</ArticleId></ArticleIdList></Reference>
    </ReferenceList></PubmedData></PubmedArticle>"""


@pytest.mark.parametrize("name", ["pubmed25n0001.xml", "pubmed25n0001.xml.gz"])
def test_articles(tmp_path, name):
    raw = f"{HEAD}{article()}{TAIL}".encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    for source in (tmp_path, tmp_path / name):
        (document,) = read_corpus(source)
        assert document.id == "pmid:123"
        assert document.title == "Aspirin in stroke."
        assert document.text == "METHODS: Aspirin <100 mg, H2O. RESULTS: Fewer strokes."
        assert (document.source, document.year, document.evidence_type) == ("pubmed", 2019, "rct")
        assert document.extra["doi"] == "10.1/X"


def test_an_article_without_abstract_or_year(tmp_path):
    dates = ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", "")
    texts = [article(pmid=str(n), abstract="", date=date) for n, date in enumerate(dates)]
    (tmp_path / "p.xml").write_text(HEAD + "".join(texts) + TAIL)
    first, second = read_corpus(tmp_path / "p.xml")
    assert (first.title, first.text) == ("", "Aspirin in stroke.")
    assert (first.year, second.year) == (1998, None)


def test_a_wrong_article_is_named_or_skipped(tmp_path):
    (tmp_path / "p.xml").write_text(HEAD + article(title="", abstract="") + article() + TAIL)
    with pytest.raises(UserError, match=r"p\.xml, article 1: field 'text'"):
        list(read_corpus(tmp_path / "p.xml"))
    assert len(list(read_corpus(tmp_path / "p.xml", bad_rows=BadRows()))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "<html><body/></html>",
        "",
        HEAD.replace('"https', '[<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">] "https') + TAIL,
        '<!DOCTYPE PubmedArticleSet [<!ENTITY a "aaaa">]><PubmedArticleSet>' + article(title="&a;") + TAIL,
        '<!DOCTYPE PubmedArticleSet [<!ENTITY a SYSTEM "file:///etc/passwd">]><PubmedArticleSet>&a;' + TAIL,
        HEAD + article(title="&unknown;") + TAIL,
        HEAD + article()[:-20],
    ],
)
def test_what_is_not_pubmeds_is_refused(tmp_path, text):
    (tmp_path / "p.xml").write_text(text)
    with pytest.raises(UserError, match=r"p\.xml"):
        list(read_corpus(tmp_path / "p.xml"))


def test_articles_do_not_pile_up(tmp_path):
    abstract = f"<Abstract><AbstractText>{'word ' * 400}</AbstractText></Abstract>"
    with (tmp_path / "p.xml").open("w") as file:
        file.write(HEAD + "".join(article(pmid=str(n), abstract=abstract) for n in range(3000)) + TAIL)
    tracemalloc.start()
    assert sum(1 for _ in read_corpus(tmp_path / "p.xml")) == 3000
    assert tracemalloc.get_traced_memory()[1] < (tmp_path / "p.xml").stat().st_size / 3
    tracemalloc.stop()
