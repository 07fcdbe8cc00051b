"""Where an evaluation's tokens come from: an OpenAI-compatible endpoint, or vLLM in this process.

Both give `environment.episode.Generate`, so that an evaluation runs the very loop that training ran.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medr3_plugin.environment.episode import Generate, Generation
from medr3_plugin.errors import InfrastructureFailure, needs
from medr3_plugin.llm.client import ABANDONED
from medr3_plugin.llm.transport import Transport
from medr3_plugin.trajectory import ANSWER_CLOSE, ANSWER_OPEN, SEARCH_CLOSE, SEARCH_OPEN

Message = dict[str, str]


class PolicyFailure(InfrastructureFailure):
    """The model's server did not answer; the next run tries the sample again."""

    service = "policy"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; `seed` makes the n-th sample of a question the same in every run."""

    temperature: float = 0.6
    top_p: float = 0.9
    seed: int = 0


def trajectory_seed(sampling: Sampling, number: int, prompt: Sequence[Message]) -> int:
    """The seed of a trajectory's first turn, below 2^31; the later turns count up from it.

    Questions must not share seeds: equal seeds draw equal noise, so that the first token of all questions would be one
    draw, and a share over questions not a mean of independent ones.
    """
    drawn = json.dumps([sampling.seed, number, list(prompt)], sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(drawn.encode()).digest()[:4], "big") >> 1


_NO_COMPLETIONS = " (a chat server is asked with --api chat or chat-turns; else check --model-name)"
_NOT_THERE = ("status_400", "status_404", "status_405", "status_422", "status_501")
"""Failures of a server that does not have what it was asked for."""

OPENED_BY = {SEARCH_CLOSE: SEARCH_OPEN, ANSWER_CLOSE: ANSWER_OPEN}
_STOPPED_AT = ("stop_reason", "matched_stop")
"""Where vLLM and SGLang say which string they stopped at; null for none."""


def with_stop(choice: Mapping[str, Any], text: str, stop: Sequence[str]) -> str:
    """The text of a choice with the stop string it was cut off at: as the server says, or as the text tells."""
    if choice.get("finish_reason") != "stop":
        return text
    said = [choice[key] for key in _STOPPED_AT if key in choice]
    at = said[0] if said else open_tag(text, stop)
    return text + at if isinstance(at, str) and not text.endswith(at) else text


def open_tag(text: str, stop: Sequence[str]) -> str:
    """The closing tag of the last search or answer in `text` that is open; "" if none is."""
    opened = {text.rfind(OPENED_BY[close]): close for close in stop if close in OPENED_BY}
    start = max(opened, default=-1)
    return opened[start] if start >= 0 and opened[start] not in text[start:] else ""


class _Transport(Transport):
    """Fails as a policy and not as a judge."""

    def failure(self, kind: str, what: str) -> InfrastructureFailure:
        return PolicyFailure(f"{self.name} {what}", kind)


class EndpointPolicy:
    """Any server with vLLM's `/v1/completions` (token ids as prompt, stop strings kept in the output).

    Args:
        url: base address, with or without `/v1`.
        model: name the server knows it by; empty takes the server's first.
        tokenizer: of the same model; documents and prompts are tokenised here.
    """

    def __init__(self, url: str, model: str, tokenizer: Any) -> None:
        base = url.rstrip("/")
        self.url = base if base.endswith("/v1") else f"{base}/v1"
        self.model = model
        self.tokenizer = tokenizer
        self._transport = _Transport(
            self.url,
            self.url,
            os.environ.get("OPENAI_API_KEY"),
            lambda *_: "",
            timeout_s=600.0,
            attempts=5,
            max_in_flight=1_000,  # an evaluation has a limit of its own
            use_proxies=True,
            give_up_after=0,
        )
        self.refusal = ""
        """what the server said when it last refused a probe"""

    async def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        async with self._transport.session(self._transport.per_loop()) as session:
            answer = await self._transport.request(session, "POST" if body else "GET", path, body)
        if not isinstance(answer, dict):
            raise PolicyFailure(f"{self.url}{path} answered no JSON object: {answer!r}", "bad_response")
        return answer

    async def probe(self, path: str, **asked: Any) -> int | None:
        """Generate one token; returns the prompt's length as counted by the server (0: not reported), None if refused.

        Raises:
            PolicyFailure: the server does not answer.
        """
        try:
            answer = await self._ask(path, {"model": self.model, "max_tokens": 1, **asked})
        except PolicyFailure as failure:
            if failure.kind not in _NOT_THERE:
                raise
            self.refusal = str(failure)
            return None
        return (answer.get("usage") or {}).get("prompt_tokens") or 0

    async def connect(self) -> None:
        """Find the model's name.

        Raises:
            PolicyFailure: the server does not answer.
        """
        if self.model:
            return
        models = (await self._ask("/models")).get("data") or []
        if not models:
            raise PolicyFailure(f"{self.url} names no model; give --model-name", "bad_response")
        self.model = models[0]["id"]

    def sampler(self, sampling: Sampling, number: int, prompt: Sequence[Message]) -> Generate:
        """The generator for one trajectory; each of its turns has a seed of its own.

        Args:
            number: which of the question's samples it is, from 0.
            prompt: the messages behind the prompt's tokens; a last one of the assistant begins the response.
        """
        seeds = itertools.count(trajectory_seed(sampling, number, prompt))

        async def generate(token_ids: list[int], *, stop: list[str], max_tokens: int) -> Generation:
            body = {
                "prompt": token_ids,
                "stop": stop,
                "max_tokens": max_tokens,
                "seed": next(seeds),
                "include_stop_str_in_output": True,
                "return_token_ids": True,
            }
            choice = await self._choice("/completions", sampling, body, hint=_NO_COMPLETIONS)
            ids = choice.get("token_ids")
            if ids is None:
                # a server that cannot return ids: its text is tokenised again, which may split it otherwise
                text = with_stop(choice, choice["text"], stop)
                ids = self.tokenizer.encode(text, add_special_tokens=False)
            return Generation(ids[:max_tokens], cut=choice.get("finish_reason") == "length")

        return generate

    async def _choice(
        self, path: str, sampling: Sampling, body: Mapping[str, Any], hint: str = ""
    ) -> dict[str, Any]:
        """The first choice of the reply; `hint` follows the message if the server has no such address."""
        sampled = {"model": self.model, "temperature": sampling.temperature, "top_p": sampling.top_p}
        try:
            answer = await self._ask(path, {**sampled, **body})
        except PolicyFailure as failure:
            if failure.kind in ("status_404", "status_405"):
                raise PolicyFailure(f"{failure}{hint}", failure.kind) from failure
            raise
        if not answer.get("choices"):  # some gateways put an error into a good reply
            raise PolicyFailure(f"{self.url}: a reply without choices: {answer}", "bad_response")
        choice = dict(answer["choices"][0])
        if (reason := choice.get("finish_reason")) in ABANDONED:
            raise PolicyFailure(f"{self.url}: broke off its reply (finish_reason {reason})", "aborted")
        return choice

    async def close(self) -> None:
        """Nothing is left open."""


class VllmPolicy:
    """vLLM in this process, for a model folder or hub name.

    Args:
        max_model_len: prompt and response together, in tokens.
    """

    def __init__(self, path: str, tokenizer: Any, *, max_model_len: int) -> None:
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        with needs("vllm", "train", "evaluating a model folder"):
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.v1.engine.async_llm import AsyncLLM
            from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
        self.tokenizer = tokenizer
        on_cpu = current_platform.is_cpu()
        if on_cpu:
            os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB; else most of the machine's memory
        arguments = AsyncEngineArgs(
            model=path,
            max_model_len=max_model_len,
            gpu_memory_utilization=0.9,
            # most CPUs multiply bfloat16 matrices far slower than float32 ones, and compiling takes minutes
            dtype="float32" if on_cpu else "auto",
            enforce_eager=on_cpu,
            # a prompt that is taken in parts rewinds its seeded generator, which CPU generators cannot
            enable_chunked_prefill=not on_cpu,
            max_num_batched_tokens=max(2048, max_model_len) if on_cpu else None,
            enable_prefix_caching=True,
            disable_log_stats=True,
        )
        self._engine = AsyncLLM.from_engine_args(arguments)
        self._ids = itertools.count()
        self._errors: tuple[type[Exception], ...] = (EngineDeadError, EngineGenerateError)

    def sampler(self, sampling: Sampling, number: int, prompt: Sequence[Message]) -> Generate:
        """See `EndpointPolicy.sampler`."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        seeds = itertools.count(trajectory_seed(sampling, number, prompt))

        async def generate(token_ids: list[int], *, stop: list[str], max_tokens: int) -> Generation:
            parameters = SamplingParams(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=next(seeds),
                stop=stop,
                include_stop_str_in_output=True,
                max_tokens=max_tokens,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            request = f"eval-{next(self._ids)}"
            prompt = {"prompt_token_ids": token_ids}
            try:
                async for output in self._engine.generate(prompt, parameters, request):
                    return Generation(list(output.outputs[0].token_ids))
            except self._errors as error:
                raise PolicyFailure(f"vLLM died; its log says why: {error}", "engine") from error
            raise PolicyFailure("vLLM ended a request without output", "no_output")

        return generate

    async def close(self) -> None:
        """Stop the engine."""
        self._engine.shutdown()


Policy = EndpointPolicy | VllmPolicy
"""A model to evaluate."""
