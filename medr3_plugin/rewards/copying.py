"""Text that was copied is not the model's own: it earns nothing as reasoning.

Repeating the question or a retrieved document word for word would otherwise be the cheapest way to agree with
a reference and to "use" a document. Runs of `RUN` or more words that stand in a source are cut out before
extraction and embedding; short quotations stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from medr3_plugin.knowledge.text import word_forms, words

RUN = 12
"""Shortest run of words that counts as copied."""


def runs(forms: Sequence[str]) -> frozenset[int]:
    """Hashes of all runs of `RUN` words; comparable within one process."""
    return frozenset(_run_hashes(forms))


def without_copies(text: str, sources: Iterable[frozenset[int]]) -> str:
    """`text` with the copied runs cut out (a blank stays in their place).

    Args:
        text: any text.
        sources: for each source its `runs`.
    """
    hashes = _run_hashes(word_forms(text))
    own = frozenset(hashes)
    copied = frozenset().union(*(own & source for source in sources))
    return _cut(text, [i for i, run in enumerate(hashes) if run in copied]) if copied else text


def _run_hashes(forms: Sequence[str]) -> list[int]:
    columns = [forms[i:] for i in range(RUN)]
    return [hash(run) for run in zip(*columns, strict=False)]


def _cut(text: str, starts: Sequence[int]) -> str:
    tokens = words(text)
    pieces = []
    kept_until = 0  # offset in text up to which everything is dealt with
    for i in starts:
        begin, end = tokens[i][1], tokens[i + RUN - 1][2]
        if begin > kept_until:
            pieces.append(text[kept_until:begin])
        kept_until = max(kept_until, end)
    pieces.append(text[kept_until:])
    return " ".join(pieces)
