"""A tokenizer whose tokens are words, as a model's folder has it."""

from __future__ import annotations

from pathlib import Path

import pytest


def tokenizer_of(folder: Path, template: str | None) -> str:
    """Write it with this chat template, or without one; the folder's path as text."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    if template:
        fast.chat_template = template
    fast.save_pretrained(folder)
    (folder / "config.json").write_text("{}")
    return str(folder)
