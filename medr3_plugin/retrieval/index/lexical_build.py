"""Building a BM25 index in bounded memory.

bm25s itself holds every token of the corpus as a Python object while it builds. Here the term counts of each
document go to a temporary file, and a second pass scatters the finished scores into memory-mapped arrays, so
that the corpus may be larger than memory; what stays is the vocabulary and a few numbers a document.
The result is an index in bm25s's own files, equal to what bm25s builds (tested).

Scores (Lucene's BM25, Kamphuis et al. 2020): idf(t) · tf / (k1 · (1 − b + b · length / mean length) + tf),
idf(t) = ln(1 + (N − df + 0.5) / (df + 0.5)).
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index import abbreviations, analyser
from medr3_plugin.retrieval.index.analyser import analysed, terms_of
from medr3_plugin.retrieval.index.lexical import K1, B

BLOCK = 1 << 22  # postings handled at a time: 4 M, about 150 MB of arrays
_COUNTED = 1 << 20  # terms of documents counted at a time
_KNOWN_SURFACES = 4_000_000  # whose terms are remembered


class _Vocabulary(dict[str, tuple[int, ...]]):
    """Surfaces and the numbers of their terms, each analysed when it is first met.

    Attributes:
        numbers: of the terms, in order of first occurrence.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __missing__(self, surface: str) -> tuple[int, ...]:
        numbers = self.numbers
        terms = chain(*terms_of.__wrapped__(surface))  # what it remembers is remembered here
        found = self[surface] = tuple([numbers.setdefault(term, len(numbers)) for term in terms])
        return found

    def add(self, text: str, terms: array[int]) -> int:
        """Append the terms of a text, those of its notations last; returns how many are those of its words."""
        if len(self) > _KNOWN_SURFACES:
            self.clear()
        surfaces, notations = analysed(text)
        before = len(terms)
        terms.extend(chain.from_iterable(map(self.__getitem__, surfaces)))
        words = len(terms) - before
        terms.extend([self.numbers.setdefault(term, len(self.numbers)) for term in notations])
        return words


def build_lexical(texts: Iterable[str], folder: Path, *, k1: float = K1, b: float = B) -> dict[str, Any]:
    """Write a BM25 index of `texts`, in row order, into `folder`.

    Returns:
        What the manifest says about it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    postings = folder / "postings.tmp"
    vocabulary = _Vocabulary()
    finder = abbreviations.Finder()
    lengths, distinct = array("i"), array("i")
    frequencies = np.zeros(0, dtype=np.int64)
    try:
        with postings.open("wb") as file:
            buffer, ends = array("i"), array("q")  # the terms of some documents, and where those of each end

            def flush() -> None:
                nonlocal frequencies
                size = len(vocabulary.numbers)
                owners = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
                met, counts = np.unique(owners * size + np.asarray(buffer), return_counts=True)
                owners, terms = np.divmod(met, max(1, size))
                distinct.extend(np.bincount(owners, minlength=len(ends)).tolist())
                now = np.bincount(terms, minlength=size)
                now[: len(frequencies)] += frequencies
                frequencies = now
                np.stack((terms, counts), axis=1).astype(np.int32).tofile(file)

            for text in texts:
                finder.add(text)
                lengths.append(vocabulary.add(text, buffer))
                ends.append(len(buffer))
                if len(buffer) >= _COUNTED:
                    flush()
                    buffer, ends = array("i"), array("q")
            flush()
        if not vocabulary.numbers:
            raise UserError("the corpus has no words to index")
        norms = k1 * (1 - b + b * np.asarray(lengths) / max(1, sum(lengths)) * len(lengths))
        _scatter(postings, folder, norms, np.asarray(distinct), frequencies)
    finally:
        postings.unlink(missing_ok=True)
    (folder / "vocab.index.json").write_text(json.dumps(vocabulary.numbers, ensure_ascii=False))
    parameters = {"k1": k1, "b": b, "method": "lucene"}
    # as `bm25s.BM25.load` reads them
    others = {
        "delta": 0.5,
        "idf_method": "lucene",
        "dtype": "float32",
        "int_dtype": "int32",
        "version": "0.3.16",
    }
    content = {**parameters, **others, "num_docs": len(lengths), "backend": "numpy"}
    (folder / "params.index.json").write_text(json.dumps(content, indent=2))
    beside = [number for term, number in vocabulary.numbers.items() if term.startswith("=")]
    return {
        **parameters,
        "analyser": analyser.VERSION,
        "terms": len(vocabulary.numbers) - len(beside),
        "postings": int(frequencies.sum() - frequencies[beside].sum()),
        "notations": len(beside),
        "abbreviations": finder.write(folder / abbreviations.NAME),
    }


def _scatter(
    postings: Path,
    folder: Path,
    norms: np.ndarray[Any, np.dtype[np.float64]],
    distinct: np.ndarray[Any, np.dtype[np.int32]],
    frequencies: np.ndarray[Any, np.dtype[np.int64]],
) -> None:
    """Turn the term counts in document order into scores in term order (a counting sort, block by block)."""
    documents, total = len(norms), int(frequencies.sum())
    starts = np.zeros(len(frequencies) + 1, dtype=np.int64)
    np.cumsum(frequencies, out=starts[1:])
    np.save(folder / "indptr.csc.index.npy", starts)
    data = _new_array(folder / "data.csc.index.npy", np.float32, total)
    rows = _new_array(folder / "indices.csc.index.npy", np.int32, total)
    idf = np.log(1 + (documents - frequencies + 0.5) / (frequencies + 0.5)).astype(np.float32)
    pairs = np.memmap(postings, dtype=np.int32, mode="r").reshape(-1, 2)
    ends = np.cumsum(distinct, dtype=np.int64)
    cursor = starts[:-1].copy()
    first = 0
    while first < documents:
        begin = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begin + BLOCK, side="right")))
        block = np.asarray(pairs[begin : ends[last - 1]])
        owners = np.repeat(np.arange(first, last, dtype=np.int32), distinct[first:last])
        order = np.argsort(block[:, 0], kind="stable")
        terms, counts, owners = block[order, 0], block[order, 1], owners[order]
        met, run_starts, run_lengths = np.unique(terms, return_index=True, return_counts=True)
        places = cursor[terms] + np.arange(len(terms)) - np.repeat(run_starts, run_lengths)
        rows[places] = owners
        data[places] = idf[terms] * (counts / (norms[owners] + counts))
        cursor[met] += run_lengths
        first = last
    data.flush()
    rows.flush()


def _new_array(path: Path, dtype: npt.DTypeLike, length: int) -> Any:
    """A new memory-mapped `.npy` file."""
    if not length:
        empty = np.empty(0, dtype=dtype)
        np.save(path, empty)
        return empty
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(length,))  # type: ignore[no-untyped-call]
    with path.open("r+b") as file:
        # the file is sparse so far: on a full disk, writing to the mapping would kill the process (SIGBUS)
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return mapped
