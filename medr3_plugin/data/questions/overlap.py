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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medr3_plugin.data.questions import reading
from medr3_plugin.data.questions.items import Item, options_of
from medr3_plugin.errors import RowError, UserError
from medr3_plugin.rows.values import clean

N_WORDS = 8
N_CHARACTERS = 16
THRESHOLD = 0.5

_CJK = re.compile(r"[\u3400-\u9fff]")
_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")

_QUESTION = ("original_question", "question", "QUESTION", "Question", "body", "case_report", "problem")
_OPTIONS = ("options", "choices", "Options")
_ID = ("id", "_id", "_key", "pubid", "qid")
"""Names under which the rows of evaluation sets have what is compared."""


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


def evaluation_rows(source: str) -> Iterator[tuple[reading.RawRow, Item | None]]:
    """Each row of an evaluation set, in whatever layout, with its question; None for a row that asks nothing.

    Labels do not matter here: a row without one, or with a wrong one, is compared too.

    Args:
        source: a file, folder or Hub dataset.

    Raises:
        UserError: a file of which no row holds a question.
    """
    for name, rows in reading.by_file(source):
        items = [None if row.error else _item(row) for row in rows]
        if not any(items):
            raise UserError(
                f"{name}: no row has a question to compare with (searched: "
                f"{', '.join(_QUESTION)}, 'prompt'); convert it to rows with 'question', or leave it out"
            )
        yield from zip(rows, items, strict=True)


def _item(row: reading.RawRow) -> Item | None:
    info = row.data.get("extra_info")  # verl's: ours, or another recipe's
    for data in (info, row.data.get("data"), row.data):
        if isinstance(data, Mapping) and (question := _question(data)):
            own = next((name for key in _ID if (name := clean(data.get(key)))), row.where)
            return Item(own, "", question, ("",), options=_options(data))
    return None


def _question(data: Mapping[str, Any]) -> str:
    for key in _QUESTION:
        if isinstance(value := data.get(key), str) and (text := clean(value)):
            return text
    if "_columns" in data:  # MMLU without header
        return clean(data["_columns"][0]) if len(data["_columns"]) == 6 else ""
    prompt = data.get("prompt")
    if isinstance(prompt, str):
        return clean(prompt)
    turns = [turn for turn in prompt or () if isinstance(turn, Mapping)] if isinstance(prompt, list) else []
    return clean(" ".join(str(turn.get("content")) for turn in turns if turn.get("role") == "user"))


def _options(data: Mapping[str, Any]) -> dict[str, str] | None:
    value: Any = next((data[key] for key in _OPTIONS if data.get(key)), None)
    if "opa" in data:
        value = [data.get(key) for key in ("opa", "opb", "opc", "opd")]
    elif "_columns" in data:
        value = data["_columns"][1:5]
    try:
        return options_of(value)
    except RowError:
        return None
