"""The rewards as an OpenRLHF reward function: `--remote_rm_url openrlhf_reward.py --label_key label`.

    python examples/openrlhf_reward.py

OpenRLHF hands over whole texts: `queries` (prompt and response, special tokens included), `prompts`, and `labels`, one
string a sample. Put what the rewards need into the label column of your data as JSON: {"question", "answers",
"options"?, "dataset"?, "references"?: [{"triples": [[head, relation, tail, from_retrieval], ...], "text"}]}. A plain
string is the answer. Versions before 0.10.1 take a score of 0 for a missing one, which blurs dynamic filtering.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Sequence
from typing import Any

import torch

from medr3_plugin.records import Reference, Sample, Triple
from medr3_plugin.rewards.scorer import build_scorer

STAGE = "reasoning"  # without records of searches; see environment/ for the retrieval rewards
SCORER = build_scorer({"judge": {"kind": "rule"}})
# OpenRLHF calls from many threads, a sample a call: on one event loop they share the judge's connections and limits
LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()

SPECIAL_AT_END = re.compile(r"(<\|[^<>|]*\|>|</s>|<eos>|<end_of_turn>|\s)+$")
PROMPT_END = 200


def response_of(query: str, prompt: str) -> str:
    """What the model wrote; a `<think>` that ends the prompt is the model's opening tag.

    Long prompts are cut from the left, so their end is looked for.
    """
    _, found, response = query.partition(prompt[-PROMPT_END:])
    if not found:
        raise ValueError(f"the end of the prompt is not in the query: {query[:PROMPT_END]!r}")
    opened = "<think>" if prompt.rstrip().endswith("<think>") else ""
    return opened + SPECIAL_AT_END.sub("", response)


def make_sample(query: str, prompt: str, label: str) -> Sample:
    """A sample from what OpenRLHF knows of it."""
    try:
        known = json.loads(label)
    except json.JSONDecodeError:
        known = label
    if not isinstance(known, dict):
        known = {"answers": [str(known)]}
    references = tuple(
        Reference(
            tuple(Triple(h, r, t, bool(f)) for h, r, t, f in one.get("triples", ())), one.get("text", "")
        )
        for one in known.get("references", ())
    )
    return Sample(
        id="",
        question=known.get("question", prompt),
        response=response_of(query, prompt),
        answers=tuple(known["answers"]),
        options=known.get("options"),
        dataset=known.get("dataset", ""),
        references=references,
        stage=STAGE,
    )


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any
) -> dict[str, Any]:
    """Rewards, scores in [0, 1] for dynamic filtering, and every part as an extra log; tensors of shape (batch,).

    Raises:
        RuntimeError: a judge failed. OpenRLHF cannot leave one sample out, and a made-up number would train.
    """
    samples = [make_sample(*row) for row in zip(queries, prompts, labels, strict=True)]
    scored = asyncio.run_coroutine_threadsafe(SCORER.score(samples), LOOP).result()
    if failures := {kind for one in scored for kind in one.failures}:
        raise RuntimeError(f"no verdict: {', '.join(sorted(failures))}")
    columns = {key: torch.tensor([one.record[key] for one in scored]) for key in scored[0].record}
    logs = {f"medr3_{key}": values for key, values in columns.items()}
    return {"rewards": columns["score"], "scores": columns["acc"], "extra_logs": logs}


def main() -> None:
    prompt = "<|im_start|>user\nWhich vitamin prevents scurvy?<|im_end|>\n<|im_start|>assistant\n<think>"
    label = json.dumps(
        {"question": "Which vitamin prevents scurvy?", "answers": ["vitamin C", "ascorbic acid"]}
    )
    queries = [
        f"{prompt}Scurvy is a lack of collagen.</think><answer>{answer}</answer><|im_end|>"
        for answer in ("ascorbic acid", "vitamin D")
    ]
    result = reward_func(queries, [prompt] * 2, [label] * 2)
    print("rewards", [round(value, 3) for value in result["rewards"].tolist()])


if __name__ == "__main__":
    main()
