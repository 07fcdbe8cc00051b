"""CPU seconds of the update, for each trajectory: verl's engine against the packed one (`platform_cpu.shared_prefix`).

python benchmarks/shared_prefix.py [--data data/quickstart] [--model FOLDER] [--micro-batch 8] [--rounds 3]

Forward and backward over the same trajectories (the prompts of the validation set, the first example turn as response),
alternating. CPU seconds, not wall time: they hold on a busy machine.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from pyarrow import parquet
from tensordict import TensorDict
from transformers import AutoModelForCausalLM, AutoTokenizer
from verl.utils import tensordict_utils as tu
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from medr3_plugin.platform_cpu.shared_prefix import ATTENTION, SharedPrefixEngine, register_attention


def micro_batch(rows: list[dict[str, Any]], tokenizer: Any) -> TensorDict:
    """Prompts and responses as verl's trainer hands them to its engine; documents are not trained."""
    ids, masks = [], []
    for row in rows:
        prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        response = next(m["content"] for m in row["prompt"] if m["role"] == "assistant")
        before, document, after = response.partition("<document>")[0], *response.partition("<document>")[1:]
        shown, _, rest = after.partition("</document>")
        pieces = [(before, 1), (document + shown + "</document>", 0), (rest, 1)]
        tokens = [
            (token, kept)
            for text, kept in pieces
            for token in tokenizer.encode(text, add_special_tokens=False)
        ]
        ids.append(
            torch.tensor(tokenizer.encode(prompt, add_special_tokens=False) + [token for token, _ in tokens])
        )
        masks.append(torch.tensor([kept for _, kept in tokens]))

    def jagged(tensors: list[torch.Tensor]) -> torch.Tensor:
        return torch.nested.as_nested_tensor(tensors, layout=torch.jagged)

    data = TensorDict(
        {
            "input_ids": jagged(ids),
            "position_ids": jagged([torch.arange(len(row)) for row in ids]),
            "loss_mask": jagged(masks),
        },
        batch_size=[len(rows)],
    )
    tu.assign_non_tensor(data, temperature=0.7, use_remove_padding=False, pad_token_id=0)
    return data


def engine(kind: type, model: Any) -> Any:
    """An engine with the model and no workers around it."""
    made = object.__new__(kind)
    made.module, made.pad_to_length, made.use_ulysses_sp, made._packs = model, None, False, True
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data/quickstart"))
    parser.add_argument("--model", type=Path, default=Path("models/SmolLM2-135M-Instruct"))
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    register_attention()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    rows = parquet.read_table(arguments.data / "val.parquet").to_pylist()[: arguments.micro_batch]
    data = micro_batch(rows, tokenizer)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    lengths = data["input_ids"].offsets().diff()
    print(f"{len(rows)} trajectories of {lengths.min()} to {lengths.max()} tokens")
    print("| precision | verl's engine, s | packed, s | ratio |\n|---|---|---|---|")
    for precision in (torch.float32, torch.bfloat16):
        best = {}
        for _ in range(arguments.rounds):
            for kind in (FSDPEngineWithLMHead, SharedPrefixEngine):
                model.set_attn_implementation(ATTENTION if kind is SharedPrefixEngine else "sdpa")
                begun = time.process_time()
                made = engine(kind, model)
                with nullcontext() if precision is torch.float32 else torch.autocast("cpu", dtype=precision):
                    inputs, shape = made.prepare_model_inputs(data)
                    output = model(**inputs, use_cache=False)
                    found = made.prepare_model_outputs(output, shape, data, None)
                    found["log_probs"].values().mean().backward()
                model.zero_grad()
                took = (time.process_time() - begun) / len(rows)
                best[kind] = min(took, best.get(kind, took))
        plain, packed = best[FSDPEngineWithLMHead], best[SharedPrefixEngine]
        print(
            f"| {str(precision).removeprefix('torch.')} | {plain:.2f} | {packed:.2f} | {plain / packed:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
