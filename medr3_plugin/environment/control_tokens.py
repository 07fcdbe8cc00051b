"""The control tokens of the policy's tokenizer, which no document may contain.

Their texts are broken up before tokenising (`llm.control_tokens`); where we tokenise, any that remain are removed from
the ids.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from medr3_plugin.llm.control_tokens import neutralise_control_tokens
from medr3_plugin.trajectory import TAG_NAMES

_TAGS = frozenset(f"<{slash}{name}>" for name in TAG_NAMES for slash in ("", "/"))
"""Some models have tokens for these; they are the protocol's, and `trajectory.neutralise_tags` takes care of them."""


class ControlTokens(NamedTuple):
    """The control tokens of one tokenizer.

    Attributes:
        texts: as they are written.
        words: finds those that are plain words, such as `MASK`; None if there are none.
        special: those that decoding leaves out.
        ids: their ids.
    """

    texts: frozenset[str]
    words: re.Pattern[str] | None
    special: frozenset[str]
    ids: frozenset[int]


@lru_cache(maxsize=8)
def control_tokens(tokenizer: Any) -> ControlTokens:
    """What `tokenizer` turns into control tokens: its special tokens, and added ones in brackets (`<tool_call>`)."""
    found = dict(
        zip(
            getattr(tokenizer, "all_special_tokens", ()),
            getattr(tokenizer, "all_special_ids", ()),
            strict=False,
        )
    )
    special = set(found)
    for number, token in getattr(tokenizer, "added_tokens_decoder", {}).items():
        text = str(getattr(token, "content", token))
        if getattr(token, "special", True) or (text[:1] in "<[" and text[-1:] in ">]"):
            found[text] = number
        if getattr(token, "special", True):
            special.add(text)
    kept = {text: number for text, number in found.items() if text.strip() and text not in _TAGS}
    words = sorted((text for text in kept if text.strip().isalnum()), key=len, reverse=True)
    return ControlTokens(
        texts=frozenset(kept),
        words=re.compile("|".join(map(re.escape, words))) if words else None,
        special=frozenset(special),
        ids=frozenset(kept.values()),
    )


def as_data(text: str, tokenizer: Any) -> str:
    """`text` without anything that `tokenizer` would turn into a control token; its words stay readable."""
    known = control_tokens(tokenizer)
    text = neutralise_control_tokens(text, known.texts)
    return known.words.sub(lambda found: f"{found[0][:1]} {found[0][1:]}", text) if known.words else text


def without_controls(token_ids: Sequence[int], tokenizer: Any) -> list[int]:
    """`token_ids` without control tokens that rewriting the text could not prevent."""
    ids = control_tokens(tokenizer).ids
    return [number for number in token_ids if number not in ids]
