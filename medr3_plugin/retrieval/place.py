"""Where searches go, if not to a service: an index folder or a Milvus collection."""

from __future__ import annotations

from typing import Literal

from medr3_plugin.retrieval.engine import Engine, SearchOptions, open_index
from medr3_plugin.retrieval.protocol import TOKEN_ENV
from medr3_plugin.yaml_section import Section


class SearchedPlace(Section):
    """An index folder or a Milvus collection, and how it is searched.

    Attributes:
        index: folder of a built index.
        uri: in place of an index, the address of a Milvus server, `http://host:19530`, or a Milvus Lite file for one
            process.
        collection: collection filled by `medr3 index build --engine milvus`.
        ranking: how a collection is ranked; null means `hybrid` if it has vectors, else `bm25`.
        search: how it is searched, like the options of `medr3 serve`.
    """

    index: str = ""
    uri: str = ""
    collection: str = ""
    ranking: Literal["bm25", "dense", "hybrid"] | None = None
    search: SearchOptions = SearchOptions()

    def opened(self, *, token_env: str = TOKEN_ENV, timeout_s: float = 30.0) -> Engine:
        """The engine; raises as `open_index` and `milvus.open_collection` do, which has these arguments."""
        if not self.uri:
            return open_index(self.index, self.search)
        from medr3_plugin.retrieval.milvus import open_collection

        return open_collection(
            self.uri,
            self.collection,
            self.search,
            ranking=self.ranking,
            token_env=token_env,
            timeout_s=timeout_s,
        )
