"""Small corpora and a tiny real sentence encoder for the tests of corpus, indexes and engines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medr3_plugin.text import listed

WORDS = listed(
    "metformin glucose insulin diabetes heart failure atrial fibrillation stroke warfarin aspirin "
    "trial patients placebo randomised cohort mortality asthma children inhaler steroid cancer "
    "tumour chemotherapy survival kidney dialysis anaemia iron infection sepsis antibiotic "
    "resistance vaccine measles pregnancy hypertension"
)


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Documents of words that differ in kind and number, ids `d0`, `d1`, ..."""
    made = []
    for number in range(count):
        chosen = [
            WORDS[(number * 7 + step * (1 + number % 5)) % len(WORDS)] for step in range(6 + number % 9)
        ]
        made.append(
            {
                "id": f"d{number}",
                "title": f"About {chosen[0]}" if number % 3 else "",
                "text": f"{' '.join(chosen)} in case {number}.",
                "source": ("pubmed", "guidelines", "nih")[number % 3],
                "evidence_type": ("rct", "guideline", "other")[number % 3],
                "year": 1990 + number % 30 if number % 4 else None,
            }
        )
    return made


def write_jsonl(path: Path, items: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def tiny_encoder(folder: Path, seed: int = 0, dimension: int = 32) -> Path:
    """A sentence-transformers model with one layer and random weights, saved as a folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS, "about", "in", "case"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dimension,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    plain = folder.with_name(f"{folder.name}-plain")
    BertModel(config).save_pretrained(plain)
    fast.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=32)
    SentenceTransformer(modules=[transformer, Pooling(dimension, "mean")], device="cpu").save(str(folder))
    return folder
