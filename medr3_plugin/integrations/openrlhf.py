"""The rewards as an OpenRLHF reward function: `--reward.remote_url my_reward.py --data.label_key label`.

OpenRLHF loads `reward_func` from a file, so the file is one line:
`from medr3_plugin.integrations.openrlhf import reward_func`, or `reward_func = make_reward_func(scorer)`.

It hands over whole texts: `queries` (prompt and response, special tokens included), `prompts`, and `labels`, one string
per sample. A label is the accepted answer, or what the rewards need of the row as JSON (`medr3_plugin.rows`):
{"question", "answers", "options"?, "dataset"?, "references"?}. Versions before 0.10.1 take a score of 0 for a missing
one, which blurs dynamic filtering.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from medr3_plugin.errors import InfrastructureFailure, UserError
from medr3_plugin.integrations.common import SampleScorer, with_opening_tag
from medr3_plugin.records import Sample
from medr3_plugin.rewards.scorer import build_scorer
from medr3_plugin.rows import sample_of
from medr3_plugin.trajectory import without_end_tokens

_PROMPT_END = 200

RewardFunction = Callable[..., dict[str, Any]]


def make_reward_func(scorer: SampleScorer | None = None, *, stage: str = "reasoning") -> RewardFunction:
    """A reward function for OpenRLHF.

    Args:
        scorer: the scorer; by default `build_scorer({})`, which uses rules and no judge.
        stage: whose formula is used. The retrieval parts need records of searches, which OpenRLHF does not have.

    Returns:
        The function: rewards, scores in [0, 1] for dynamic filtering, and every part as an extra log; tensors of shape
        (batch,). It raises `InfrastructureFailure` if a judge failed, because OpenRLHF cannot leave one sample out and
        a made-up number would train, and `UserError` for a label or query it cannot read.
    """

    def reward_func(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any
    ) -> dict[str, Any]:
        import torch

        nonlocal scorer
        if scorer is None:
            scorer = build_scorer({})
        samples = [
            make_sample(query, prompt, label, stage)
            for query, prompt, label in zip(queries, prompts, labels, strict=True)
        ]
        scored = asyncio.run_coroutine_threadsafe(scorer.score(samples), _loop()).result()
        if failures := {kind for one in scored for kind in one.failures}:
            raise InfrastructureFailure(f"no verdict: {', '.join(sorted(failures))}")
        columns = {key: torch.tensor([one.record[key] for one in scored]) for key in scored[0].record}
        logs = {f"medr3_{key}": values for key, values in columns.items()}
        return {"rewards": columns["score"], "scores": columns["acc"], "extra_logs": logs}

    return reward_func


reward_func = make_reward_func()
"""`make_reward_func` with its defaults."""


@lru_cache(maxsize=1)
def _loop() -> asyncio.AbstractEventLoop:
    """OpenRLHF calls from many threads, one sample per call: on one event loop they share the judge's connections."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def response_of(query: str, prompt: str) -> str:
    """What the model wrote; a `<think>` that ends the prompt is the model's opening tag.

    Raises:
        UserError: the query does not contain the prompt's end (long prompts are cut from the left).
    """
    _, found, response = query.partition(prompt[-_PROMPT_END:])
    if not found:
        raise UserError(f"the end of the prompt is not in the query: {query[:_PROMPT_END]!r}")
    return with_opening_tag(without_end_tokens(response), prompt.rstrip().endswith("<think>"))


def make_sample(query: str, prompt: str, label: str, stage: str) -> Sample:
    """A sample from what OpenRLHF knows of it."""
    try:
        known = json.loads(label)
    except ValueError:
        known = None
    row = known if isinstance(known, Mapping) and "target" not in known else {"answer": label}
    asked = {"prompt": [{"role": "user", "content": prompt}], **row}
    return replace(
        sample_of(asked, f"label {label[:60]!r}", response=response_of(query, prompt)), stage=stage
    )
