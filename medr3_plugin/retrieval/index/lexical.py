"""BM25 over a memory-mapped index in bm25s's file format.

The index holds, for each term, the documents with that term and their finished scores (`lexical_build`), so
that a query is a sum over a few slices. The summing is ours, not bm25s's, for three measured reasons
(docs/benchmarks/retrieval.md): bm25s recompiles its numba code in every process, sorts all documents for each
query when numba is absent, and takes a second to import.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medr3_plugin.errors import UserError
from medr3_plugin.retrieval.index import abbreviations
from medr3_plugin.retrieval.index.abbreviations import Abbreviations, Use
from medr3_plugin.retrieval.index.analyser import analysed, numbering, terms, terms_of
from medr3_plugin.retrieval.index.filters import Mask
from medr3_plugin.retrieval.index.other_names import (
    SHORT_NAMES,
    joined,
    lettered,
    of_a_name,
    of_word,
    other_names,
)
from medr3_plugin.retrieval.index.store import mapped

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

MAX_QUERY_CHARACTERS = 16_384
"""Longer queries are cut: some 2,500 words are more than any question, and bound the time of a search."""

K1, B = 1.5, 0.75
_FRACTION_OF_A_UNIT = re.compile(r"\.(?<=\d\.)\d+(?=[a-zµμ]{1,4}\b)", re.IGNORECASE)
"""2.5mg is 2.5 mg, not 5mg too."""
_RARER = 4
"""How many times rarer than another name the query's own must be for the other to be searched for, too."""

_OWN_SPELLING = 1 / 3
"""What a term that only the query's own spelling or plural has counts for.

Documents with it have the term of all spellings, too, so it only brings them before the others. With its full weight,
which is large where a spelling is rare, a corpus in American English is searched for whatever says "anaemia".
"""

_OTHER_WORD = 8
"""How many times more documents may have an abbreviation's word than define it, before it is taken for another word."""
_SHORT_IN_USE, _LONG_IN_USE = 2, 4
"""How many times more documents may have a query's form, an abbreviation or a long form, than the other one.

Beyond that a corpus has enough documents with the query's own.
"""
_WARM = 4096
"""Names of abbreviations looked up before the first search, at some 50 µs each."""
_LONG_FORM, _SHORT_FORM = 1 / 2, 1 / 4
"""What the other form counts for: all words of a long form together against the abbreviation, or an abbreviation."""

_DAMAGE = (OSError, EOFError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError)
_FEW = 256
"""Results up to which one pass with insertion is quicker than sorting."""
NO_SUCH_DOCUMENT = "the index names a document that it does not have"


def query_terms(query: str) -> tuple[list[str], list[str]]:
    """The terms that a query is searched with, repeated as often as they occur, and those of its own spelling alone."""
    surfaces, beside = _pieces(query)
    both = list(map(terms_of, surfaces))
    return [t for found, _ in both for t in found] + beside, [t for _, own in both for t in own]


def _pieces(query: str) -> tuple[list[str], list[str]]:
    query = query[:MAX_QUERY_CHARACTERS]
    return analysed(_FRACTION_OF_A_UNIT.sub(r"\g<0> ", query) if "." in query else query)


class LexicalIndex:
    """A BM25 index opened from its folder; safe to use from several threads.

    Raises:
        UserError: the folder does not hold a complete index.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._data, self._documents, self._starts = (
                mapped(folder / f"{name}.csc.index.npy", kinds)
                for name, kinds in (("data", "f"), ("indices", "iu"), ("indptr", "iu"))
            )
            self._vocabulary: dict[str, int] = json.loads((folder / "vocab.index.json").read_bytes())
            self._size = int(json.loads((folder / "params.index.json").read_bytes())["num_docs"])
            self._abbreviations = Abbreviations(folder / abbreviations.NAME)
            fits = self._fits()
        except _DAMAGE as error:
            raise UserError(f"{folder}: not a complete BM25 index ({error}); build it again") from error
        if not fits:
            raise UserError(f"{folder}: the BM25 index's files do not fit together; build it again")
        self.accumulate: Callable[..., None] = _accumulate
        self._best: Callable[..., int] | None = None  # compiled
        # the same words come again; they give tuples of numbers, which the garbage collector leaves alone
        remember = functools.lru_cache(maxsize=1 << 16)
        self._surface = remember(self._surface_terms)
        self._pair = remember(self._pair_terms)
        self._word = remember(self._word_terms)
        self._new = remember(self._new_terms)
        self._other = remember(self._other_form)

    def _fits(self) -> bool:
        """Whether every term leads to a slice of the postings; a search does not look at that again."""
        starts, count = self._starts, len(self._vocabulary)
        if len(starts) != count + 1 or not len(self._data) == len(self._documents) == starts[-1]:
            return False
        numbers = np.fromiter(self._vocabulary.values(), dtype=np.int64, count=count)
        in_order = starts[0] == 0 and bool(np.all(starts[1:] >= starts[:-1]))
        return in_order and bool(np.all((numbers >= 0) & (numbers < count)))

    def __len__(self) -> int:
        return self._size

    def terms(self, query: str) -> list[int]:
        """Term numbers of a query, repeated as often as they occur; unknown words are left out."""
        found, own, _ = self._terms(query)
        return found + own

    def _terms(self, query: str) -> tuple[list[int], list[int], list[str]]:
        """Term numbers of a query, those of its own spelling where there is one of all spellings, and its words."""
        surfaces, beside = _pieces(query)
        found = [number for term in beside if (number := self._vocabulary.get(term)) is not None]
        own: list[int] = []
        # type II is type 2, and A-fib one name, which documents of both spellings have
        spelt = numbering(surfaces).union(of_a_name(query))
        for surface in surfaces:
            of_all, forms = self._surface(surface)
            if surface in spelt:
                own += of_all
            else:
                found += of_all
            own += forms
        if latin := {self._vocabulary.get(term, -1) for term in lettered(query)}:
            own += sorted(latin - {-1, *found})
        return found, own, surfaces

    def _surface_terms(self, surface: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        known = self._vocabulary
        of_all, forms = (tuple([known[term] for term in part if term in known]) for part in terms_of(surface))
        # an index of version 2 has no term of a plural's singular
        return (of_all, forms) if of_all else (forms, ())

    def other_terms(self, query: str) -> list[int]:
        """Term numbers of other names, where a corpus has those and hardly ever the query's own.

        Beside an own name as frequent, another would count twice; a rarer one would weigh more ("followup" would
        bring the three documents in which it stands before all that have "follow-up").
        """
        found: dict[int, None] = {}
        names, words = other_names(query[:MAX_QUERY_CHARACTERS])
        for own, other in names:
            if own in SHORT_NAMES and self._abbreviations.defines(SHORT_NAMES[own]):
                continue
            found.update(dict.fromkeys(self._new(own, tuple(other))))
        for numbers in itertools.chain(map(self._pair, words, words[1:]), map(self._word, words)):
            if numbers:
                found.update(dict.fromkeys(numbers))
        return list(found)

    def _pair_terms(self, before: str, word: str) -> tuple[int, ...]:
        other = joined(before, word)
        return self._new(f"{before} {word}", (other,)) if other in self._vocabulary else ()

    def _word_terms(self, word: str) -> tuple[int, ...]:
        names = of_word(word, self._vocabulary) if len(word) > 5 or not word.isalpha() else ()
        return tuple([number for other in names for number in self._new(word, tuple(other))])

    def _new_terms(self, own: str, other: tuple[str, ...]) -> tuple[int, ...]:
        numbers = self._numbers(other)
        own_terms = terms(own) if numbers else []
        new = [n for term, n in zip(other, numbers) if term not in own_terms]  # noqa: B905 (none, if one is unknown)
        return tuple(new) if new and self._rarer(self._numbers(own_terms), numbers) else ()

    def _numbers(self, terms: Sequence[str]) -> list[int]:
        """The terms' numbers; none if one of them stands nowhere."""
        numbers = [self._vocabulary.get(term, -1) for term in terms]
        return [] if -1 in numbers else numbers

    def _rarer(self, own: list[int], other: list[int]) -> bool:
        """Whether documents with all terms of `own` are much rarer than those with all of `other`."""
        rare, often = self._count(own), self._together(other) if len(other) > 1 else self._count(other)
        if not often:  # the parts of "shipments" stand somewhere, but nowhere together
            return False
        return _RARER * rare <= often or (len(own) > 1 and _RARER * self._together(own) <= often)

    def _count(self, numbers: list[int]) -> int:
        """Documents of the rarest of the terms."""
        return min(map(self._frequency, numbers), default=0)

    def _together(self, numbers: list[int]) -> int:
        """In how many documents the terms stand together."""
        owners = [self._documents[self._starts[n] : self._starts[n + 1]] for n in dict.fromkeys(numbers)]
        owners.sort(key=len)
        found = owners[0]
        for documents in owners[1:]:
            found = found[documents.take(np.searchsorted(documents, found), mode="clip") == found]
        return len(found)

    def _abbreviated(self, query: str, words: list[str], present: list[int]) -> list[tuple[list[int], float]]:
        """Terms of the other forms of abbreviations in a query, and what they count for against its own."""
        found, own = {}, set(present)
        for use in self._abbreviations.of(query[:MAX_QUERY_CHARACTERS], words):
            numbers, weight = self._other(use)
            new = [number for number in numbers if number not in own]
            if 2 * len(new) > len(numbers):
                found[use.short, use.long] = new, weight
        return list(found.values())

    def _rarest(self, name: str) -> list[int]:
        """The rarest of a name's terms that stand anywhere; none if none does."""
        numbers = [self._vocabulary[term] for term in terms(name) if term in self._vocabulary]
        return sorted(numbers, key=self._frequency)[:1]

    def _other_form(self, use: Use) -> tuple[list[int], float]:
        """Term numbers of the form that a query does not have, and what they count for; none if its own is in use."""
        short = self._rarest(use.short.lower() if use.word else use.short)
        shorts = self._count(short)
        another_word = (
            not short or max(shorts, self._count(self._rarest(use.word))) > _OTHER_WORD * use.documents
        )
        if another_word:
            if use.word or not use.shortened:
                return [], 0.0
            shorts = use.documents
        long = self._numbers(list(dict.fromkeys(terms(use.long))))
        if not long:
            return [], 0.0
        if not use.shortened:
            in_use = (
                self._count(long) > _LONG_IN_USE * shorts and self._together(long) > _LONG_IN_USE * shorts
            )
            return ([], 0.0) if in_use else (short, _SHORT_FORM)
        if shorts > _SHORT_IN_USE * self._count(long) or shorts > _SHORT_IN_USE * self._together(long):
            return [], 0.0
        whole = sum(self._idf(self._frequency(number)) for number in long)
        return long, _LONG_FORM * use.share * min(1.0, self._idf(shorts) / whole)

    def _frequency(self, number: int) -> int:
        return int(self._starts[number + 1] - self._starts[number])

    def _idf(self, documents: int) -> float:
        return math.log1p((self._size - documents + 0.5) / (documents + 0.5))

    def search(self, queries: Sequence[str], topk: int, mask: Mask | None = None) -> tuple[Rows, Scores]:
        """`[queries, topk]` row numbers and scores, best first; -1 where fewer documents match.

        Documents of equal score come in row order.
        """
        topk = min(topk, self._size)
        rows = np.full((len(queries), topk), -1, dtype=np.int64)
        scores = np.zeros((len(queries), topk), dtype=np.float32)
        for number, query in enumerate(queries):
            terms, own, words = self._terms(query)
            terms += self.other_terms(query)
            beside = self._abbreviated(query, words, terms) + ([(own, _OWN_SPELLING)] if own else [])
            found, found_scores = self._search_one(terms, beside, topk, mask)
            rows[number, : len(found)] = found
            scores[number, : len(found)] = found_scores
        return rows, scores

    def _search_one(
        self, terms: list[int], beside: list[tuple[list[int], float]], topk: int, mask: Mask | None
    ) -> tuple[Rows, Scores]:
        scores = np.zeros(self._size + 1, dtype=np.float32)
        weights: dict[int, float] = {}
        for others, weight in (*beside, (terms, 1.0)):
            for number in others:
                weights[number] = weights.get(number, 0.0) + weight
        if not weights:
            return np.empty(0, dtype=np.int64), scores[:0]
        numbers = np.fromiter(weights, dtype=np.int64, count=len(weights))
        starts, ends = self._starts[numbers], self._starts[numbers + 1]
        factors = np.fromiter(weights.values(), dtype=np.float32, count=len(weights))
        self.accumulate(scores, self._data, self._documents, (starts, ends), factors)
        scores = scores[:-1]
        if mask is not None:
            scores *= mask
        if self._best is not None and topk <= _FEW:
            rows, best = np.empty(topk, dtype=np.int64), np.empty(topk, dtype=np.float32)
            found = self._best(scores, rows, best)
            return rows[:found], best[:found]
        shortest_first = np.argsort(ends - starts, kind="stable")
        bound = np.float32(0)
        for which in shortest_first:
            if ends[which] - starts[which] >= topk:
                # the k-th best of one term's documents is a lower bound for the k-th best of all
                bound = _kth(scores[self._documents[starts[which] : ends[which]]], topk)
                break
        candidates = np.flatnonzero(scores >= bound) if bound > 0 else np.flatnonzero(scores > 0)
        candidate_scores = scores[candidates]
        if len(candidates) > topk:
            keep = candidate_scores >= _kth(candidate_scores, topk)
            candidates, candidate_scores = candidates[keep], candidate_scores[keep]
        order = np.lexsort((candidates, -candidate_scores))[:topk]
        return candidates[order], candidate_scores[order]

    def warm_up(self) -> None:
        """Look up the commonest abbreviations, and use the compiled loops if numba is installed.

        They are compiled once a machine, then cached on disk.
        """
        for use in self._abbreviations.commonest(_WARM):
            self._other(use)
        try:
            from medr3_plugin.retrieval.index.lexical_compiled import accumulate, best
        except ImportError:
            return
        no_terms = np.empty(0, dtype=self._starts.dtype)
        scores = np.zeros(1, dtype=np.float32)
        accumulate(scores, self._data, self._documents, (no_terms, no_terms), scores[:0])
        best(scores, np.empty(1, dtype=np.int64), scores.copy())
        self.accumulate, self._best = accumulate, best


def _kth(values: Scores, k: int) -> np.float32:
    """The k-th largest of at least k values."""
    return np.partition(values, len(values) - k)[len(values) - k]


def _accumulate(
    scores: Scores, data: Scores, documents: Any, bounds: tuple[Any, Any], weights: Scores
) -> None:
    """Add each term's scores, from one bound to the other, to its documents, times its weight.

    `scores` is one longer than there are documents.
    """
    starts, ends = bounds
    slices = [slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    owners = np.concatenate([documents[part] for part in slices])
    added = np.concatenate([data[part] for part in slices]) * np.repeat(weights, ends - starts)
    if len(owners) and not 0 <= owners.min() <= owners.max() < len(scores) - 1:
        raise IndexError(NO_SUCH_DOCUMENT)  # `bincount` would make room for it
    scores += np.bincount(owners, weights=added, minlength=len(scores)).astype(np.float32)
