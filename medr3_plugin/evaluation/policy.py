"""Where an evaluation's tokens come from: an OpenAI-compatible endpoint, or vLLM in this process.

Endpoints are asked through the openai package and not through `llm.client`: completions from token ids, probes whose
refusals are read, and failures of a policy rather than of a judge are not what that client is for.

Both give `environment.episode.Generate`, so that an evaluation runs the very loop that training ran.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from medr3_plugin.environment.episode import Generate, Generation
from medr3_plugin.errors import InfrastructureFailure, MissingExtra
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


class Policy(Protocol):
    """A model to evaluate."""

    tokenizer: Any

    def sampler(self, sampling: Sampling, number: int, prompt: Sequence[Message], /) -> Generate:
        """The generator for one trajectory.

        Args:
            number: which of the question's samples it is, from 0.
            prompt: the messages behind the prompt's tokens; a last one of the assistant begins the response.
        """
        ...

    async def close(self) -> None:
        """Free it."""
        ...


def trajectory_seed(sampling: Sampling, number: int, prompt: Sequence[Message]) -> int:
    """The seed of a trajectory's first turn, below 2^31; the later turns count up from it.

    Questions must not share seeds: equal seeds draw equal noise, so that the first token of all questions would be one
    draw, and a share over questions not a mean of independent ones.
    """
    drawn = json.dumps([sampling.seed, number, list(prompt)], sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(drawn.encode()).digest()[:4], "big") >> 1


_NO_COMPLETIONS = " (a chat server is asked with --api chat or chat-turns; else check --model-name)"
_NOT_THERE = (400, 404, 405, 422, 501)
"""Statuses of a server that does not have what it was asked for."""


OPENED_BY = {SEARCH_CLOSE: SEARCH_OPEN, ANSWER_CLOSE: ANSWER_OPEN}
_STOPPED_AT = ("stop_reason", "matched_stop")
"""Where vLLM and SGLang say which string they stopped at; null for none."""


def with_stop(choice: Any, text: str, stop: Sequence[str]) -> str:
    """The text of a choice with the stop string it was cut off at: as the server says, or as the text tells."""
    if choice.finish_reason != "stop":
        return text
    said = [value for key, value in (choice.model_extra or {}).items() if key in _STOPPED_AT]
    at = said[0] if said else _open_tag(text, stop)
    return text + at if isinstance(at, str) and not text.endswith(at) else text


def _open_tag(text: str, stop: Sequence[str]) -> str:
    """The closing tag of the last search or answer in `text` that is open; "" if none is."""
    opened = {text.rfind(OPENED_BY[close]): close for close in stop if close in OPENED_BY}
    start = max(opened, default=-1)
    return opened[start] if start >= 0 and opened[start] not in text[start:] else ""


class EndpointPolicy:
    """Any server with vLLM's `/v1/completions` (token ids as prompt, stop strings kept in the output).

    Args:
        url: base address, with or without `/v1`.
        model: name the server knows it by; empty takes the server's first.
        tokenizer: of the same model; documents and prompts are tokenised here.
    """

    def __init__(self, url: str, model: str, tokenizer: Any) -> None:
        try:
            import openai
        except ImportError as error:
            raise MissingExtra("openai", "eval", "evaluating an endpoint") from error
        base = url.rstrip("/")
        self.url = base if base.endswith("/v1") else f"{base}/v1"
        self.model = model
        self.tokenizer = tokenizer
        self._client = openai.AsyncOpenAI(
            base_url=self.url,
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            timeout=600,
            max_retries=4,
        )
        self._errors: tuple[type[Exception], ...] = (openai.OpenAIError,)
        self.refusal = ""
        """what the server said when it last refused a probe"""

    async def probe(self, api: Literal["completions", "chat"], **asked: Any) -> int | None:
        """Generate one token; returns the prompt's length as counted by the server (0: not reported), None if refused.

        Raises:
            PolicyFailure: the server does not answer.
        """
        create: Any = (
            self._client.completions.create if api == "completions" else self._client.chat.completions.create
        )
        try:
            answer = await create(model=self.model, max_tokens=1, **asked)
        except self._errors as error:
            if getattr(error, "status_code", 0) in _NOT_THERE:
                self.refusal = str(error)
                return None
            raise PolicyFailure(f"{self.url}: {error}", type(error).__name__) from error
        return answer.usage.prompt_tokens if answer.usage else 0

    async def connect(self) -> None:
        """Find the model's name.

        Raises:
            PolicyFailure: the server does not answer.
        """
        if self.model:
            return
        try:
            models = await self._client.models.list()
        except self._errors as error:
            raise PolicyFailure(f"{self.url} does not answer: {error}", "connection") from error
        self.model = models.data[0].id

    def sampler(self, sampling: Sampling, number: int, prompt: Sequence[Message]) -> Generate:
        """The generator for one trajectory; each of its turns has a seed of its own."""
        seeds = itertools.count(trajectory_seed(sampling, number, prompt))

        async def generate(token_ids: list[int], *, stop: list[str], max_tokens: int) -> Generation:
            choice = await self._choice(
                self._client.completions.create(
                    model=self.model,
                    prompt=token_ids,
                    stop=stop,
                    max_tokens=max_tokens,
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    seed=next(seeds),
                    extra_body={"include_stop_str_in_output": True, "return_token_ids": True},
                ),
                hint=_NO_COMPLETIONS,
            )
            ids = getattr(choice, "token_ids", None)
            if ids is None:
                # a server that cannot return ids: its text is tokenised again, which may split it otherwise
                text = with_stop(choice, choice.text, stop)
                ids = self.tokenizer.encode(text, add_special_tokens=False)
            return Generation(list(ids)[:max_tokens], cut=choice.finish_reason == "length")

        return generate

    async def _choice(self, request: Awaitable[Any], hint: str = "") -> Any:
        """The first choice of the reply; `hint` follows the message if the server has no such address."""
        try:
            answer = await request
        except self._errors as error:
            hint = hint if getattr(error, "status_code", 0) in (404, 405) else ""
            raise PolicyFailure(f"{self.url}: {error}{hint}", type(error).__name__) from error
        if not answer.choices:  # some gateways put an error into a good reply
            raise PolicyFailure(f"{self.url}: a reply without choices: {answer}", "bad_response")
        return answer.choices[0]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class VllmPolicy:
    """vLLM in this process, for a model folder or hub name.

    Args:
        max_model_len: prompt and response together, in tokens.
    """

    def __init__(self, path: str, tokenizer: Any, *, max_model_len: int) -> None:
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        try:
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.v1.engine.async_llm import AsyncLLM
            from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
        except ImportError as error:
            raise MissingExtra("vllm", "train", "evaluating a model folder") from error
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
        """The generator for one trajectory; each of its turns has a seed of its own."""
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
