"""A start for `learning.py` made by a few minutes of supervised training: a policy whose habits are set.

A model of 135M parameters does not follow the tag protocol from an instruction. These demonstrations bring SmolLM2 to
the start of one that does and trusts its memory: it answers in the right form, seldom searches, searches for a part of
what it was told, and often does not believe what it found. How often the demonstrations do each, `Start` says.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medr3_plugin.environment.rendering import render_hits
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.retrieval.engine import Engine

BATCH = 8
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Start:
    """Habits that the demonstrations show; the policy comes near them only (`searches=0.07` gave 0.01 to 0.03).

    Attributes:
        searches: share of the questions with a search, among those in which opening one is learned or not.
        query_signs: how many of the signs of the question stand in a query.
        believes: share of the searches after which the answer is the document's title; else it is a disease drawn at
            random, as without a search.
        demonstrations: with a search, and as many without one.
    """

    searches: float
    query_signs: int
    believes: float
    demonstrations: int = 240


@dataclass(frozen=True)
class Piece:
    """A stretch of a demonstration; only what `is_learned` enters the loss."""

    token_ids: list[int]
    is_learned: bool


def demonstrations(
    rows: Sequence[Mapping[str, Any]],
    start: Start,
    engine: Engine,
    environment: EnvironmentSettings,
    tokenizer: Any,
) -> Iterator[list[Piece]]:
    """Demonstrations over training rows, each prompt, trajectory and end of turn.

    Half of them search, so that the policy knows how that goes; the tokens that open the search are learned in a share
    of them only, which sets how often it does.
    """
    rng = random.Random(0)
    diseases = sorted({row["reward_model"]["ground_truth"] for row in rows})

    def piece(text: str, is_learned: bool = True) -> Piece:
        return Piece(tokenizer.encode(text, add_special_tokens=False), is_learned)

    # shares of the questions -> share of the demonstrations with a search
    decides = start.searches / (1 - start.searches)
    for number, row in enumerate(rows[: 2 * start.demonstrations]):
        opening = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
        question = row["prompt"][-1]["content"]
        signs = question.removeprefix("Which disease has the signs ").removesuffix("?").split(", ")
        answer = rng.choice(diseases)
        pieces = [piece(opening, False)]
        if number % 2:
            query = ", ".join(rng.sample(signs, min(start.query_signs, len(signs))))
            (hits,) = engine.search([query], 1)
            shown, _ = render_hits(hits, environment.search_tokens, environment, tokenizer)
            pieces += [piece("<think> <search>", rng.random() < decides), piece(f" {query} </search>")]
            pieces.append(Piece(shown, False))
            if hits and rng.random() < start.believes:
                answer = hits[0].document.title
            pieces.append(piece(f" {answer}"))
        else:
            pieces.append(piece(f"<think> {answer}"))
        seen = ", ".join(rng.sample(signs, min(3, len(signs))))
        pieces.append(piece(f" has {seen}. </think><answer> {answer} </answer>{tokenizer.eos_token}"))
        yield pieces


def train(
    model_folder: Path, out: Path, examples: Sequence[Sequence[Piece]], tokenizer: Any, precision: str
) -> None:
    """One epoch over the demonstrations, in `bfloat16` or `float32`; writes model and tokenizer to `out`."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    batches = [examples[i : i + BATCH] for i in range(0, len(examples), BATCH)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(batches))
    for number, batch in enumerate(batches, start=1):
        inputs = [torch.tensor([i for piece in pieces for i in piece.token_ids]) for pieces in batch]
        labels = [
            torch.tensor([i if piece.is_learned else -100 for piece in pieces for i in piece.token_ids])
            for pieces in batch
        ]
        padded = torch.nn.utils.rnn.pad_sequence(
            inputs, batch_first=True, padding_value=tokenizer.pad_token_id
        )
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(i) for i in inputs], batch_first=True)
        wanted = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = model(input_ids=padded, attention_mask=mask, labels=wanted).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        print(f"warm start: {number} of {len(batches)}, loss {loss.item():.3f}", file=sys.stderr)
    partial = out.with_name(out.name + ".partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.replace(out)
