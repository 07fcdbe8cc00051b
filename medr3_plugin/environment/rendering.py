"""Documents as the model sees them: rendered between tags, within a token budget, tags neutralised."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from medr3_plugin.environment.control_tokens import as_data, without_controls
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.records import Document, Hit
from medr3_plugin.trajectory import DOCUMENT_CLOSE, DOCUMENT_OPEN, THINK_OPEN, neutralise_tags

MIN_DOCUMENT_TOKENS = 16
"""Below this a document is not worth showing: the two tags alone take about ten tokens."""

_TITLE = re.compile(r"\{title\}[.:,;]?\s*")  # with what parts it from the text


MAX_TOKEN_CHARACTERS = 64
"""Characters a token of running text has at most."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is needed here."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...  # noqa: D102
    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool) -> str: ...  # noqa: D102


def opens_think(prompt_ids: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Whether the prompt ends with `<think>`, as some chat templates write it (R1 distillations, Qwen3-Thinking).

    The response then continues inside the region, and is read as if it began with the tag.
    """
    end = tokenizer.decode(prompt_ids[-16:], skip_special_tokens=False)  # more tokens than the tag can have
    return end.rstrip().endswith(THINK_OPEN)


def document_text(document: Document, template: str) -> str:
    """The document by the template, on one line, without anything that could pass for a tag."""
    known = [document.source, document.evidence_type, str(document.year or "")]
    header = ", ".join(part for part in known if part)
    if not document.title:
        template = _TITLE.sub("", template)
    text = template.format(
        header=f"[{header}] " if header else "",
        title=document.title,
        text=document.text,
        summary=document.extra.get("summary") or document.text,
        source=document.source,
        evidence_type=document.evidence_type,
        year=document.year or "",
    )
    return neutralise_tags(" ".join(text.split()))


def fit_block(text: str, budget: int, tokenizer: Tokenizer, carried: str = "") -> str:
    """`<document> text </document>`, the text cut so that the block has at most `budget` tokens.

    The cut falls on a word boundary, so that no half word and no half character is shown. Returns "" if not even the
    tags fit.

    Args:
        carried: what the model's last token holds past its stop string. Where a tokenizer has a token for
            `><`, a model that expects a document after `</search>` generates the block's first character
            itself; it is kept, and not written a second time.
    """
    opening = DOCUMENT_OPEN.removeprefix(carried)
    # of a book in one line no more is looked at than could be shown
    text = as_data(text[: budget * MAX_TOKEN_CHARACTERS], tokenizer)

    def block(body: str) -> str:
        return f"{opening} {body} {DOCUMENT_CLOSE}"

    def tokens(block: str) -> int:
        return len(tokenizer.encode(block, add_special_tokens=False))

    if tokens(block(text)) <= budget:
        return block(text)
    body = tokenizer.encode(text, add_special_tokens=False)
    # a tokenizer may need a token or two more around the cut
    for room in range(budget - tokens(block("")), 0, -1):
        cut = tokenizer.decode(body[:room], skip_special_tokens=True)
        cut = cut.rsplit(" ", 1)[0].rstrip(" ,;:(\ufffd") if " " in cut else cut.rstrip("\ufffd")
        if cut and tokens(block(cut)) <= budget:
            return block(cut)
    return ""


def encode_block(text: str, budget: int, tokenizer: Tokenizer, carried: str = "") -> list[int]:
    """Tokens of `fit_block`, none of them a control token; an empty list if not even the tags fit."""
    block = fit_block(text, budget, tokenizer, carried)
    return without_controls(tokenizer.encode(block, add_special_tokens=False), tokenizer) if block else []


def render_hits(
    hits: Sequence[Hit],
    budget: int,
    settings: EnvironmentSettings,
    tokenizer: Tokenizer,
    carried: str = "",
) -> tuple[list[int], tuple[str, ...]]:
    """Tokens of as many documents as fit `budget`, best first, and the ids of those shown."""
    ids: list[int] = []
    shown: list[str] = []
    budget = min(budget, settings.search_tokens)
    for hit in hits:
        room = min(settings.document_tokens, budget - len(ids))
        if room < MIN_DOCUMENT_TOKENS:
            break
        text = document_text(hit.document, settings.document_template)
        block = encode_block(text, room, tokenizer, "" if shown else carried)
        if block:
            ids += block
            shown.append(hit.document.id)
    return ids, tuple(shown)
