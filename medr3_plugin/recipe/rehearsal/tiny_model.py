"""A model of the recipe's architecture, shrunk until a CPU trains it in seconds, with random weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from medr3_plugin.errors import UserError, needs
from medr3_plugin.llm.prompt_file import prompt
from medr3_plugin.recipe.memory import published_config

HEAD_SIZE = 32
"""Smallest head size that vLLM's CPU attention takes."""
LAYERS = 2
STAND_IN_VOCABULARY = 4096

_CHATML = Path(__file__).with_name("chatml.jinja")
"""In the form of Qwen's and other templates: roles between control tokens, tools as JSON in the system turn."""


class TinyModel(NamedTuple):
    """What was built.

    Attributes:
        folder: weights, configuration and tokenizer in Hugging Face form.
        architecture: `model_type` and the shrunk dimensions, for people.
        tokenizer: where the tokenizer came from, for people.
        real_tokenizer: whether it is the recipe's own, so that measured lengths are the real ones.
    """

    folder: Path
    architecture: str
    tokenizer: str
    real_tokenizer: bool


def build_tiny_model(path: str, folder: Path, *, texts: Iterable[str], stand_ins: bool) -> TinyModel:
    """Write a tiny model of the architecture of `path` into `folder`.

    Args:
        path: the recipe's `actor_rollout_ref.model.path`: a local folder or a hub name. Of a hub name, what lies in
            the local Hugging Face cache is used; nothing is downloaded.
        texts: what a stand-in tokenizer learns its words from.
        stand_ins: whether a tokenizer may be learned where the recipe's own is not available.

    Raises:
        UserError: no configuration or no tokenizer is available; says how to get them.
        MissingExtra: transformers or torch is not installed.
    """
    with needs("transformers", "verl", "rehearsing a recipe"):
        from transformers import AutoModelForCausalLM, set_seed
    config = _configuration(path)
    tokenizer, source, real = _tokenizer(path, texts, stand_ins)
    whole = _shrink(config)
    # a real tokenizer may have fewer entries than the model's padded embedding
    config.vocab_size = max(config.vocab_size, len(tokenizer)) if real else len(tokenizer)
    config.bos_token_id, config.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    config.dtype = "float32"
    set_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return TinyModel(folder, f"{config.model_type} {whole}", source, real)


def _configuration(path: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(Path(path).expanduser()), local_files_only=True)
    except (OSError, ValueError):
        pass  # not on this machine, or a Hub name that is not in the cache
    if (published := published_config(path)) is None:
        raise UserError(
            f"actor_rollout_ref.model.path: no config.json of {path} on this machine, and its architecture is not "
            "built in: give a local folder with its config and tokenizer (paths.model=FOLDER), or download it once"
        )
    return AutoConfig.for_model(**published)


def _shrink(config: Any) -> str:
    """Two layers, heads of 32; queries per key-value head and the width of the MLP keep their ratios."""
    heads = int(config.num_attention_heads)
    kv_heads = int(getattr(config, "num_key_value_heads", None) or heads)
    wider = max(1, round(int(config.intermediate_size) / int(config.hidden_size)))
    small_kv = 2  # two ranks of tensor parallelism find a head each
    config.num_hidden_layers = LAYERS
    config.num_key_value_heads = small_kv
    config.num_attention_heads = small_kv * max(1, heads // kv_heads)
    config.hidden_size = config.num_attention_heads * HEAD_SIZE
    config.intermediate_size = wider * config.hidden_size
    if getattr(config, "head_dim", None):
        config.head_dim = HEAD_SIZE
    if getattr(config, "layer_types", None):
        config.layer_types = list(config.layer_types)[:LAYERS]
    return (
        f"({LAYERS} layers, width {config.hidden_size}, {config.num_attention_heads} heads for {small_kv} "
        "key-value heads, random weights)"
    )


def _tokenizer(path: str, texts: Iterable[str], stand_ins: bool) -> tuple[Any, str, bool]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(Path(path).expanduser()), local_files_only=True)
    except (OSError, ValueError, KeyError):
        tokenizer = None
    if tokenizer is not None:
        if not tokenizer.chat_template:
            raise UserError(f"actor_rollout_ref.model.path: the tokenizer of {path} has no chat template")
        return tokenizer, f"{path} (its own)", True
    if not stand_ins:
        raise UserError(
            f"actor_rollout_ref.model.path: no tokenizer of {path} on this machine: download it once, give a local "
            "folder (paths.model=FOLDER), or use --stand-ins, which learns one from the data"
        )
    return _learnt(texts), f"learned from the data ({STAND_IN_VOCABULARY} entries, ChatML template)", False


def _learnt(texts: Iterable[str]) -> Any:
    """A byte-level BPE in the form of Qwen's."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=STAND_IN_VOCABULARY,
        special_tokens=control,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # as Qwen and others have them: one token each, and ordinary text
    tokenizer.add_tokens([AddedToken(t, special=False) for t in ("<tool_call>", "</tool_call>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",  # noqa: S106 (a control token)
        pad_token="<|endoftext|>",  # noqa: S106
        additional_special_tokens=["<|im_start|>"],
        chat_template=prompt(_CHATML),
    )
