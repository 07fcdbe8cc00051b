"""Searching an index: the protocol that service, tools and training use, and `open_index`."""

from __future__ import annotations

import functools
import logging
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from medr3_plugin.errors import UserError
from medr3_plugin.records import Hit
from medr3_plugin.retrieval.index import analyser
from medr3_plugin.retrieval.index import manifest as manifest_file
from medr3_plugin.retrieval.index.filters import Filters
from medr3_plugin.retrieval.index.lexical import LexicalIndex
from medr3_plugin.retrieval.index.store import DocumentStore
from medr3_plugin.retrieval.rerank import CrossEncoderReranker, prefer_evidence
from medr3_plugin.yaml_section import Section

if TYPE_CHECKING:
    from medr3_plugin.retrieval.hybrid import HybridRetriever
    from medr3_plugin.retrieval.index.dense import DenseIndex
    from medr3_plugin.retrieval.index.encoder import EncoderConfig

__all__ = ["Engine", "Filters", "IndexEngine", "SearchOptions", "open_index"]


logger = logging.getLogger(__name__)


class SearchOptions(Section):
    """How an index is searched; nothing here changes the index.

    Attributes:
        encoder: new location of a dense index's encoder; null means where it was when the index was built.
        article_encoder: the same for a separate encoder of documents.
        device: device of the encoder and the reranker; null lets them choose.
        depth: candidates that are fused, reranked or weighted by evidence. With more, `evidence_prior` can lift
            documents from further down.
        reranker: folder or Hugging Face name of a cross-encoder; null for none.
        rerank_depth: candidates scored by the cross-encoder, which takes nearly all of its time; use fewer on a CPU.
        evidence_prior: how much strong evidence is preferred: 0 not at all, 1 doubles a meta-analysis against an
            expert's opinion.
    """

    encoder: str | None = None
    article_encoder: str | None = None
    device: str | None = None
    depth: int = Field(100, ge=1)
    reranker: str | None = None
    rerank_depth: int = Field(50, ge=1)
    evidence_prior: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> SearchOptions:
        if "rerank_depth" in self.model_fields_set and self.rerank_depth > self.depth:
            raise ValueError(f"rerank_depth ({self.rerank_depth}) is larger than depth ({self.depth})")
        return self

    def encoder_config(self, recorded: Mapping[str, Any]) -> EncoderConfig:
        """How the encoder of an index is used now; `recorded` is how it was at building.

        Raises:
            UserError: a place for the article encoder of an index that has one model for both.
        """
        from medr3_plugin.retrieval.index.encoder import EncoderConfig

        if self.article_encoder and not recorded.get("article_path"):
            raise UserError(
                "--article-encoder (search.article_encoder): the index was built with one encoder for queries "
                "and documents; leave it out, and give that encoder's location with --encoder"
            )
        now = {"path": self.encoder, "article_path": self.article_encoder, "device": self.device}
        return EncoderConfig(**{**recorded, **{name: value for name, value in now.items() if value}})


class Engine(ABC):
    """What can be searched: ranked documents, reranking, the evidence prior. Safe to call from several threads.

    Attributes:
        manifest: of what is searched.
    """

    manifest: dict[str, Any]

    def __init__(self, options: SearchOptions) -> None:
        self._options = options
        self._reranker = (
            CrossEncoderReranker(options.reranker, options.rerank_depth, device=options.device)
            if options.reranker
            else None
        )

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def close(self) -> None:
        """Release the documents; the engine cannot be used afterwards."""

    @abstractmethod
    def candidates(self, queries: Sequence[str], count: int, filters: Filters | None) -> list[list[Hit]]:
        """The `count` best documents of each query by the engine alone."""

    def search(self, queries: Sequence[str], topk: int, filters: Filters | None = None) -> list[list[Hit]]:
        """The `topk` best documents of each query, best first.

        A list may be shorter than `topk`: BM25 leaves out documents without any common word, and an empty
        query has no hits. `topk` beyond the number of documents returns what there is.

        Raises:
            UserError: `topk` below 1.
        """
        if topk < 1:
            raise UserError(f"topk: expected at least 1, got {topk}")
        if not queries:
            return []
        reorders = self._reranker is not None or self._options.evidence_prior > 0
        results = self.candidates(queries, max(topk, self._options.depth) if reorders else topk, filters)
        if self._reranker is not None:
            results = self._reranker.apply(queries, results)
        return [prefer_evidence(hits, self._options.evidence_prior)[:topk] for hits in results]

    def warm_up(self) -> None:
        """Do now what the first searches would wait for: load models, compile."""
        if self._reranker is not None:
            self._reranker.warm_up()


class IndexEngine(Engine):
    """An index folder, opened. Use `open_index`.

    Attributes:
        manifest: its manifest.
        store: its documents.
        retriever: what ranks them.
    """

    def __init__(
        self,
        manifest: dict[str, Any],
        store: DocumentStore,
        retriever: LexicalIndex | DenseIndex | HybridRetriever,
        options: SearchOptions,
    ) -> None:
        self.manifest = manifest
        self.store = store
        self.retriever = retriever
        super().__init__(options)
        # a byte a document each; of the filters used last, so that a service computes each once
        self._mask = functools.lru_cache(maxsize=8)(lambda filters: filters.mask(store))

    def __len__(self) -> int:
        return len(self.store)

    def candidates(self, queries: Sequence[str], count: int, filters: Filters | None) -> list[list[Hit]]:
        """See `Engine.candidates`."""
        mask = None if filters is None or filters == Filters() else self._mask(filters)
        if mask is not None and not mask.any():
            return [[] for _ in queries]
        rows, scores = self.retriever.search(queries, count, mask)
        return [
            [Hit(self.store[row], score) for row, score in zip(*found, strict=True) if row >= 0]
            for found in zip(rows.tolist(), scores.tolist(), strict=True)
        ]

    def warm_up(self) -> None:
        """See `Engine.warm_up`."""
        self.retriever.warm_up()
        super().warm_up()

    def close(self) -> None:
        """See `Engine.close`."""
        self.store.close()


def open_index(path: str | Path, options: SearchOptions | None = None) -> IndexEngine:
    """Open a finished index folder; models are loaded by the first search, or by `warm_up`.

    Raises:
        UserError: no index, or an unfinished, corrupted or foreign one, or another encoder than it was built
            with; the message says which file and why.
    """
    folder = Path(path)
    options = options or SearchOptions()
    content = manifest_file.read(folder)
    store = DocumentStore(folder / "documents")
    with _naming(folder):
        retriever = _retriever(folder, content, options)
        count = content["documents"]["count"]
    if not len(store) == len(retriever) == count:
        raise UserError(f"{folder}: documents and index differ in number; build the index again")
    return IndexEngine(content, store, retriever, options)


def check_index(path: Path) -> None:
    """Whether `open_index` would find a whole index of today's analyser, without opening it.

    Raises:
        UserError: see `open_index`.
    """
    content = manifest_file.read(path)
    with _naming(path):
        if content["engine"] != "dense":
            _check_analyser(path, content)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """What a manifest lacks is named with its file."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{folder / manifest_file.NAME}: lacks what an index needs ({error!r}); build the index again"
        ) from error


def _retriever(
    folder: Path, content: dict[str, Any], options: SearchOptions
) -> LexicalIndex | DenseIndex | HybridRetriever:
    if content["engine"] != "dense":
        _check_analyser(folder, content)
    if content["engine"] == "bm25":
        if options.encoder:
            logger.warning(
                "%s is a BM25 index without vectors: encoder %s is not used", folder, options.encoder
            )
        return LexicalIndex(folder / "bm25")
    from medr3_plugin.retrieval.index.dense import DenseIndex

    dense = DenseIndex(
        folder / "dense", content["dense"], options.encoder_config(content["dense"]["encoder"])
    )
    if content["engine"] == "dense":
        return dense
    from medr3_plugin.retrieval.hybrid import HybridRetriever

    return HybridRetriever(LexicalIndex(folder / "bm25"), dense, depth=options.depth)


def _check_analyser(folder: Path, content: dict[str, Any]) -> None:
    """Refuse an index whose terms are not those that queries get now, and name one that lacks some of them."""
    built = content["bm25"].get("analyser", 1)
    if built == analyser.VERSION:
        return
    corpus = " ".join(
        f"--corpus {shlex.quote(part['source'])}" for part in content.get("built_from", {}).get("corpus", ())
    )
    encoder = content.get("dense", {}).get("encoder", {}).get("path")
    readable = built in analyser.READABLE
    message = (
        f"{folder}: built with version {built} of the analyser, this one is {analyser.VERSION}: "
        f"{'some spellings and notations' if readable else 'words'} would not be "
        f"found. Build it again: `medr3 index build {corpus or '--corpus ...'} --engine {content['engine']} "
        f"{f'--encoder {shlex.quote(encoder)} ' if encoder else ''}--out {shlex.quote(str(folder))} --overwrite`"
    )
    if not readable:
        raise UserError(message)
    logger.warning("%s", message)
