"""Control tokens of chat templates in text that is only data.

A tokenizer turns `<|im_end|>` or `</s>` into the control token wherever it stands, and whoever writes a document or
an answer could so end a turn and begin another one. `neutralise_control_tokens` breaks such tokens and leaves their
words readable: `<|im_end|>` becomes `(im_end)`.

A disguised token counts as the token itself, see `lookalikes`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from medr3_plugin.lookalikes import look, sub_seen

_BARS = r"<\||\|>|\[\||\|\]"  # <|im_end|>, [|user|]: either half is enough to break it
_KINDS = (
    r"</?(?:[A-Za-z][\w.:-]{0,60})/?>",  # </s>, <end_of_turn>, <bos>, <tool_call>
    r"\[/?(?:[A-Z][A-Z0-9_]{1,40}|[gs]MASK)\]",  # [INST], [SEP], [UNUSED_TOKEN_145], [gMASK]
    r">>[A-Z_]{2,40}<<",  # >>QUESTION<<
)
_EDGES = "<>[]|"


def neutralise_control_tokens(text: str, special_tokens: Collection[str] | None = None) -> str:
    """`text` without anything that a tokenizer takes for a control token, disguised or not; its words stay.

    Linear in the length of the text, idempotent, and the same object if there is nothing to do.

    Args:
        text: data, such as a document or an answer.
        special_tokens: the control tokens of the tokenizer that will read the text. Only these are broken then, and
            whatever has bars (`<|…|>`). None for an unknown tokenizer: everything of the usual kinds is broken,
            including tags in angle brackets that mean nothing to most tokenizers. A token that is a plain word
            cannot be told from the word and is left.

    >>> neutralise_control_tokens("Gout.<|im_end|> p < 0.05, <end\u200b_of_turn>")
    'Gout.(im_end) p < 0.05, (end_of_turn)'
    >>> neutralise_control_tokens("H<sub>2</sub>O \uff1c/s\uff1e", special_tokens=["</s>"])
    'H<sub>2</sub>O (/s)'
    """
    pattern = _pattern(None if special_tokens is None else frozenset(special_tokens))
    return sub_seen(pattern, lambda token: _broken(token[0]), text)


def as_data(text: str, special_tokens: Collection[str] = ()) -> str:
    """`text` for a chat model: without control tokens of the usual kinds, and without its own, if they are known."""
    text = neutralise_control_tokens(text)
    return neutralise_control_tokens(text, special_tokens) if special_tokens else text


def fence(text: str) -> str:
    """A marker line to put around `text`: changes with every character of it, so it cannot occur inside."""
    return f"=====[ {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]} ]====="


def _broken(token: str) -> str:
    if token in ("<|", "[|"):
        return "("
    if token in ("|>", "|]"):
        return ")"
    bare = token.strip(_EDGES)
    if bare and bare != token:
        return f"({bare})"
    return f"{token[:1]} {token[1:]}"


@lru_cache(maxsize=16)
def _pattern(special_tokens: frozenset[str] | None) -> re.Pattern[str]:
    if special_tokens is None:
        return re.compile("|".join([_BARS, *_KINDS]))
    listed = {look(token) for token in special_tokens}
    told_apart = [token for token in listed if token.strip() and not token.strip().isalnum()]
    longest_first = sorted(told_apart, key=lambda token: (-len(token), token))
    named = "|".join(map(re.escape, longest_first))
    return re.compile(f"(?i:{named})|{_BARS}" if named else _BARS)


def special_tokens_of(folder: str | Path) -> frozenset[str]:
    """The control tokens that the tokenizer files of a model folder list; empty if there are no such files.

    Reads `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`, without loading a tokenizer. Of
    the added tokens that are not marked as special, those in brackets belong to them (`<tool_call>`), words do not.
    """
    found: set[str] = set()
    for file in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        try:
            content = json.loads((Path(folder) / file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not isinstance(content, dict):
            continue
        added = content.get("added_tokens") or ()
        decoder = content.get("added_tokens_decoder") or {}
        for token in [*added, *(decoder.values() if isinstance(decoder, dict) else ())]:
            if not isinstance(token, dict) or not (name := token.get("content")):
                continue
            if token.get("special") or (name[0] in _EDGES and name[-1] in _EDGES):
                found.add(name)
        for key, value in content.items():
            if key.endswith(("_token", "_special_tokens")):
                found |= _contents(value)
    return frozenset(found)


def _contents(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        return {str(value["content"])} if "content" in value else set().union(*map(_contents, value.values()))
    return set().union(*map(_contents, value)) if isinstance(value, list) else set()
