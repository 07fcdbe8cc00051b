"""The rewards as an OpenRLHF reward function: `--remote_rm_url openrlhf_reward.py --label_key label`.

OpenRLHF hands over whole texts: `queries` (prompt and response), `prompts`, and `labels`, one string a sample. Put
what the rewards need into the label column of your data as JSON: {"question", "answers", "options"?, "dataset"?,
"references"?: [{"triples": [[head, relation, tail, from_retrieval], ...], "text"}]}. A plain string is the answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import torch

from medr3_plugin.records import Reference, Sample, Triple
from medr3_plugin.rewards.scorer import build_scorer

STAGE = "reasoning"  # without records of searches; see environment/ for the retrieval rewards
SCORER = build_scorer({"judge": {"kind": "rule"}})


def make_sample(index: int, query: str, prompt: str, label: str) -> Sample:
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
        id=str(index),
        question=known.get("question", prompt),
        response=query.removeprefix(prompt),
        answers=tuple(known["answers"]),
        options=known.get("options"),
        dataset=known.get("dataset", ""),
        references=references,
        stage=STAGE,
    )


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """Rewards, scores in [0, 1] for dynamic filtering, and every part as an extra log; tensors of shape (batch,)."""
    rows = enumerate(zip(queries, prompts, labels, strict=True))
    scored = asyncio.run(SCORER.score([make_sample(i, *row) for i, row in rows]))
    columns = {key: torch.tensor([one.record[key] for one in scored]) for key in scored[0].record}
    return {"rewards": columns["score"], "scores": columns["acc"], "extra_logs": columns}


if __name__ == "__main__":
    question = "Which vitamin prevents scurvy? "
    label = json.dumps({"question": question, "answers": ["vitamin C", "ascorbic acid"]})
    answers = ["ascorbic acid", "vitamin D"]
    texts = [f"{question}<think>Scurvy is a lack of collagen.</think><answer>{a}</answer>" for a in answers]
    result = reward_func(texts, [question] * 2, [label] * 2)
    print("rewards", [round(value, 3) for value in result["rewards"].tolist()])
