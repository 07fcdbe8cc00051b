"""Text that was copied is not the model's own: it earns nothing as reasoning.

Repeating the question or a retrieved document word for word would otherwise be the cheapest way to agree with
a reference and to "use" a document. Both kinds of copy are made of pieces, runs of words of which every `SHINGLE` in a
row occur in a source:

- Trails: pieces that follow one another as in the source, also where a few words were put in, left out or replaced. A
  trail of `RUN` or more words is cut.
- Scattered pieces of a document, in any order and with anything between them: all of them are cut if they make
  `SCATTERED` words, and half of the document or of what the model wrote.

Short quotations and terms stay, in any order. Without the order of trails a document of three sentences could not be
told from honest reasoning on the facts that it states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from functools import cached_property

from medr3_plugin.knowledge.text import Word, words

SHINGLE = 3
"""Shortest piece, in words (two Chinese characters each): one word put in after every third leaves a trail whole."""
RUN = 12
"""Fewest words of a trail that count as copied."""
INSERTED = 4
"""Most own words between two pieces of a trail; replaced words count."""
SKIPPED = 2
"""Most words of the source left out between two pieces of a trail: who skips more has chosen what to say."""
SCATTERED = 24
"""Fewest words in scattered pieces that count as a copy."""
_OFTEN = 2
"""A shingle that a source has more often is a set phrase and tells no place; bounds the time."""
_HALF_A_WORD = "\u3400"  # from here on a form is a Chinese character: two make about a word


class Source:
    """A text that can be copied: the hashes of its shingles without set phrases, and where they stand.

    Hashes are comparable within one process.
    """

    def __init__(self, forms: Sequence[str]) -> None:
        self.size = _size(forms)
        """forms in its shingles"""
        self._hashes = _hashes(forms, self.size)
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


class _Written:
    """A text that the model wrote, and those of its words that were copied."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[Word] = words(text)
        self.forms = [form for form, _, _ in self.words]
        self.copied: set[int] = set()
        self._shingles: dict[int, tuple[list[int], frozenset[int]]] = {}

    def shingles(self, size: int) -> tuple[list[int], frozenset[int]]:
        """The hashes of all runs of `size` forms, in order and as a set."""
        if size not in self._shingles:
            hashes = _hashes(self.forms, size)
            self._shingles[size] = hashes, frozenset(hashes)
        return self._shingles[size]


def without_copies(texts: Sequence[str], documents: Sequence[Source], question: Source) -> list[str]:
    """`texts` with the copies cut out (a blank stays in their place); own words put in between stay.

    Args:
        texts: all that one trajectory's model wrote but for answers. Time is linear in them for each source.
        documents: what it was shown.
        question: only trails of it are cut: honest reasoning names the findings of a case again.

    >>> document = "Thiazides raise serum urate. High urate makes crystals. They inflame the joint."
    >>> changed = "Thiazides raise serum urate. Yes! High urate makes crystals. They inflame the joint."
    >>> source, nothing = (Source([form for form, _, _ in words(text)]) for text in (document, ""))
    >>> without_copies([changed, "They inflame the joint: high urate makes crystals."], [source], nothing)
    ['. Yes!  .', 'They inflame the joint: high urate makes crystals.']
    """
    written = [_Written(text) for text in texts]
    taken: list[tuple[float, bool, list[set[int]]]] = []
    for source in (question, *documents):
        size = source.size
        common = [text.shingles(size)[1] & source.shingles for text in written]
        shared = sum(map(len, common))
        # a trail has at least this many shingles, which differ unless the source itself repeats one word
        if shared >= RUN // SHINGLE:
            for text, found in zip(written, common, strict=True):
                if len(found) >= RUN // SHINGLE:
                    text.copied |= _on_trails(text, source)
        # and as many words in pieces have more, repetitions aside
        if shared >= RUN and source is not question:
            weight, in_pieces = _in_pieces(written, common, size)
            if weight >= SCATTERED:
                distinct = len(frozenset().union(*common))
                taken.append((weight, 2 * distinct >= len(source.shingles), in_pieces))
    if taken:
        mostly_copied = 2 * sum(weight for weight, _, _ in taken) >= sum(
            _weight(text.forms) for text in written
        )
        for _, half, in_pieces in taken:
            if half or mostly_copied:
                for text, of_text in zip(written, in_pieces, strict=True):
                    text.copied |= of_text
    return [_cut(text) if text.copied else text.text for text in written]


def _in_pieces(
    written: Sequence[_Written], common: Sequence[Set[int]], size: int
) -> tuple[float, list[set[int]]]:
    """Number of words in pieces, and for each text which they are."""
    weight = 0.0
    words_in: list[set[int]] = []
    for text, found in zip(written, common, strict=True):
        of_text: set[int] = set()
        for first, end in _pieces(text.shingles(size)[0], found):
            weight += _weight(text.forms[first : end + size - 1])
            of_text.update(range(first, end + size - 1))
        words_in.append(of_text)
    return weight, words_in


def _pieces(hashes: Sequence[int], found: Set[int]) -> Iterator[tuple[int, int]]:
    """Runs of shingles that are all `found`: the first one and the one after the last."""
    first = None
    for i, shingle in enumerate(hashes):
        if shingle in found:
            first = i if first is None else first
        elif first is not None:
            yield first, i
            first = None
    if first is not None:
        yield first, len(hashes)


def _weight(forms: Sequence[str]) -> float:
    """Number of words; a Chinese character counts as half a word."""
    if not forms or max(forms) < _HALF_A_WORD:
        return float(len(forms))
    return sum(0.5 if form >= _HALF_A_WORD else 1.0 for form in forms)


def _on_trails(text: _Written, source: Source) -> set[int]:
    """The words that lie on a trail of `RUN` or more words."""
    size, places, hashes = source.size, source.places, text.shingles(source.size)[0]
    latest: dict[int, int] = {}  # place in the source: the last step there
    steps: list[tuple[int, int, float]] = []  # start in the text, step before (-1: none), words up to here
    for start, shingle in [(i, shingle) for i, shingle in enumerate(hashes) if shingle in places]:
        for place in places[shingle]:
            before, gained = _step_before(start, place, size, latest, steps)
            length = gained * (0.5 if text.forms[start] >= _HALF_A_WORD else 1.0)
            if before >= 0:
                length += steps[before][2]
            latest[place] = len(steps)
            steps.append((start, before, length))
    copied: set[int] = set()
    on_trail = bytearray(len(steps))
    for i in range(len(steps) - 1, -1, -1):
        start, before, length = steps[i]
        if on_trail[i] or length >= RUN:
            copied.update(range(start, start + size))
            if before >= 0:
                on_trail[before] = 1
    return copied


def _step_before(
    start: int, place: int, size: int, latest: dict[int, int], steps: Sequence[tuple[int, int, float]]
) -> tuple[int, int]:
    """The step that the shingle at `start` continues (-1: none), and how many words it adds."""
    for forward in range(1, size + SKIPPED + 1):
        before = latest.get(place - forward)
        if before is not None:
            moved = start - steps[before][0]
            if moved == forward or (forward >= size <= moved <= size + INSERTED):
                return before, min(forward, size)
    return -1, size


def _size(forms: Sequence[str]) -> int:
    """Forms in a shingle: twice as many where most are Chinese characters, half a word each."""
    return SHINGLE * (2 if 4 * _weight(forms) < 3 * len(forms) else 1)


def _hashes(forms: Sequence[str], size: int) -> list[int]:
    """Hashes of all runs of `size` forms, in order."""
    columns = [forms[i:] for i in range(size)]
    return list(map(hash, zip(*columns, strict=False)))


def _cut(text: _Written) -> str:
    """The text without its copied words, and what stands between two of them."""
    pieces = []
    kept_until = 0  # offset in the text up to which everything is dealt with
    last = -2
    for i in sorted(text.copied):
        _, begin, end = text.words[i]
        if i != last + 1 and begin > kept_until:
            pieces.append(text.text[kept_until:begin])
        kept_until, last = end, i
    pieces.append(text.text[kept_until:])
    return " ".join(pieces)
