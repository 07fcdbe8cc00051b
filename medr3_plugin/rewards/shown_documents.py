"""Searches and documents as a trajectory's text shows them, and whether the documents are those that were brought."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence, Set
from itertools import repeat
from typing import NamedTuple

from medr3_plugin.records import NOTICES, Document, SearchOutcome, SearchTurn, is_query
from medr3_plugin.retrieval.corpus.evidence import STATED, normalise_type
from medr3_plugin.trajectory import Trajectory

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
_PHRASE = re.compile(r"[^()\[\]{},;:.|<>（）【】，；：。]+")
_RUN = 3
"""Words in a row that a document shares with what was retrieved; shorter ones are compared whole."""
_FRAME = frozenset(["doc", "document", "passage", "title", "source", "year", "result"])
"""Words that renderings put around a document."""
_KEY = (
    "(?:doc(?:ument)?|passage|chunk|page|title|source|year|date|result|rank|index|number|no|id|pmid|pmcid|doi|isbn|url|uri"
    "|link|journal|publication|published|authors?|evidence|type|level|grade|score|relevance|similarity|distance|text"
    "|content|body|abstract|summary|snippet|excerpt|metadata|meta|name|file|path|category|section|language)"
)
_KEY_ZH = (
    "(?:文档|文献|文章|编号|序号|标题|题目|来源|出处|年份|日期|发表|时间|期刊|作者|链接|网址|证据|等级|类型|级别|得分|分数|评分"
    "|相关|相似|度|性|正文|全文|内容|文本|摘要|片段|元数据|结果)"
)
_LABEL = re.compile(
    rf"\b(?:{_KEY}[ _-]?)+[\"']?\s?[:=：](?:\s?(?:null|none|true|false|nan|n/a)\b)?|{_KEY_ZH}+[\"']?\s?[:=：]"
    rf"|</?(?:{_KEY}[ _-]?)+(?: [^<>]{{0,30}})?>",
    re.IGNORECASE,
)
"""A field's name in a rendering: "Relevance score: ", "text": in JSON, page_content=, <snippet>, 标题："""
_LONGEST_VALUE = 12
"""Words of a field's value, such as an address or a journal; a longer one is a text."""
_FOREIGN = 0.1
"""Largest share of words that may stem from elsewhere: a rendering's own, or changed by a clean-up."""
_BEGINNING = 40
"""Characters of a document's text that are looked for in what was shown."""
_NOTICE = 30
"""Longest notice, in words, that stands where a search brought nothing new."""


_TOLD: dict[str, SearchOutcome] = {line: outcome for outcome, line in NOTICES.items()}
NOT_SEARCHED: Set[SearchOutcome] = frozenset({"limit", "malformed", "failed"})
"""Outcomes of a text's searches that brought nothing because they were not executed."""


class TextSearch(NamedTuple):
    """A search as the text shows it.

    Attributes:
        documents: the texts of the documents after it.
        told: its outcome, if a notice stands in their place or its query is none.
    """

    query: str
    documents: tuple[str, ...]
    told: SearchOutcome | None

    @property
    def refused(self) -> bool:
        """A notice says that it brought nothing because it was not executed."""
        return not self.documents and self.told in NOT_SEARCHED


def searches_in(trajectory: Trajectory) -> list[TextSearch]:
    """The searches of a trajectory, in order, with the documents that follow each."""
    found: list[tuple[str, list[str]]] = []
    for span in trajectory.spans:
        text = trajectory.inner(span).strip()
        if span.kind == "search":
            found.append((text, []))
        elif span.kind == "document" and found:
            found[-1][1].append(text)
    searches = []
    for query, documents in found:
        # documents behind a notice are none of the search's
        notice = _TOLD.get(documents[0]) if documents else None
        told = notice if is_query(query) else "malformed"
        searches.append(TextSearch(query, () if notice else tuple(documents), told))
    return searches


def texts_shown(trajectory: Trajectory, searches: Sequence[SearchTurn]) -> dict[str, str]:
    """id -> text between its tags, cut and with its header as it was shown, of the documents whose place is certain.

    A search's documents stand behind it in their order, each between tags of its own; behind a search that shows
    another number of them (a notice, several documents in one pair of tags) nothing is certain.
    """
    behind: list[list[str]] = []
    for span in trajectory.spans:
        if span.kind == "search":
            behind.append([])
        elif span.kind == "document" and behind:
            behind[-1].append(" ".join(trajectory.inner(span).split()))
    texts: dict[str, str] = {}
    if len(behind) < len(searches):  # one is hidden, so that those after it have other places
        return texts
    for search, shown in zip(searches, behind, strict=False):
        if len(shown) == len(search.shown):
            for identity, text in zip(search.shown, shown, strict=True):
                texts.setdefault(identity, text)
    return texts


def shown_of(in_text: Sequence[str], documents: Sequence[Document], new: tuple[str, ...]) -> tuple[str, ...]:
    """The ids of the `new` documents that were shown: those that the text has, if it has one between each pair of tags.

    Else all of them: another environment may write several between two tags, or none in tags at all.
    """
    if not in_text or len(in_text) >= len(new):
        return new
    lines = [" ".join(text.split()) for text in in_text]
    found = dict.fromkeys(
        document.id
        for document in documents
        if document.id in new
        and any(map(_is_cut_of, lines, repeat(document), repeat(" ".join(document.text.split()))))
    )
    return tuple(found) if len(found) == len(in_text) else new


def was_retrieved(trajectory: Trajectory, searches: Sequence[SearchTurn]) -> bool:
    """Whether every document of the text was brought by the search before it, or by an earlier one.

    A document is known by its words: nine of ten occur in the title, the text or the header of a retrieved one, in
    runs of `_RUN`. Where a search brought nothing new, a short notice may take a document's place.
    """
    brought: list[Document] = []
    texts: list[str] = []
    turn = -1
    after_search = False
    for span in trajectory.spans:
        if span.kind == "search":
            turn += 1
            after_search = True
            if turn < len(searches):
                brought += (new := [hit.document for hit in searches[turn].hits])
                texts += (" ".join(document.text.split()) for document in new)
        elif span.kind == "document":
            if turn < 0 or (after_search and turn >= len(searches)):
                return False
            shown = " ".join(trajectory.inner(span).split())
            if not shown:  # a model's own tag, at which its generation was stopped
                return False
            notice = after_search and searches[turn].outcome != "ok" and len(_words(shown)) <= _NOTICE
            if not (notice or any(map(_is_cut_of, repeat(shown), brought, texts)) or _held(shown, brought)):
                return False
            after_search = False
    return True


def _is_cut_of(shown: str, document: Document, text: str) -> bool:
    """Whether it is a known header and then the document's `text` from its start on: what most renderings write."""
    start = shown.find(text[:_BEGINNING])
    if start < 0 or not text.startswith(shown[start:].rstrip(" .…")):
        return False
    header = _words(_with_types(shown[:start], {document.evidence_type}))
    known = _FRAME.union(_words(f"{_header(document)} {document.title}"))
    return known.issuperset(word for word in header if not word.isdigit())


def _held(shown: str, brought: Sequence[Document]) -> bool:
    own = _words(_unlabelled(_with_types(_flat(shown), {document.evidence_type for document in brought})))
    texts = [_words(_unlabelled(text)) for text in _texts(brought)]
    if len(own) < _RUN:
        return _FRAME.union(*texts).issuperset(own)
    runs = {run for words in texts for run in _runs(words)}
    known = [word in _FRAME or word.isdigit() for word in own]
    for start, run in enumerate(_runs(own)):
        if run in runs:
            known[start : start + _RUN] = [True] * _RUN
    places: dict[str, list[int]] = {}
    for place, word in enumerate(own):
        places.setdefault(word, []).append(place)
    # values are compared whole: a sentence of a title's words in another order was not retrieved
    for value in set(_values(brought)):
        for start in places.get(value[0], ()):
            if tuple(own[start : start + len(value)]) == value:
                known[start : start + len(value)] = [True] * len(value)
    foreign = known.count(False)
    return foreign <= _FOREIGN * len(own) + 2 and 2 * foreign <= len(own)


def _flat(shown: str) -> str:
    """The fields of a document that is rendered as JSON; any other text unchanged."""
    if not shown.startswith(("{", "[")):
        return shown
    try:
        return _fields(json.loads(shown))
    except (ValueError, RecursionError):
        return shown


def _fields(read: object) -> str:
    if isinstance(read, dict):
        return " ".join(f"{name}: {_fields(value)}" for name, value in read.items())
    return " ".join(map(_fields, read)) if isinstance(read, list) else str(read)


def _unlabelled(text: str) -> str:
    """A text with a word of the frame for each name of a field."""
    return _LABEL.sub(" document ", text)


def _values(documents: Iterable[Document]) -> Iterable[tuple[str, ...]]:
    """The words of what is short among a document's fields: id, title, source, address, evidence type, ..."""
    for document in documents:
        for value in document.row().values():
            words = tuple(_words(str(value))) if isinstance(value, str | int | float) else ()
            if 0 < len(words) <= _LONGEST_VALUE:
                yield words


def _texts(documents: Iterable[Document]) -> Iterable[str]:
    for document in documents:
        yield f"{_header(document)} {document.title} {document.text}"
        if summary := document.extra.get("summary"):
            yield f"{document.title} {summary}"


def _header(document: Document) -> str:
    return (
        f"{document.source} {document.evidence_type} {document.extra.get(STATED, '')} {document.year or ''}"
    )


def _with_types(shown: str, types: Set[str]) -> str:
    """`shown` with each phrase that is another name of one of the evidence types ("randomized controlled trial" for
    rct) as that type: a document knows its type under one name, a rendering may have written the corpus's.
    """

    def known(phrase: re.Match[str]) -> str:
        name = normalise_type(phrase[0].strip())
        return f" {name} " if name in types else phrase[0]

    return _PHRASE.sub(known, shown)


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
