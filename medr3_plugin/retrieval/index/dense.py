"""Dense search: FAISS over the vectors of an index, opened memory-mapped."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index import faiss_library
from medr3_plugin.retrieval.index.encoder import Encoder, EncoderConfig, Vectors, check_probe
from medr3_plugin.retrieval.index.filters import Mask
from medr3_plugin.retrieval.index.lexical import MAX_QUERY_CHARACTERS, Rows, Scores

FILE = "vectors.faiss"


class DenseIndex:
    """A FAISS index with its encoder; safe to use from several threads.

    The encoder is loaded by the first search or by `warm_up`.

    Args:
        folder: where the index file lies.
        settings: the manifest's section `dense`.
        encoder: configuration of the model to embed queries with.

    Raises:
        UserError: a wrong file, or an encoder that is not the one the index was built with.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], encoder: EncoderConfig) -> None:
        faiss = faiss_library.faiss_module()
        self._folder = folder
        self._settings = settings
        self._config = encoder
        check_identity(encoder, settings["identity"], folder)
        try:
            self._index: Any = faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise UserError(f"{folder / FILE}: cannot be read; build the index again ({error})") from error
        self._kind: str = settings["index"]
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded and checked at the first use."""
        with self._lock:
            if self._encoder is None:
                encoder = Encoder(self._config)
                check_probe(encoder, self._settings["probe"], self._folder)
                self._encoder = encoder
            return self._encoder

    def search(self, queries: Sequence[str], topk: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """`[queries, topk]` row numbers and similarities, best first; -1 where there is nothing more."""
        topk = min(topk, len(self))
        asked = [number for number, query in enumerate(queries) if query.strip()]
        rows = np.full((len(queries), topk), -1, dtype=np.int64)
        scores = np.zeros((len(queries), topk), dtype=np.float32)
        if asked and topk:
            vectors = self.encoder.encode_queries(
                [queries[number][:MAX_QUERY_CHARACTERS] for number in asked]
            )
            rows[asked], scores[asked] = self.search_vectors(vectors, topk, mask)
        return rows, scores

    def search_vectors(self, vectors: Vectors, topk: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """The same for query vectors.

        A graph or inverted lists lose most results when few documents pass a filter, so a filtered search
        that comes back short is done again over all documents that pass.
        """
        topk = min(topk, len(self))
        found, scores = self._search(vectors, topk, mask, exhaustive=False)
        if mask is not None and self._kind in {"HNSW", "IVF"}:
            due = min(topk, int(mask.sum()))
            short = (found[:, :due] < 0).any(axis=1)
            if short.any():
                found[short], scores[short] = self._search(vectors[short], topk, mask, exhaustive=True)
        scores[found < 0] = 0
        return found, scores

    def warm_up(self) -> None:
        """Load the encoder and run one search."""
        self.search(["warm up"], 1)

    def _search(
        self, vectors: Vectors, topk: int, mask: Mask | None, *, exhaustive: bool
    ) -> tuple[Rows, Scores]:
        faiss = faiss_library.faiss_module()
        index, parameters = self._index, {}
        selector = None
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
            parameters["sel"] = selector
        if self._kind == "IVF":
            probes = index.nlist if exhaustive else self._settings["search"]["nprobe"]
            options = faiss.SearchParametersIVF(nprobe=probes, **parameters)
        elif self._kind == "HNSW" and not exhaustive:
            options = faiss.SearchParametersHNSW(
                efSearch=max(topk, self._settings["search"]["efSearch"]), **parameters
            )
        else:
            if self._kind == "HNSW":
                index = faiss.downcast_index(index.storage)
            options = faiss.SearchParameters(**parameters)
        scores, rows = faiss_library.search(index, vectors, topk, options)
        return rows, scores


def check_identity(encoder: EncoderConfig, expected: Mapping[str, Any], folder: Path) -> None:
    """Refuse an encoder whose files are not those that the index was built with."""
    found = encoder.identity()
    for name, value in expected.items():
        if name != "files" and found[name] != value:
            raise UserError(
                f"{folder}: built with encoder {name}={value!r}, asked for {found[name]!r}; "
                "pass the encoder the index was built with, or rebuild the index"
            )
    for which, value in expected["files"].items():
        path = encoder.article_path if which == "article" else encoder.path
        key = "article_encoder" if which == "article" else "encoder"
        option = f"--{key.replace('_', '-')} (search.{key})"
        if value and not found["files"][which]:
            raise UserError(
                f"{folder}: its {which} encoder {path!r} is missing; pass the model's folder with {option}"
            )
        if value and found["files"][which] != value:
            raise UserError(
                f"{folder}: the files of its {which} encoder {path!r} are not those it was built with; "
                f"pass the right encoder with {option}, or build the index again"
            )
