"""Text that was copied is not the model's own: it earns nothing as reasoning.

Repeating the question or a retrieved document word for word would otherwise be the cheapest way to agree with
a reference and to "use" a document. Three filters cut copies out before extraction and embedding:

- `without_copies`: runs of `RUN` or more words that stand in a source.
- `without_near_copies`: the same with small changes. Pieces of `SHINGLE` or more words that follow one another in a
  source form a trail, also where a few words were put in, left out or replaced; a trail of `RUN` or more words is cut.
- `without_pieces`: pieces of `PIECE` or more words, in any order and with anything between them, of the documents that
  `copied_in_pieces` finds: those of which a text repeats half, or all of them if their words make half of the text.

Short quotations and terms stay, in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import cached_property

from medr3_plugin.knowledge.text import word_forms, words

RUN = 12
"""Fewest words that count as copied."""
SHINGLE = 3
"""Shortest piece of a trail, in words: one word put in or replaced after every third leaves it whole."""
INSERTED = 4
"""Most own words between two pieces of a trail; replaced words count."""
SKIPPED = 2
"""Most words of the source left out between two pieces of a trail: who skips more has chosen what to say."""
PIECE = 4
"""Shortest piece of a copy in pieces, in words: shorter ones are terms."""
SCATTERED = 24
"""Fewest words in such pieces that count as a copy."""
_OFTEN = 2
"""A shingle that a source has more often is a set phrase and tells no place; bounds the time."""
_HALF_A_WORD = "\u3400"  # from here on a form is a Chinese character: two make about a word


class Source:
    """A text that can be copied: the hashes of its short shingles without set phrases, and where they stand."""

    def __init__(self, forms: Sequence[str]) -> None:
        self._hashes = _hashes(forms, SHINGLE)
        self.shingles = frozenset(self._hashes)
        if len(self.shingles) < len(self._hashes):
            often = Counter(self._hashes)
            self.shingles = frozenset(shingle for shingle in self.shingles if often[shingle] <= _OFTEN)

    @cached_property
    def places(self) -> dict[int, list[int]]:
        """Positions of each shingle; made when a text shares enough of them."""
        places: dict[int, list[int]] = {shingle: [] for shingle in self.shingles}
        for place, shingle in enumerate(self._hashes):
            if shingle in places:
                places[shingle].append(place)
        return places


def runs(forms: Sequence[str]) -> frozenset[int]:
    """Hashes of all runs of `RUN` words; comparable within one process."""
    return frozenset(_hashes(forms, RUN))


def without_copies(text: str, sources: Iterable[frozenset[int]]) -> str:
    """`text` with the copied runs cut out (a blank stays in their place).

    Args:
        text: any text.
        sources: for each source its `runs`.
    """
    hashes = _hashes(word_forms(text), RUN)
    own = frozenset(hashes)
    copied = frozenset().union(*(own & source for source in sources))
    return _cut(text, [i for i, run in enumerate(hashes) if run in copied], RUN) if copied else text


def without_near_copies(text: str, sources: Iterable[Source]) -> str:
    """`text` with the trails of a source cut out; the words put in between stay.

    Args:
        text: any text.
        sources: what it may be copied from. Time is linear in the text for each.

    >>> source = Source(word_forms("Thiazides raise serum urate. High urate makes crystals. They inflame the joint."))
    >>> changed = "Thiazides raise serum urate. Yes! High urate makes crystals. They inflame the joint."
    >>> without_near_copies(changed, [source])
    '. Yes!  .'
    >>> without_near_copies("They inflame the joint: high urate makes crystals.", [source])
    'They inflame the joint: high urate makes crystals.'
    """
    forms = word_forms(text)
    hashes = _hashes(forms, SHINGLE)
    own = frozenset(hashes)
    copied: set[int] = set()
    for source in sources:
        # a trail has at least this many shingles, which differ unless the source itself repeats one word
        if len(own & source.shingles) >= RUN // SHINGLE:
            copied |= _on_trails(forms, hashes, source.places)
    return _cut(text, sorted(copied), SHINGLE) if copied else text


def copied_in_pieces(texts: Sequence[str], sources: Iterable[Source]) -> list[Source]:
    """The sources that `texts`, taken together, copy in pieces.

    Args:
        texts: one trajectory's own texts.
        sources: documents. Not the question: the findings of a case are named again in honest reasoning.
    """
    forms = [word_forms(text) for text in texts]
    hashes = [_hashes(words_, SHINGLE) for words_ in forms]
    own = frozenset().union(*hashes)
    size = sum(map(_weight, forms))
    taken: list[tuple[Source, float, bool]] = []  # words in pieces, whether they repeat half of the source
    for source in sources:
        common = own & source.shingles
        if len(common) < RUN:  # as many words in pieces have more, repetitions aside
            continue
        pieces = (
            words_[a:b] for words_, each in zip(forms, hashes, strict=True) for a, b in _pieces(each, common)
        )
        found = sum(weight for weight in map(_weight, pieces) if weight >= PIECE)
        if found >= SCATTERED:
            taken.append((source, found, 2 * len(common) >= len(source.shingles)))
    mostly_copied = 2 * sum(found for _, found, _ in taken) >= size
    return [source for source, _, half in taken if half or mostly_copied]


def without_pieces(text: str, sources: Iterable[Source]) -> str:
    """`text` without the pieces of `PIECE` or more words that stand in a source.

    >>> source = Source(word_forms("Thiazides raise serum urate. High urate makes crystals."))
    >>> without_pieces("High urate makes crystals, so thiazides raise serum urate.", [source])
    ', so  .'
    """
    forms = word_forms(text)
    hashes = _hashes(forms, SHINGLE)
    starts: set[int] = set()
    for source in sources:
        for a, b in _pieces(hashes, source.shingles):
            if _weight(forms[a:b]) >= PIECE:
                starts.update(range(a, b - SHINGLE + 1))
    return _cut(text, sorted(starts), SHINGLE) if starts else text


def _pieces(hashes: Sequence[int], found: Set[int]) -> Iterator[tuple[int, int]]:
    """Runs of shingles that are all `found`: first word and the one after the last."""
    start = None
    for i, shingle in enumerate(hashes):
        if shingle in found:
            start = i if start is None else start
        elif start is not None:
            yield start, i + SHINGLE - 1
            start = None
    if start is not None:
        yield start, len(hashes) + SHINGLE - 1


def _weight(forms: Sequence[str]) -> float:
    """Number of words; a Chinese character counts as half a word."""
    return sum(0.5 if form >= _HALF_A_WORD else 1.0 for form in forms)


def _on_trails(forms: Sequence[str], hashes: Sequence[int], places: dict[int, list[int]]) -> set[int]:
    """Starts of the shingles that lie on a trail of `RUN` or more words."""
    latest: dict[int, int] = {}  # place in the source: the last step there
    steps: list[tuple[int, int, float]] = []  # start in the text, step before (-1: none), words up to here
    for start, shingle in [(i, shingle) for i, shingle in enumerate(hashes) if shingle in places]:
        for place in places[shingle]:
            before, gained = _step_before(start, place, latest, steps)
            length = gained * (0.5 if forms[start] >= _HALF_A_WORD else 1.0)
            if before >= 0:
                length += steps[before][2]
            latest[place] = len(steps)
            steps.append((start, before, length))
    copied: set[int] = set()
    on_trail = bytearray(len(steps))
    for i in range(len(steps) - 1, -1, -1):
        start, before, length = steps[i]
        if on_trail[i] or length >= RUN:
            copied.add(start)
            if before >= 0:
                on_trail[before] = 1
    return copied


def _step_before(
    start: int, place: int, latest: dict[int, int], steps: Sequence[tuple[int, int, float]]
) -> tuple[int, int]:
    """The step that the shingle at `start` continues (-1: none), and how many words it adds."""
    for forward in range(1, SHINGLE + SKIPPED + 1):
        before = latest.get(place - forward)
        if before is not None:
            moved = start - steps[before][0]
            if moved == forward or (forward >= SHINGLE <= moved <= SHINGLE + INSERTED):
                return before, min(forward, SHINGLE)
    return -1, SHINGLE


def _hashes(forms: Sequence[str], width: int) -> list[int]:
    """Hashes of all runs of `width` words, in order."""
    columns = [forms[i:] for i in range(width)]
    return [hash(run) for run in zip(*columns, strict=False)]


def _cut(text: str, starts: Sequence[int], width: int) -> str:
    """`text` without the `width` words from each of `starts` on, which ascend."""
    tokens = words(text)
    pieces = []
    kept_until = 0  # offset in text up to which everything is dealt with
    for i in starts:
        begin, end = tokens[i][1], tokens[i + width - 1][2]
        if begin > kept_until:
            pieces.append(text[kept_until:begin])
        kept_until = max(kept_until, end)
    pieces.append(text[kept_until:])
    return " ".join(pieces)
