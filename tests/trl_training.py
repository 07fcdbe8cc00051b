"""TRL's GRPOTrainer with the package's reward: `python trl_training.py FOLDER`.

A program of its own, as verl and this version of TRL cannot share an environment. Prints what each
step logged, by the form of the data.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from medr3_plugin.integrations.trl import medr3_reward

QUESTION = "Which vitamin prevents scurvy?"
PROMPTS = {"plain": f"{QUESTION} <think>", "conversational": [{"role": "user", "content": QUESTION}]}


def train(folder: str, prompt: Any) -> list[dict[str, Any]]:
    rows = [
        {"prompt": prompt, "question": QUESTION, "answers": ["vitamin C"], "options": options}
        for options in ({"A": "C", "B": "D"}, None)
    ]
    model, tokenizer = tiny_model()
    trainer = GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=medr3_reward,
        train_dataset=Dataset.from_list(rows),
        args=GRPOConfig(
            output_dir=folder, max_steps=2, num_generations=2, per_device_train_batch_size=2,
            max_completion_length=8, use_cpu=True, bf16=False, logging_steps=1, save_strategy="no", report_to=[],
        ),
    )  # fmt: skip
    trainer.train()
    return [step for step in trainer.state.log_history if "medr3/valid" in step]


def tiny_model() -> tuple[Any, Any]:
    """A random Qwen2 of some thousand weights, and a byte tokenizer with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<eos>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")
    fast.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
    config = Qwen2Config(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=1, pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return Qwen2ForCausalLM(config), fast


if __name__ == "__main__":
    print(json.dumps({data: train(f"{sys.argv[1]}/{data}", prompt) for data, prompt in PROMPTS.items()}))
