"""The records that the package's parts exchange: documents, searches, triples, references, samples.

Plain frozen dataclasses without validation, because a run builds millions of them. Input from outside is validated
where it is read (`rows`, `retrieval.corpus`, `data`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple

SearchOutcome = Literal["ok", "empty", "duplicate", "failed", "limit", "malformed"]
"""What became of one `<search>`:

`ok` new documents were shown; `empty` no hit; `duplicate` only documents that were shown before;
`failed` the backend failed (infrastructure); `limit` over the search budget, not executed;
`malformed` no query between the tags, or one longer than `MAX_QUERY_CHARS`, not executed.
"""

NOTICES: dict[SearchOutcome, str] = {
    "empty": "no document found",
    "duplicate": "no new document found",
    "failed": "search is not available, go on without it",
    "limit": "search limit reached, answer now",
    "malformed": "the search had no usable query",
}
"""What a model is shown instead of documents; `medr3.environment` may set others."""

MAX_QUERY_CHARS = 4096
"""Longest query that is searched for. A longer one is a model in a loop; the retrieval service may refuse it, and a
refusal would make the sample invalid where it should be worse."""


def is_query(text: str) -> bool:
    """Whether `text` is searched for; if not, its search is `malformed`."""
    return 0 < len(text.strip()) <= MAX_QUERY_CHARS


_CHUNK_SUFFIX = re.compile(r"(?:#c\d+)+$", re.ASCII)


def base_id(identity: str) -> str:
    """The document that a passage of `retrieval.corpus.chunking` was cut from; any other id unchanged.

    Gold documents are compared by it, on both sides: where a chunker cuts depends on its settings, so that a
    gold passage counts as found when any passage of its document was.

    >>> base_id("pubmed:17#c2"), base_id("pubmed:17")
    ('pubmed:17', 'pubmed:17')
    """
    return _CHUNK_SUFFIX.sub("", identity)


_PUBMED_ID = re.compile(
    r"(?:pubmed|pubmedqa|bioasq|medline|pmid)[:_ -]*(\d{1,9})"
    r"|https?://(?:www\.)?(?:pubmed\.ncbi\.nlm\.nih\.gov|ncbi\.nlm\.nih\.gov/pubmed)/(\d{1,9})/?"
    r"|(\d{7,8})",  # as long as PubMed's ids are and row numbers are not
    re.IGNORECASE | re.ASCII,
)
_PMC_ID = re.compile(
    r"(?:pmc(?:id)?[:_ -]*)+(\d{1,9})(?:\.\d+)?"
    r"|https?://(?:www\.|pmc\.)?ncbi\.nlm\.nih\.gov/(?:pmc/)?articles/PMC(\d{1,9})/?",
    re.IGNORECASE | re.ASCII,
)
_DOI = re.compile(r"(?:doi:\s*|(?:https?://)?(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=65536)
def canonical_id(identity: str) -> str:
    """One form for the ids under which corpora and question sets know the same article; others: `base_id`.

    >>> set(map(canonical_id, ("pubmedqa:11111111", "PMID: 11111111", "pubmed:11111111#c2", "11111111")))
    {'pmid:11111111'}
    >>> canonical_id("https://doi.org/10.1000/X1"), canonical_id("10.1000/x1"), canonical_id("pubmed23n0001_0")
    ('doi:10.1000/x1', 'doi:10.1000/x1', 'pubmed23n0001_0')
    >>> canonical_id("PMC7096066") == canonical_id("pmcid:PMC7096066") == canonical_id("pmc_7096066")
    True
    """
    identity = base_id(identity.strip())
    if found := _PUBMED_ID.fullmatch(identity):
        return f"pmid:{int(found[1] or found[2] or found[3])}"
    if found := _PMC_ID.fullmatch(identity):
        return f"pmc:{int(found[1] or found[2])}"
    if found := _DOI.fullmatch(identity):
        return f"doi:{found[1].lower()}"
    return identity


ID_COLUMNS = frozenset(("pmid", "pubmed_id", "pubmedid", "doi", "pmcid", "pmc_id", "pmc"))
"""Columns of a corpus, in lower case, that hold an article's other ids."""


def gold_found(gold: Iterable[str], ids: Iterable[str]) -> set[str]:
    """The gold documents, as canonical ids, that are among `ids` (`Document.ids` of what was retrieved).

    >>> gold_found(["pubmedqa:1", "d2"], Document("pubmed23n0001_0", "Text.", extra={"PMID": 1}).ids)
    {'pmid:1'}
    """
    return set(map(canonical_id, gold)).intersection(ids)


def article_ids(columns: Mapping[str, Any]) -> set[str]:
    """PMIDs, DOIs and PMC ids in the columns of a corpus, in the form of `canonical_id`."""
    return {known for column, value in columns.items() for known in _article_ids(column, value)}


def _article_ids(column: str, value: object) -> set[str]:
    """Ids in a column of a corpus; none if the column is not about ids, or is empty."""
    name = column.lower()
    if isinstance(value, (list, tuple)):
        return {known for one in value for known in _article_ids(column, one)}
    if isinstance(value, float) and value.is_integer():  # a column with nulls in it
        value = int(value)
    text = str(value).strip()
    if name not in ID_COLUMNS or not text:
        return set()
    if text.isdigit():
        text = f"{'pmc' if name.startswith('pmc') else 'pmid'}:{text}"
    known = canonical_id(text)
    return {known} if known.startswith(("pmid:", "doi:", "pmc:")) else set()


COLUMNS = ("id", "title", "text", "source", "evidence_type", "evidence_level", "year")
"""The columns of a document that mean something here."""


@dataclass(frozen=True, slots=True)
class Document:
    """One retrievable passage.

    Attributes:
        evidence_level: 1 (expert opinion, other) to 9 (meta-analysis), see `retrieval.corpus.evidence`.
        extra: further corpus columns (pmid, doi, url, ...), passed through untouched.
    """

    id: str
    text: str
    title: str = ""
    source: str = ""
    evidence_type: str = ""
    evidence_level: int = 1
    year: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ids(self) -> frozenset[str]:
        """Every id the document is known by, in the form of `canonical_id`: its own, its PMID, its DOI."""
        return frozenset({canonical_id(self.id), *article_ids(self.extra)})

    def columns(self) -> dict[str, Any]:
        """`COLUMNS` and their values; what is `extra` is not among them."""
        return {name: getattr(self, name) for name in COLUMNS}

    def row(self) -> dict[str, Any]:
        """The document as a flat JSON object: its columns, the corpus's further ones before them."""
        return {**self.extra, **self.columns()}


@dataclass(frozen=True, slots=True)
class Hit:
    """A document and the score its engine gave it (higher is better; scale depends on the engine)."""

    document: Document
    score: float


@dataclass(frozen=True, slots=True)
class SearchTurn:
    """One `<search>` of a trajectory and what came back.

    Attributes:
        hits: documents retrieved, best first, whether or not they were shown.
        shown: ids of the documents that were written into the trajectory (new ones within the budget).
        latency_s: seconds spent waiting for the backend.
        failure: `InfrastructureFailure.kind` when `outcome == "failed"`.
    """

    query: str
    hits: tuple[Hit, ...] = ()
    shown: tuple[str, ...] = ()
    outcome: SearchOutcome = "ok"
    latency_s: float = 0.0
    failure: str | None = None

    @property
    def executed(self) -> bool:
        """The search reached the backend and came back."""
        return self.outcome in ("ok", "empty", "duplicate")

    def row(self) -> dict[str, Any]:
        """The search as `trajectories.jsonl` has it: without the documents' texts, which are in the response."""
        return {
            "query": self.query,
            "documents": [
                {
                    "id": hit.document.id,
                    "ids": sorted(hit.document.ids),
                    "title": hit.document.title,
                    "evidence_type": hit.document.evidence_type,
                    "evidence_level": hit.document.evidence_level,
                    "score": hit.score,
                    "shown": hit.document.id in self.shown,
                }
                for hit in self.hits
            ],
            "outcome": self.outcome,
            "latency_s": round(self.latency_s, 6),
            "failure": self.failure,
        }


class Triple(NamedTuple):
    """A directed fact `head --relation--> tail`; `from_retrieval` if it stems from a document."""

    head: str
    relation: str
    tail: str
    from_retrieval: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A verified reasoning trajectory to compare with: its knowledge graph and its text."""

    triples: tuple[Triple, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One trajectory with everything that rewards may use.

    Attributes:
        question: as it was asked, without its options.
        response: the whole model-side text, documents included, special tokens removed. When the prompt
            ended with `<think>`, that tag is part of it.
        answers: accepted gold answers, the preferred one first (aliases after it). Never empty.
        options: letter -> text for choice questions, else None.
        gold_docs: ids of the documents known to contain the answer; empty if unknown. See `canonical_id`.
        searches: what the environment recorded, in order.
        triples: the model's own graph, if given instead of extracted.
        forged: whether the environment saw the model write document tags; None if no environment recorded the
            trajectory, so that the text has to show it.
        response_tokens: length of the response in tokens (documents included), for the overlong ramp; None
            switches the ramp off.
        failures: infrastructure failures before scoring, `service_kind` each; the sample is invalid if there are any.
    """

    id: str
    question: str
    response: str
    answers: tuple[str, ...]
    options: Mapping[str, str] | None = None
    dataset: str = ""
    gold_docs: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    searches: tuple[SearchTurn, ...] = ()
    triples: tuple[Triple, ...] | None = None
    stage: str = "reasoning"
    stage_progress: float = 0.0
    forged: bool | None = None
    response_tokens: int | None = None
    failures: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """What `trajectories.jsonl` says of the question."""
        return {
            "id": self.id,
            "dataset": self.dataset,
            "question": self.question,
            "answer": self.answers[0],
            "answers": list(self.answers),
            "options": dict(self.options) if self.options else None,
            "gold_docs": list(self.gold_docs),
        }


@dataclass(frozen=True, slots=True)
class ScoredSample:
    """The result of scoring one sample.

    Attributes:
        record: `rewards.record.KEYS` -> float, the same keys for every sample.
        reasons: JSON-able explanation of the parts (matched triples, documents that counted, ...).
        failures: kinds of the failures during scoring; non-empty means `record["valid"] == 0`.
    """

    id: str
    record: Mapping[str, float]
    reasons: Mapping[str, Any] = field(default_factory=dict)
    failures: Sequence[str] = ()
