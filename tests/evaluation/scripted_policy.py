"""A model that says what a script tells it, at the seam where an evaluation gets its tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from characters import Characters

from medr3_plugin.environment.episode import Generate, Generation
from medr3_plugin.evaluation.policy import PolicyFailure, Sampling
from medr3_plugin.trajectory import SEARCH_CLOSE

Script = Callable[[str, int], str | None]
"""(the prompt and response so far, sample number) -> what to say next; None: the server is down."""


class ScriptedPolicy:
    """`calls` counts the requests."""

    def __init__(self, script: Script) -> None:
        self.tokenizer = Characters()
        self.script = script
        self.calls = 0

    def sampler(self, sampling: Sampling, seed: int, prompt: Any = ()) -> Generate:
        async def generate(token_ids: list[int], *, stop: list[str], max_tokens: int) -> Generation:
            self.calls += 1
            text = self.script(self.tokenizer.decode(token_ids), seed)
            if text is None:
                raise PolicyFailure("the server is down", "connection")
            if SEARCH_CLOSE in stop and SEARCH_CLOSE in text:
                text = text[: text.index(SEARCH_CLOSE) + len(SEARCH_CLOSE)]
            return Generation(self.tokenizer.encode(text)[:max_tokens])

        return generate

    async def close(self) -> None:
        pass


def search_then(answer: str) -> Script:
    """Search once, then answer."""

    def script(so_far: str, sample: int) -> str:
        if "</search>" not in so_far.rpartition("[assistant]")[2]:
            return "<think>let me look<search>ectopia lentis</search>"
        return f"so it is</think><answer>{answer}</answer>"

    return script
