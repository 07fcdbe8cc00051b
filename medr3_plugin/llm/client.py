"""A client of OpenAI-compatible chat servers for many short requests at the same time.

It limits the requests in flight, retries only what may be transient (connection, time-out, 408, 429,
5xx), bounds the time of every attempt, and turns all trouble into a `JudgeFailure` with a short kind. A reply that
the server cut off is such trouble: it holds no answer.

It speaks the protocol over aiohttp and not through the openai package: that takes a third to an eighth of the CPU
time (docs/benchmarks/judge.md), and 256 requests a second must leave time to compute rewards.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medr3_plugin.errors import InfrastructureFailure, JudgeFailure, UserError
from medr3_plugin.llm.stats import current
from medr3_plugin.llm.transport import PerLoop, Transport, without_credentials

DEFAULT_KEY_VARIABLE = "MEDR3_JUDGE_API_KEY"
Structured = Literal["json_schema", "json_object", "none"]
Messages = Sequence[Mapping[str, str]]

YAML_SETTINGS = {
    "model": "judge.model",
    "api_key_env": "medr3.reward.judge.api_key_env",
    "structured": "judge.structured: none",
    "parameters": "judge.parameters: {%s}",
    "length": "judge.max_tokens",
}
"""What messages call the settings that a user can change; `%s` is JSON of parameters."""

_ASK_AGAIN_TEMPERATURE = 0.3  # at temperature 0 the same request would bring the same reply
_CUT_OFF = frozenset({"length", "max_tokens", "model_length"})
ABANDONED = frozenset({"abort", "cancelled", "error", "content_filter"})


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply: its text, its tokens (0 where the server does not say), and whether the server cut it off."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated: bool = False


class ChatClient:
    """Sends chat requests to one server.

    May be used from several event loops, one after the other or in different threads; the limit of requests
    in flight holds for each loop (in verl: for each reward worker process). Connections are kept while any
    request is under way and closed after the last one, so there is nothing to close.

    Args:
        base_url: address up to and with `/v1`.
        role: what the server is for, as messages call it.
        settings: how messages call what the user can set, see `YAML_SETTINGS`.
        model: model name; None asks the server for the one it serves.
        api_key_env: environment variable with the key; a server without keys needs none.
        timeout_s: longest time for one attempt, in seconds.
        attempts: how often a request is sent at most.
        max_in_flight: requests at the same time.
        structured: how the server is asked to decode: under the JSON schema, to any JSON, or freely.
        params: parameters of every request (`temperature`, `max_tokens`, ...). One that is None is never sent,
            whoever asks for it; a requested length is then sent as `max_completion_tokens`, if that is set.
        extra_body: further fields of the request body, e.g. `chat_template_kwargs`.
        use_proxies: whether the proxy variables of the environment count; not for a server in the cluster.
        give_up_after: failures in a row that show the server to be gone; the next requests are not sent
            (kind `not_asked`). 0 never gives up.

    Raises:
        UserError: the named environment variable is not set.
    """

    def __init__(
        self,
        base_url: str,
        *,
        role: str = "judge",
        settings: Mapping[str, str] = YAML_SETTINGS,
        model: str | None = None,
        api_key_env: str | None = None,
        timeout_s: float = 60.0,
        attempts: int = 4,
        max_in_flight: int = 256,
        structured: Structured = "json_schema",
        params: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        use_proxies: bool = True,
        give_up_after: int = 0,
    ) -> None:
        if api_key_env and not os.environ.get(api_key_env):
            key = settings.get("api_key_env", "--api-key-env")
            raise UserError(f"{key}: the environment variable {api_key_env} is not set")
        self.base_url = base_url.rstrip("/").removesuffix("/chat/completions")
        self.name = f"the {role} at {without_credentials(self.base_url)}"
        self.model = model
        self.params = dict(params or {})
        self.extra_body = dict(extra_body or {})
        self.structured = structured
        self._settings = settings
        self._transport = Transport(
            self.base_url,
            self.name,
            os.environ.get(api_key_env or DEFAULT_KEY_VARIABLE),
            self._hint,
            timeout_s=timeout_s,
            attempts=attempts,
            max_in_flight=max_in_flight,
            use_proxies=use_proxies,
            give_up_after=give_up_after,
        )

    async def complete(
        self,
        messages: Messages,
        schema: Mapping[str, Any] | None = None,
        *,
        attempt: int = 0,
        may_be_cut: bool = False,
        **params: Any,
    ) -> Completion:
        """The server's reply to `messages`.

        Args:
            schema: JSON schema of the reply, for servers asked to decode under it; None for free text.
            attempt: how often this was asked before. From the first repetition on a temperature below 0.3 is
                raised to that.
            may_be_cut: a reply that was cut off is returned; else it is a failure.
            params: parameters that replace the client's own.

        Raises:
            JudgeFailure: no usable reply; kind `timeout`, `connection`, `status_<code>`, `truncated`,
                `bad_response` or `not_asked`.
        """
        per_loop = self._transport.per_loop()
        async with per_loop.slots, self._transport.session(per_loop) as session:
            body = {
                "messages": list(messages),
                "model": await self.served_model(),
                **self._parameters(params, attempt),
                **self._response_format(schema),
                **self.extra_body,
            }
            sent = time.perf_counter()
            try:
                reply = await self._transport.request(session, "POST", "/chat/completions", body)
            finally:
                current().latencies_s.append(time.perf_counter() - sent)
        return self._completion(reply, may_be_cut)

    def _completion(self, reply: Any, may_be_cut: bool) -> Completion:
        try:
            choice = reply["choices"][0]
            text, reason = choice["message"]["content"], choice.get("finish_reason")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise self._transport.failure(
                "bad_response", "sent something other than a chat completion"
            ) from None
        stats, usage = current(), reply.get("usage")
        prompt_tokens, completion_tokens = (
            _counted(usage, f"{of}_tokens") for of in ("prompt", "completion")
        )
        stats.replies += 1
        stats.prompt_tokens += prompt_tokens
        stats.completion_tokens += completion_tokens
        text = text if isinstance(text, str) else ""
        truncated = reason in _CUT_OFF
        if truncated and not may_be_cut:
            raise self.cut_off()
        if reason in ABANDONED:
            raise self._transport.failure("bad_response", f"broke off its reply (finish_reason {reason})")
        if not text.strip() and not truncated:
            raise self._transport.failure("bad_response", "sent a reply without text")
        return Completion(text, prompt_tokens, completion_tokens, truncated)

    def cut_off(self) -> InfrastructureFailure:
        """The failure of a reply that the server cut off."""
        return self._transport.failure(
            "truncated",
            f"cut its reply off; raise {self._settings['length']}, or switch off the model's thinking",
        )

    def _parameters(self, wanted: Mapping[str, Any], attempt: int) -> dict[str, Any]:
        left_out = {name for name, value in self.params.items() if value is None}
        params = {**self.params, **wanted}
        if "max_tokens" in left_out and "max_tokens" in wanted and "max_completion_tokens" in params:
            params["max_completion_tokens"] = wanted["max_tokens"]
        if attempt and params.get("temperature") is not None:
            params["temperature"] = max(_ASK_AGAIN_TEMPERATURE, params["temperature"])
        return {name: value for name, value in params.items() if name not in left_out and value is not None}

    def _response_format(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        if schema is None or self.structured == "none":
            return {}
        if self.structured == "json_object":
            return {"response_format": {"type": "json_object"}}
        named = {"name": "reply", "schema": dict(schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    async def served_model(self) -> str:
        """Name of the model that answers: the given one, else the server's first, asked once for each event loop.

        Raises:
            JudgeFailure: the server does not say.
        """
        if self.model:
            return self.model
        per_loop = self._transport.per_loop()
        if per_loop.model is None:
            per_loop.model = asyncio.ensure_future(self._ask_model(per_loop))
        try:
            return await asyncio.shield(per_loop.model)
        except JudgeFailure:
            per_loop.model = None  # the next request asks again
            raise

    async def _ask_model(self, per_loop: PerLoop) -> str:
        async with self._transport.session(per_loop) as session:
            reply = await self._transport.request(session, "GET", "/models", None)
        try:
            name = reply["data"][0]["id"]
        except (KeyError, IndexError, TypeError):
            name = None
        if not isinstance(name, str):
            raise self._transport.failure("bad_response", f"names no model; set {self._settings['model']}")
        return name

    def _hint(self, said: str, body: Mapping[str, Any] | None) -> str:
        if re.search("response_format|schema|structured|grammar", said):
            return f"; if it cannot decode under a schema, set {self._settings['structured']}"
        refused = [name for name in body or () if name in said and name not in ("messages", "model")]
        if not refused or refused[0] == "response_format":
            return ""
        instead = ', "max_completion_tokens": 2048' if refused[0] == "max_tokens" else ""
        setting = self._settings["parameters"] % f'"{refused[0]}": null{instead}'
        return f"; to leave out what it refuses, set {setting}"


def _counted(usage: Any, name: str) -> int:
    """Tokens as the server tells them; 0 where it does not."""
    value = usage.get(name) if isinstance(usage, Mapping) else None
    return value if isinstance(value, int) and value > 0 else 0
