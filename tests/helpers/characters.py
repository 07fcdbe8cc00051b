"""A lossless tokenizer: one token a character."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Characters:
    chat_template = "characters"

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = True) -> str:
        return "".join(map(chr, token_ids))

    def apply_chat_template(self, messages: Any, **_: Any) -> list[int]:
        return self.encode("".join(f"[{m['role']}] {m['content']}\n" for m in messages) + "[assistant] ")
