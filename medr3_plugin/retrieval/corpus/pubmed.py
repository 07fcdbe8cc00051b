"""PubMed's XML: its baseline and update files, and what its web site and `efetch` save (`PubmedArticleSet`).

The standard library's parser reads no external entity; entities that a file defines itself are refused, for they can
grow without bound. PubMed's files define none.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from medr3_plugin import tables
from medr3_plugin.errors import UserError

SUFFIX = ".xml"
_ARTICLES = ("PubmedArticle", "PubmedBookArticle")
_BLOCK = 1 << 16


def pubmed_rows(path: Path) -> Iterator[tables.RawRow]:
    """The articles of a file, one at a time.

    Raises:
        UserError: other XML, entities of its own, or a damaged file.
    """
    number = 0
    try:
        with tables.opened(path) as file:
            block = file.read(_BLOCK)
            prolog, root, _ = block.partition(b"<PubmedArticleSet")
            if not root:
                raise UserError(
                    f"{path}: not PubMed's XML (a PubmedArticleSet); write its records as rows of jsonl or csv"
                )
            if b"<!ENTITY" in prolog:
                raise UserError(f"{path}: defines entities, which PubMed's files do not; get the file again")
            parser: Any = XMLPullParser(("start", "end"))
            whole: Element | None = None
            while block:
                parser.feed(block)
                for event, element in parser.read_events():
                    if whole is None:
                        whole = element
                    elif event == "end" and element.tag in _ARTICLES:
                        number += 1
                        yield tables.RawRow(f"{path}, article {number}", _row(element))
                        whole.clear()  # what was read must not pile up
                block = file.read(_BLOCK)
            parser.close()
    except (ParseError, OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path}: cannot be read past article {number}: {error}; get the file again"
        ) from error


def _row(article: Element) -> dict[str, Any]:
    """A row as `documents` reads it; the title of an article without an abstract is its text."""
    title = _text(article.find(".//ArticleTitle"))
    parts = article.findall(".//Abstract/AbstractText")
    text = " ".join(
        f"{part.get('Label')}: {_text(part)}" if part.get("Label") else _text(part) for part in parts
    )
    row = {
        "pmid": article.findtext(".//PMID"),
        "doi": article.findtext("PubmedData/ArticleIdList/ArticleId[@IdType='doi']"),
        "title": title if text else "",
        "text": text or title,
        "source": "pubmed",
        "year": next(
            iter(re.findall(r"\d{4}", _text(article.find(".//PubDate")))), None
        ),  # also 1998 Dec-1999 Jan
        "publication_types": [_text(kind) for kind in article.iter("PublicationType")],
    }
    return {name: value for name, value in row.items() if value}


def _text(element: Element | None) -> str:
    """The text of an element and of all inside it (`<i>`, `<sup>`)."""
    return "" if element is None else " ".join("".join(element.itertext()).split())
