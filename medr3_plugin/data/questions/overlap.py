"""Overlap of training questions with evaluation sets: the same id, the same question, or much the same words.

Words are compared as n-grams (n = 8 words; Chinese text counts each character as a word and takes n = 16): an
item overlaps an evaluation item that holds at least half of the item's distinct n-grams. Half, not one: exam
questions share long stock phrases ("which of the following is the most appropriate next step in …"). Items
with fewer words than n are compared as a whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass

from medr3_plugin.data.questions.items import Item

N_WORDS = 8
N_CHARACTERS = 16
THRESHOLD = 0.5

_CJK = re.compile(r"[\u3400-\u9fff]")
_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True)
class Overlap:
    """One training item that overlaps with an evaluation item.

    Attributes:
        kind: `id`, `question` (same folded question and options) or `ngram`.
        share: share of the item's n-grams found in the evaluation item; 1.0 for the other kinds.
    """

    item_id: str
    evaluation_id: str
    evaluation_set: str
    kind: str
    share: float


def ngrams(text: str) -> frozenset[int]:
    """Hashes of the distinct n-grams of a text, in a normal form of its words."""
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    n = N_CHARACTERS if 2 * len(_CJK.findall(text)) > len(tokens) else N_WORDS
    if len(tokens) <= n:
        return frozenset((hash(tuple(tokens)),)) if tokens else frozenset()
    return frozenset(hash(tuple(tokens[i : i + n])) for i in range(len(tokens) - n + 1))


class OverlapIndex:
    """Evaluation items, ready to be compared with: memory and time linear in their text."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._keys: dict[tuple[str, ...], tuple[str, str]] = {}
        self._members: list[tuple[str, str]] = []
        self._grams: dict[int, list[int]] = defaultdict(list)

    def add(self, item: Item, name: str) -> None:
        """Add an item of the evaluation set `name`."""
        number = len(self._members)
        self._members.append((item.id, name))
        self._ids.setdefault(item.id, name)
        self._keys.setdefault(item.key, (item.id, name))
        for gram in ngrams(item.question):
            self._grams[gram].append(number)

    def find(self, item: Item) -> Overlap | None:
        """The strongest overlap of `item`, None if there is none."""
        if item.id in self._ids:
            return Overlap(item.id, item.id, self._ids[item.id], "id", 1.0)
        if item.key in self._keys:
            other, name = self._keys[item.key]
            return Overlap(item.id, other, name, "question", 1.0)
        grams = ngrams(item.question)
        met = Counter(number for gram in grams for number in self._grams.get(gram, ()))
        if not met:
            return None
        number, count = min(met.items(), key=lambda pair: (-pair[1], pair[0]))
        share = count / len(grams)
        if share < THRESHOLD:
            return None
        return Overlap(item.id, *self._members[number], "ngram", round(share, 4))
