"""Small files to evaluate on, and a tokenizer that needs no training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import medr3

from medr3_plugin.retrieval.index.build import build_index


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer with a chat template: 256 tokens, no training."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    fast.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant] "
    folder = tmp_path_factory.mktemp("tokenizer")
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def tokenizer(tokenizer_folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """An index of two documents and a benchmark of two questions."""
    corpus = [
        {"id": "d1", "title": "Marfan syndrome", "text": "Ectopia lentis and tall stature.", "source": "x"},
        {"id": "d2", "title": "Cystic fibrosis", "text": "Thick mucus in the lungs.", "source": "x"},
    ]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    build_index(tmp_path / "corpus.jsonl", tmp_path / "index")
    questions = [
        {
            "id": "m:1",
            "question": "Lens luxation and tall stature?",
            "answer": "Marfan syndrome",
            "gold_docs": ["d1"],
        },
        {"id": "m:2", "question": "Thick mucus?", "answer": "Cystic fibrosis", "gold_docs": ["d2"]},
    ]
    (tmp_path / "rare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    return tmp_path


@pytest.fixture
def evaluate(files: Path, httpserver: Any, tokenizer_folder: Path) -> Callable[..., Any]:
    """`medr3 eval` of the model that `httpserver` serves."""

    def run(*more: str, tokenizer: Path = tokenizer_folder) -> Any:
        arguments = ["eval", "--model", httpserver.url_for("/"), "--benchmark", "rare", "--data", files]
        arguments += ["--index", files / "index", "--tokenizer", tokenizer, "--out", files / "out"]
        return medr3(*arguments, "--response-length", "1200", *more)

    return run
