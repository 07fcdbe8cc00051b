"""Cutting long documents into passages of a bounded number of tokens.

Passages overlap, end at a sentence where one ends in their last quarter, keep the document's title, source
and evidence level (judged on the whole document), and are named `<id>#c0`, `<id>#c1`, ...: the names depend
on the document's own text alone. A document that fits stays as it is, with its id.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from medr3_plugin.errors import UserError, needs
from medr3_plugin.hub_name import hub_or_cache
from medr3_plugin.records import Document

Spans = Sequence[tuple[int, int]]
Tokenizer = Callable[[str], Spans]
"""Text to the `(start, end)` characters of its tokens, in order."""

_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]|[^\W\u3040-\u30ff\u3400-\u9fff]+(?:(?<=\d)\.\d\w*)*|(?<!\w)\.\d\w*|[^\w\s]"
)
_DECIMAL_POINT = re.compile(r"(?<![^\W\d])\.\d")  # a model's tokenizer may cut 3.5 and .05 in pieces
_SENTENCE_END = re.compile(r"[.!?。！？；]['\")\]”’」』）]*$")


def word_tokens(text: str) -> Spans:
    """Words, decimal numbers (3.5mg, .05), punctuation marks, and single Chinese and Japanese characters.

    About 0.8 of the word pieces of a BERT tokenizer on medical English.
    """
    return [match.span() for match in _TOKEN.finditer(text)]


def model_tokens(path: str) -> Tokenizer:
    """The tokenizer of a model folder or Hugging Face name (`tokenizer.json`).

    Raises:
        MissingExtra: the package tokenizers is not installed.
        UserError: there is no such tokenizer.
    """
    with needs("tokenizers", "dense", "chunking by a model's tokens"):
        import tokenizers
    file = Path(path).expanduser() / "tokenizer.json"
    try:
        if file.is_file():
            loaded = tokenizers.Tokenizer.from_file(str(file))
        else:
            with hub_or_cache(path):
                loaded = tokenizers.Tokenizer.from_pretrained(path)
    except Exception as error:  # tokenizers raises bare Exception for everything
        raise UserError(f"no tokenizer at {path!r}: {error}") from error
    loaded.no_truncation()
    loaded.no_padding()
    return lambda text: loaded.encode(text, add_special_tokens=False).offsets


@dataclasses.dataclass(frozen=True, slots=True)
class Chunker:
    """Cuts documents.

    Attributes:
        tokens: most tokens of a passage's text (the title comes on top).
        overlap: tokens that a passage repeats of the one before.
        tokenizer: see `word_tokens`, `model_tokens`.
    """

    tokens: int
    overlap: int = 0
    tokenizer: Tokenizer = word_tokens

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise UserError(f"chunk tokens: expected at least 1, got {self.tokens}")
        if not 0 <= self.overlap < self.tokens:
            raise UserError(
                f"chunk overlap: expected 0 to {self.tokens - 1} (less than the tokens), got {self.overlap}"
            )

    def split(self, text: str) -> list[tuple[int, int]]:
        """`(start, end)` characters of each passage; together they cover all tokens."""
        spans = self.tokenizer(text)
        if len(spans) <= self.tokens:
            return [(0, len(text))]
        passages = []
        first = 0
        while True:
            last = min(first + self.tokens, len(spans))
            if last < len(spans):
                last = self._at_sentence_end(text, spans, first, last)
            passages.append((spans[first][0], spans[last - 1][1]))
            if last == len(spans):
                return passages
            # always forward, also when a sentence ended early and the overlap is large
            first = max(first + 1, last - self.overlap)

    def _at_sentence_end(self, text: str, spans: Spans, first: int, last: int) -> int:
        for end in range(last, last - self.tokens // 4, -1):
            start, stop = spans[end - 1]
            ends = end > first and _SENTENCE_END.search(text[start:stop])
            if ends and not _DECIMAL_POINT.match(text, stop - 1):
                return end
        return last

    def chunk(self, document: Document) -> Iterator[Document]:
        """The passages of a document, or the document itself if it fits."""
        passages = self.split(document.text)
        if len(passages) == 1:
            yield document
            return
        for number, (start, end) in enumerate(passages):
            yield dataclasses.replace(
                document,
                id=f"{document.id}#c{number}",
                text=document.text[start:end],
                extra={**document.extra, "parent_id": document.id, "chunk": number},
            )

    def chunk_all(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The passages of all documents, in order."""
        for document in documents:
            yield from self.chunk(document)
