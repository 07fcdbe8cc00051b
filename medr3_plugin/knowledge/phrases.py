"""Entities without a vocabulary: runs of content words.

The way out when no vocabulary is configured: every run of words between stop words and punctuation is taken
for a term (as in RAKE, Rose et al. 2010). Cruder than a vocabulary (no synonyms, verbs outside our list stick
to their object), but deterministic, and it cannot be tuned to a reference.
"""

from __future__ import annotations

from collections.abc import Sequence

from medr3_plugin.knowledge.stopwords import STOPWORDS
from medr3_plugin.knowledge.text import Word, join, normal_form, words
from medr3_plugin.knowledge.vocabulary import Mention

MAX_WORDS = 6
"""Longer runs are not terms; they are skipped."""


class PhraseFinder:
    """Takes runs of content words for entities; same interface as `vocabulary.Vocabulary`."""

    def normalise(self, text: str) -> str:
        """Normal form of a name."""
        return normal_form(text)

    def knows(self, entity: str) -> bool:  # noqa: ARG002 - the protocol's parameter
        """Never: a phrase is found only where it is cut out as one."""
        return False

    def find(self, text: str) -> list[Mention]:
        """Terms in `text`, in order.

        >>> [m.entity for m in PhraseFinder().find("The aortic root dilation is caused by Marfan syndrome.")]
        ['aortic root dilation', 'marfan syndrome']
        """
        return self.find_in(text, words(text))

    def find_in(self, text: str, tokens: Sequence[Word]) -> list[Mention]:
        """As `find`, for a text whose words are known already."""
        mentions = []
        run: list[Word] = []
        for word in tokens:
            form, start, end = word
            # "hepatitis A": a capital A inside a term is not an article
            stop = form in STOPWORDS and not (run and text[start:end] == "A")
            if run and (stop or not _adjacent(text, run[-1], word)):
                mentions.extend(_mention(run))
                run = []
            if not stop:
                run.append(word)
        mentions.extend(_mention(run))
        return mentions


def _adjacent(text: str, left: Word, right: Word) -> bool:
    return text[left[2] : right[1]].strip(" -–'’") == ""


def _mention(run: list[Word]) -> list[Mention]:
    if not run or len(run) > MAX_WORDS or not any(c.isalpha() for form, _, _ in run for c in form):
        return []
    return [Mention(join(form for form, _, _ in run), run[0][1], run[-1][2])]
