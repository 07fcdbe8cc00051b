"""What a trajectory retrieved, and its own words around it: what the retrieval parts look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain

from medr3_plugin.knowledge.agreement import Fact, StatementIndex, stated
from medr3_plugin.knowledge.extract import EntityFinder
from medr3_plugin.knowledge.figures import Figures, figures_of
from medr3_plugin.knowledge.graph import Edge
from medr3_plugin.knowledge.statements import Statement, content_words, statements
from medr3_plugin.knowledge.text import name_forms, prose, words
from medr3_plugin.records import Document, Hit, Sample, SearchTurn
from medr3_plugin.retrieval.corpus.evidence import assess
from medr3_plugin.rewards.copying import Source, without_copies
from medr3_plugin.rewards.shown_documents import NOT_SEARCHED, searches_in
from medr3_plugin.trajectory import Trajectory

_TOOL_CALL = re.compile(r"<tool_(call|response)>.*?(?:</tool_\1>|\Z)|</tool_(?:call|response)>", re.DOTALL)
"""A search in the tool protocol: neither its query nor what came back is the model's reasoning."""


@lru_cache(maxsize=65536)
def _name(entity: str) -> tuple[str, frozenset[str]]:
    """The words of an entity's name between blanks, and as a set."""
    forms = name_forms(entity)
    return f" {' '.join(forms)} ", frozenset(forms)


class TextView:
    """A document (or the question) with what is computed from its words, once."""

    def __init__(self, text: str, finder: EntityFinder) -> None:
        self._finder = finder
        text = prose(text)
        tokens = words(text)
        self._forms = [form for form, _, _ in tokens]
        self._line = f" {' '.join(self._forms)} "
        self._words = frozenset(self._forms)
        self._mentions = finder.find_in(text, tokens)
        self.entities = frozenset(mention.entity for mention in self._mentions)
        """canonical entities found in it"""
        self._text = text

    @cached_property
    def source(self) -> Source:
        """its runs of words, see `rewards.copying`"""
        return Source(self._forms)

    @cached_property
    def stated(self) -> StatementIndex:
        """its statements, see `knowledge.statements`"""
        # without a vocabulary an entity is a run of words, and a verb may be one of them
        known = (names for entity, names in self._names.items() if self._finder.knows(entity))
        return StatementIndex(statements(self._text), chain.from_iterable(known))

    @cached_property
    def content(self) -> frozenset[str]:
        """its content words"""
        return content_words(self._text)

    @cached_property
    def figures(self) -> list[Figures]:
        """see `knowledge.figures`"""
        return figures_of(self._text)

    @cached_property
    def _names(self) -> dict[str, set[frozenset[str]]]:
        """Entity -> the words by which it is named here, which may be a synonym's."""
        names: dict[str, set[frozenset[str]]] = {}
        for entity, start, end in self._mentions:
            names.setdefault(entity, set()).add(content_words(self._text[start:end]))
        return names

    def polarities(self, *entities: str) -> set[bool]:
        """`denied` of its statements that name all the entities."""
        names = [self._names.get(entity) or {content_words(entity)} for entity in entities]
        return {statement.denied for statement in self.stated.naming(*names)}

    def speaks_of(self, name: frozenset[str]) -> bool:
        """Whether a clause that denies nothing holds half of the content words of a name."""
        return any(not self.stated.statements[place].denied for place in self.stated.naming_half[name])

    def mentions(self, entity: str) -> bool:
        """Whether it names `entity` (a canonical or normal form), by a synonym or word for word."""
        if entity in self.entities:
            return True
        if self._finder.knows(entity):
            return False
        line, forms = _name(entity)
        return bool(forms) and forms <= self._words and line in self._line


@dataclass(frozen=True, slots=True)
class ShownDocument:
    """A document that stood in the trajectory."""

    document: Document
    view: TextView


@dataclass(frozen=True, slots=True)
class Turn:
    """One executed search.

    Attributes:
        returned: ids of the documents that came back, shown or not.
        shown: ids of the documents that were written into the trajectory.
        offset: where in the trajectory's text it stands; 0 if the text does not show it.
        query: what was searched for: who names it in the query did not learn it from the documents.
    """

    returned: tuple[str, ...]
    shown: tuple[str, ...]
    offset: int
    query: str


@dataclass(frozen=True)
class Evidence:
    """Everything a trajectory retrieved.

    Attributes:
        turns: the searches that were executed, in order.
        documents: the distinct documents shown, by id, in order of appearance.
        failures: kinds of the failures of the other searches.
        finder: finds the entities in the documents.
    """

    turns: tuple[Turn, ...]
    documents: dict[str, ShownDocument]
    failures: tuple[str, ...]
    finder: EntityFinder

    def came(self, identity: str) -> int:
        """Where in the trajectory the search that first showed a document ends.

        Raises:
            StopIteration: no document of that id was shown.
        """
        return next(turn.offset for turn in self.turns if identity in turn.shown)

    @cached_property
    def _stating(self) -> dict[tuple[tuple[str, ...], bool], frozenset[str]]:
        return {}

    @cached_property
    def _speaking(self) -> dict[Fact, frozenset[str]]:
        return {}

    @cached_property
    def _mentioning(self) -> dict[str, frozenset[str]]:
        return {}

    def mentioning(self, entity: str) -> frozenset[str]:
        """Ids of the documents that mention `entity`; each is asked once."""
        found = self._mentioning.get(entity)
        if found is None:
            if self.finder.knows(entity):
                ids = [id_ for id_, shown in self.documents.items() if entity in shown.view.entities]
            else:  # it may occur there word for word
                ids = [id_ for id_, shown in self.documents.items() if shown.view.mentions(entity)]
            found = frozenset(ids)
            self._mentioning[entity] = found
        return found

    def stating(self, *entities: str, denied: bool = False) -> frozenset[str]:
        """Ids of the documents that say something of all the entities together, in this polarity.

        Where one clause names them, the clauses' polarity decides; else a document that names each of them counts, as
        its clauses may use other words for them.
        """
        both = self.mentioning(entities[0])
        for entity in entities[1:]:
            both = both and both & self.mentioning(entity)
        if not both:
            return both
        key = (entities, denied)
        if key not in self._stating:
            self._stating[key] = frozenset(
                identity
                for identity in both
                if denied in (self.documents[identity].view.polarities(*entities) or {denied})
            )
        return self._stating[key]

    def stating_edge(self, edge: Edge) -> frozenset[str]:
        """Ids of the documents that say so, in the edge's polarity."""
        head, polarity, tail = edge
        return self.stating(head, tail, denied=polarity == "-")

    def speaking_of(self, fact: Fact) -> frozenset[str]:
        """Ids of the documents with a statement of the fact in their own words: see `agreement.stated`."""
        found = self._speaking.get(fact)
        if found is None:
            ids = [
                id_
                for id_, shown in self.documents.items()
                if stated(shown.view.stated, [fact]).said.agreeing
            ]
            found = self._speaking[fact] = frozenset(ids)
        return found


@dataclass(frozen=True, slots=True)
class OwnText:
    """A piece of text the model wrote, and where it starts in the trajectory.

    Attributes:
        text: without what was copied.
        start: in characters of the trajectory.
        whole: with what was copied.
        stated: statements of `text`; none of an answer, which is judged separately.
        written: statements of all that was written: who quotes a document to deny it denies it.
    """

    kind: str
    text: str
    start: int
    whole: str
    stated: tuple[Statement, ...] = ()
    written: tuple[Statement, ...] = ()


def collect(
    sample: Sample, trajectory: Trajectory, view: Callable[[str], TextView], finder: EntityFinder
) -> Evidence:
    """Evidence of `sample`: what its environment recorded, else what its text shows.

    Args:
        view: makes (or remembers) the view of a text.
        finder: finds the entities in the documents.
    """
    searches = sample.searches
    if not searches and sample.forged is None:
        searches = _searches_in(trajectory)
    turns = []
    documents: dict[str, ShownDocument] = {}
    for search, offset in zip(searches, _offsets(searches, trajectory), strict=True):
        if search.executed:
            shown_ids = set(search.shown)
            shown = [hit.document for hit in search.hits if hit.document.id in shown_ids]
            for document in shown:
                if document.id not in documents:
                    documents[document.id] = ShownDocument(document, view(full_text(document)))
            returned = tuple(hit.document.id for hit in search.hits)
            turns.append(Turn(returned, tuple(document.id for document in shown), offset, search.query))
    failures = tuple(search.failure or "unknown" for search in searches if search.outcome == "failed")
    return Evidence(tuple(turns), documents, failures, finder)


def own_texts(trajectory: Trajectory, question: TextView, evidence: Evidence) -> tuple[list[OwnText], str]:
    """The model's own words without what it copied from the question or from documents.

    Returns:
        All pieces (reasoning, text outside the regions, answers) in order, and the reasoning as one text.
    """
    spans = [
        (span, text)
        for span in trajectory.spans
        if span.kind in ("think", "text", "answer")
        and (text := prose(_TOOL_CALL.sub(" ", trajectory.inner(span)))).strip()
    ]
    documents = [shown.view.source for shown in evidence.documents.values()]
    own = iter(
        without_copies([text for span, text in spans if span.kind != "answer"], documents, question.source)
    )
    pieces = []
    for span, text in spans:
        if span.kind == "answer":  # judged separately
            pieces.append(OwnText(span.kind, text, span.start, text))
        else:
            kept = next(own)
            written = tuple(statements(text))
            stated = written if kept == text else tuple(statements(kept))
            pieces.append(OwnText(span.kind, kept, span.start, text, stated, written))
    return pieces, "\n".join(piece.text for piece in pieces if piece.kind == "think")


def _offsets(searches: Sequence[SearchTurn], trajectory: Trajectory) -> list[int]:
    """Where each search's documents end in the text: what comes before cannot use them.

    By the documents, if the text shows as many as the searches did: a stray tag in a query hides the search, but not
    what came back. Else by the query's place; 0 if the text shows neither.
    """
    ends = [span.end for span in trajectory.spans if span.kind == "document"]
    if ends and len(ends) == sum(len(search.shown) for search in searches):
        offsets, count = [], 0
        for search in searches:
            count += len(search.shown)
            offsets.append(ends[count - 1] if count else 0)
        return offsets
    spans = [(trajectory.inner(s).strip(), s.end) for s in trajectory.spans if s.kind == "search"]
    offsets = []
    position = 0
    after = 0
    for search in searches:
        match = next((i for i in range(position, len(spans)) if spans[i][0] == search.query.strip()), None)
        if match is None:
            found = trajectory.text.find(search.query, after) if search.query.strip() else -1
            offsets.append(found + len(search.query) if found >= 0 else after)
        else:
            offsets.append(spans[match][1])
            position = match + 1
        after = max(after, offsets[-1])
    return offsets


def full_text(document: Document) -> str:
    """Title and text."""
    if document.title and not document.text.startswith(document.title):
        return f"{document.title}. {document.text}"
    return document.text


def _searches_in(trajectory: Trajectory) -> tuple[SearchTurn, ...]:
    """Searches as the text shows them, for trajectories that no environment of ours recorded."""
    turns = []
    seen: dict[str, str] = {}
    for query, documents, told in searches_in(trajectory):
        if told in NOT_SEARCHED:  # a failure is the environment's to record
            continue
        ids = tuple(seen.setdefault(text, f"text-{len(seen) + 1}") for text in documents)
        levels = [assess({"text": text}).level for text in documents]
        hits = tuple(
            Hit(Document(identity, text, evidence_level=level), 0.0)
            for identity, text, level in zip(ids, documents, levels, strict=True)
        )
        turns.append(SearchTurn(query, hits, ids, told or ("ok" if hits else "empty")))
    return tuple(turns)
