"""Text that was copied is not the model's own: it earns nothing as reasoning.

Repeating the question or a retrieved document word for word would otherwise be the cheapest way to agree with
a reference and to "use" a document. Runs of `RUN` or more words that stand in a source are cut out before
extraction and embedding; short quotations stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from medr3_plugin.knowledge.text import Word, words

RUN = 12
"""Shortest run of words that counts as copied."""


def runs(forms: Sequence[str]) -> frozenset[int]:
    """Hashes of all runs of `RUN` words; comparable within one process."""
    return frozenset(hash(tuple(forms[i : i + RUN])) for i in range(len(forms) - RUN + 1))


def without_copies(text: str, sources: Iterable[Set[int]]) -> str:
    """`text` with the copied runs cut out (a blank stays in their place).

    Args:
        text: any text.
        sources: for each source its `runs`.
    """
    tokens = words(text)
    if len(tokens) < RUN:
        return text
    positions: dict[int, list[int]] = {}
    forms = [token.form for token in tokens]
    for i in range(len(forms) - RUN + 1):
        positions.setdefault(hash(tuple(forms[i : i + RUN])), []).append(i)
    own = positions.keys()
    starts = sorted({i for source in sources for run in own & source for i in positions[run]})
    return _cut(text, tokens, starts) if starts else text


def _cut(text: str, tokens: Sequence[Word], starts: Sequence[int]) -> str:
    pieces = []
    kept_until = 0  # offset in text up to which everything is dealt with
    for i in starts:
        begin, end = tokens[i].start, tokens[i + RUN - 1].end
        if begin > kept_until:
            pieces.append(text[kept_until:begin])
        kept_until = max(kept_until, end)
    pieces.append(text[kept_until:])
    return " ".join(pieces)
