"""Plain substrings that are looked for before a regular expression: that takes a tenth of its time."""

from __future__ import annotations

from medr3_plugin.text import listed


class Triggers:
    """Substrings of which every match of a pattern holds at least one, in lower case.

    >>> Triggers("if unless 如果", "as long as").in_text("As long as it hurts")
    True

    Args:
        words: a blank-separated list.
        phrases: substrings with blanks.
    """

    def __init__(self, words: str, *phrases: str) -> None:
        self._all = (*listed(words), *phrases)
        self._ascii = tuple(filter(str.isascii, self._all))

    def in_text(self, text: str) -> bool:
        """Whether one of them stands in `text`, in any case."""
        return any(map(text.lower().__contains__, self._ascii if text.isascii() else self._all))
