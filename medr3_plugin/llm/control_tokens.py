"""Control tokens of chat templates in text that is only data.

A tokenizer turns `<|im_end|>` or `</s>` into the control token wherever it stands, and whoever writes a document or
an answer could so end a turn and begin another one. `neutralise_control_tokens` breaks such tokens and leaves their
words readable: `<|im_end|>` becomes `(im_end)`.

A disguised token counts as the token itself, because a later clean-up (ours or a server's) may undo the disguise:
full-width and other lookalikes of brackets, bars and letters, and invisible characters inside.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2039\u3008\u2329\u27e8\u276e\u2770\u276c\u02c2\u1438\u00ab\u300a\u27ea", "<"),
        **dict.fromkeys("\u203a\u3009\u232a\u27e9\u276f\u2771\u276d\u02c3\u1433\u00bb\u300b\u27eb", ">"),
        **dict.fromkeys("\u2223\u2502\u2503\u01c0\u00a6\u2758\u2759\u275a\u23d0\u05c0\u0964\u07ca", "|"),
        **dict.fromkeys("\u2044\u2215\u29f8\u2571", "/"),
        **dict.fromkeys("\u2581\u02cd\u2017", "_"),
        **dict.fromkeys("\u3010\u3014\u27e6", "["),
        **dict.fromkeys("\u3011\u3015\u27e7", "]"),
        # Cyrillic and Greek letters that are drawn like Latin ones
        **dict(zip("асԁеһіјӏмոорԛѕтυѵԝхузαβεικνορτχ", "acdehijlmnopqstuvwxyzabeiknoptx", strict=False)),
    }
)
# letters and blanks without a shape of their own; format characters and marks go by their category
_UNSEEN = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164")
_UNSEEN_CATEGORIES = ("Cc", "Cf", "Mn", "Me")
_SEEN_CONTROLS = frozenset("\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85")
_UNSEEN_ASCII = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_NEEDS_A_LOOK = re.compile(r"[^\w\s.,;:()'\"%+=?!-]")

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
    if not _NEEDS_A_LOOK.search(text):
        return text
    shape, origin = _shape(text)
    pieces: list[str] = []
    done = 0
    pattern = _pattern(None if special_tokens is None else frozenset(special_tokens))
    for found in pattern.finditer(shape):
        start = found.start() if origin is None else origin[found.start()]
        pieces += [text[done:start], _broken(found[0])]
        done = found.end() if origin is None else origin[found.end() - 1] + 1
    return "".join([*pieces, text[done:]]) if pieces else text


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


def _shape(text: str) -> tuple[str, list[int] | None]:
    """What `text` looks like, and where each character of that comes from (None: from the same place)."""
    if text.isascii() and not _UNSEEN_ASCII.search(text):
        return text, None
    shape: list[str] = []
    origin: list[int] = []
    for place, char in enumerate(text):
        seen = _seen(char)
        shape.append(seen)
        origin += [place] * len(seen)
    return "".join(shape), origin


@lru_cache(maxsize=65536)
def _seen(char: str) -> str:
    if char in _SEEN_CONTROLS:
        return char
    parts = unicodedata.normalize("NFKD", char)
    return "".join(
        part for part in parts if part not in _UNSEEN and unicodedata.category(part) not in _UNSEEN_CATEGORIES
    ).translate(_LOOKALIKES)


@lru_cache(maxsize=16)
def _pattern(special_tokens: frozenset[str] | None) -> re.Pattern[str]:
    if special_tokens is None:
        return re.compile("|".join([_BARS, *_KINDS]))
    listed = {_shape(token)[0] for token in special_tokens}
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
