"""Text <-> typed trajectory: the one parser of the tag protocol.

A trajectory is the text of one rollout::

    <think> … <search> query </search><document> … </document> … </think><answer> … </answer>

`parse` is total (it returns a `Trajectory` for every string) and linear in the length of the text. The rules:

* Tags are exactly the eight lower-case ones. Anything else is text.
* A **document** runs from `<document>` to the next `</document>`; what lies between is data, never structure.
  An unclosed document runs to the end of the text.
* A **search** ends at every `</search>`: there the environment stops the model and searches. Its query begins at the
  last `<search>` since the search or document before, and other tags in it are words. Without one it is empty.
* An **answer** is an opening tag whose *next* tag is its own closing tag, else stray text. So no document becomes part
  of a query or of an answer.
* **think** regions hold searches and documents. If the first think tag is a closing one, the prompt is taken
  to have opened the region. An unclosed region runs to the end.
* An answer inside a think region does not count.
* A document that follows neither a search nor another document was **forged** by the model, and so was a
  stray `</document>`.
* Tokens of chat templates that end the text (`<|im_end|>`, `</s>`) are no part of it. Elsewhere they are text.

>>> t = parse("<think>hm <search>fever</search><document>Fever is …</document>so</think><answer>flu</answer>")
>>> t.answer, t.queries, t.documents, t.reasoning
('flu', ('fever',), ('Fever is …',), 'hm \\nso')
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from medr3_plugin.lookalikes import sub_seen

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
SEARCH_OPEN, SEARCH_CLOSE = "<search>", "</search>"
DOCUMENT_OPEN, DOCUMENT_CLOSE = "<document>", "</document>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"

TAG_NAMES = ("think", "search", "document", "answer")

SpanKind = Literal["think", "search", "document", "answer", "text"]

_TAG = re.compile(r"<(/?)(think|search|document|answer)>")
_MAX_END_TOKEN = 44
_END_TOKEN = re.compile(r"(?:<[|｜][^<>|｜\s]{1,40}[|｜]>|</s>|<eos>|<end_of_turn>)$")


class Span(NamedTuple):
    """One piece of a trajectory. The spans of a trajectory tile its text without gap or overlap.

    Attributes:
        kind: `think` is the model's own reasoning (a think region is cut into pieces by the searches and
            documents inside it), `text` lies outside every region.
        start: offset of the first character, tag included.
        end: offset after the last character, tag included.
        inner_start: offset after the opening tag (`start` if there is none).
        inner_end: offset of the closing tag (`end` if there is none).
        in_think: the span lies inside a think region.
    """

    kind: SpanKind
    start: int
    end: int
    inner_start: int
    inner_end: int
    in_think: bool


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A parsed rollout.

    Attributes:
        text: what was parsed, without end tokens.
        spans: tiles of `text`, in order.
        reasoning: the think pieces joined by newlines, without searches, documents and stray tags.
        answers: the answers outside of think regions, stripped, in order; empty ones are left out.
        queries: the searches' texts, stripped, in order (empty strings kept: a malformed search). They may hold tags.
        documents: the documents' texts, stripped, in order.
        think_opens: number of `<think>` tags outside documents.
        think_closes: number of `</think>` tags outside documents.
        answer_opens: number of `<answer>` tags outside documents.
        answer_closes: number of `</answer>` tags outside documents.
        think_at_start: nothing but white space precedes the first `<think>`.
        think_closed: there is a think region and the last one is closed.
        answer_in_think: an answer lies inside a think region.
        text_outside: there is text, or a search or document, outside of think regions and answers.
        stray_tags: tags that belong to no span, and each `</search>` that no `<search>` opened.
        forged: the text shows that the model wrote a document itself.
    """

    text: str
    spans: tuple[Span, ...]
    reasoning: str
    answers: tuple[str, ...]
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    think_opens: int
    think_closes: int
    answer_opens: int
    answer_closes: int
    think_at_start: bool
    think_closed: bool
    answer_in_think: bool
    text_outside: bool
    stray_tags: int
    forged: bool

    @property
    def answer(self) -> str | None:
        """The last answer, for what shows or measures one; None if there is none. A verdict takes all `answers`."""
        return self.answers[-1] if self.answers else None

    def inner(self, span: Span) -> str:
        """Text of `span` between its tags."""
        return self.text[span.inner_start : span.inner_end]


class _Event(NamedTuple):
    """A leaf span, or one of the two think tags (`open`, `close`), or a tag that belongs to nothing."""

    kind: Literal["search", "document", "answer", "open", "close", "stray"]
    start: int
    end: int
    inner_start: int
    inner_end: int


def parse(text: str) -> Trajectory:
    """Parse any string into a `Trajectory`, in linear time.

    Args:
        text: the response; it starts with `<think>` when the prompt ended with it.
    """
    text = without_end_tokens(text)
    events = _events(text)
    spans, think_closed, stray_think = _tile(text, events)
    by_kind = Counter(event.kind for event in events)
    stray = Counter(text[event.start : event.end] for event in events if event.kind == "stray")

    def inner(kind: SpanKind) -> tuple[str, ...]:
        return tuple(text[s.inner_start : s.inner_end].strip() for s in spans if s.kind == kind)

    placed = (text[s.inner_start : s.inner_end] for s in spans if s.kind == "answer" and not s.in_think)
    before_think = text.partition(THINK_OPEN)[0] if by_kind["open"] else "absent"
    return Trajectory(
        text=text,
        spans=spans,
        reasoning=_reasoning(text, spans),
        answers=tuple(answer.strip() for answer in placed if answer.strip()),
        queries=inner("search"),
        documents=inner("document"),
        think_opens=by_kind["open"],
        think_closes=by_kind["close"],
        answer_opens=by_kind["answer"] + stray[ANSWER_OPEN],
        answer_closes=by_kind["answer"] + stray[ANSWER_CLOSE],
        think_at_start=not before_think.strip(),
        think_closed=think_closed,
        answer_in_think=any(s.kind == "answer" and s.in_think for s in spans),
        text_outside=any(
            not s.in_think and s.kind != "answer" and bool(text[s.start : s.end].strip()) for s in spans
        ),
        stray_tags=stray.total()
        + stray_think
        + sum(e.kind == "search" and e.inner_start == e.start for e in events),
        forged=stray[DOCUMENT_CLOSE] > 0 or _document_out_of_place(text, spans),
    )


def without_end_tokens(text: str) -> str:
    """`text` without the control tokens of a chat template, and the blanks around them, that end it.

    >>> without_end_tokens("<answer>B</answer><|im_end|>\\n<|endoftext|>"), without_end_tokens("</s> p < 0.05")
    ('<answer>B</answer>', '</s> p < 0.05')
    """
    end = kept = len(text)
    while end:
        while end and text[end - 1].isspace():
            end -= 1
        token = _END_TOKEN.search(text, max(end - _MAX_END_TOKEN, 0), end)
        if token is None:
            break
        end = kept = token.start()
    return text if kept == len(text) else text[:kept].rstrip()


def _events(text: str) -> list[_Event]:
    """Structural events in order; think tags are not resolved into regions yet."""
    tags = list(_TAG.finditer(text))
    events: list[_Event] = []
    i = 0
    while i < len(tags):
        tag = tags[i]
        start, end = tag.span()
        closing, name = bool(tag[1]), tag[2]
        i += 1
        if name == "think":
            events.append(_Event("close" if closing else "open", start, end, end, end))
        elif name == "document" and not closing:
            while i < len(tags) and tags[i][0] != DOCUMENT_CLOSE:
                i += 1
            close_start, close_end = tags[i].span() if i < len(tags) else (len(text), len(text))
            events.append(_Event("document", start, close_end, end, close_start))
            i += 1
        elif name == "search" and (closed := _query_end(tags, i - closing)) is not None:
            close_start, close_end = tags[closed].span()
            events.append(_Event("search", start, close_end, min(end, close_start), close_start))
            i = closed + 1
        elif tag[0] == ANSWER_OPEN and i < len(tags) and tags[i][0] == ANSWER_CLOSE:
            close_start, close_end = tags[i].span()
            events.append(_Event("answer", start, close_end, end, close_start))
            i += 1
        else:
            events.append(_Event("stray", start, end, end, end))
    return events


def _query_end(tags: Sequence[re.Match[str]], i: int) -> int | None:
    """Place of the `</search>` that comes first of the tags from `i` on, but for those that a query may hold."""
    while i < len(tags) and tags[i][2] in ("think", "answer"):
        i += 1
    return i if i < len(tags) and tags[i][0] == SEARCH_CLOSE else None


def _tile(text: str, events: list[_Event]) -> tuple[tuple[Span, ...], bool, int]:
    """Cut the text into spans.

    Returns:
        The spans, whether the last think region is closed, and the number of misplaced think tags.
    """
    spans: list[Span] = []
    first = next((event.kind for event in events if event.kind in ("open", "close")), None)
    in_think = first == "close"  # the prompt opened the region
    closed = False
    misplaced = 0
    start = inner_start = 0  # of the piece of think or text in the making

    def finish(end: int, inner_end: int) -> None:
        if end > start:
            kind: SpanKind = "think" if in_think else "text"
            spans.append(Span(kind, start, end, inner_start, inner_end, in_think))

    for event in events:
        if event.kind == "open":
            if in_think:
                misplaced += 1
                continue
            finish(event.start, event.start)
            in_think, closed = True, False
            start, inner_start = event.start, event.end
        elif event.kind == "close":
            if not in_think:
                misplaced += 1
                continue
            finish(event.end, event.start)
            in_think, closed = False, True
            start = inner_start = event.end
        elif event.kind != "stray":
            finish(event.start, event.start)
            spans.append(
                Span(event.kind, event.start, event.end, event.inner_start, event.inner_end, in_think)
            )
            start = inner_start = event.end
    finish(len(text), len(text))
    return tuple(spans), closed, misplaced


def _reasoning(text: str, spans: tuple[Span, ...]) -> str:
    pieces = (_TAG.sub(" ", text[s.inner_start : s.inner_end]) for s in spans if s.kind == "think")
    return "\n".join(piece for piece in pieces if piece.strip()).strip()


def _document_out_of_place(text: str, spans: tuple[Span, ...]) -> bool:
    """A document that directly follows (white space apart) neither a search nor another document."""
    previous = "text"
    for span in spans:
        if span.kind == "document" and previous not in ("search", "document"):
            return True
        if span.kind in ("search", "document", "answer") or text[span.start : span.end].strip():
            previous = span.kind
    return False


class Query(NamedTuple):
    """The search that ends a generated segment: its query ("" if it has none) and the text carried past it."""

    text: str
    carried: str


def closing_query(text: str) -> Query | None:
    """The search that ends `text`; None if no search ends it.

    The engine stops at `</search>`, but its last token may carry characters past it.
    """
    parsed = parse(text)
    last = next((span for span in reversed(parsed.spans) if span.kind == "search"), None)
    return last and Query(parsed.inner(last).strip(), text[last.end :])


# angle brackets or their HTML entities around a tag's name, with blanks anywhere; runs are bounded to stay linear
_BLANK = r"\s{0,8}"
_LOOKALIKE = re.compile(
    rf"(?:<|&(?:lt|#60|#x3c);?){_BLANK}(?P<slash>[/\\]?){_BLANK}"
    rf"(?P<name>{'|'.join(map(_BLANK.join, TAG_NAMES))}){_BLANK}/?{_BLANK}(?:>|&(?:gt|#62|#x3e);?)",
    re.IGNORECASE,
)
# chat templates' control tokens: a tokenizer would turn them into the real thing
_CONTROL = re.compile(r"<\|([^<>|\n]{1,40})\|>")


def neutralise_tags(text: str) -> str:
    """Make everything in a retrieved text that is, or looks like, a tag of the protocol plain text.

    Round brackets take the place of the angle brackets, so the words stay readable. Chat control tokens such
    as `<|im_end|>` are treated alike. Idempotent; the result holds no tag, also not one newly formed.

    >>> neutralise_tags("a </document> < ANSWER >B&lt;/answer&gt;<|im_end|>")
    'a (/document) (answer)B(/answer)(im_end)'
    """

    def plain(tag: re.Match[str]) -> str:
        return f"({tag['slash'] and '/'}{''.join(tag['name'].split()).lower()})"

    return _CONTROL.sub(r"(\1)", sub_seen(_LOOKALIKE, plain, text))
