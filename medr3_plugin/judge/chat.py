"""A client of OpenAI-compatible chat servers for many short requests at the same time.

What the openai package does not decide for us: how many requests are in flight, what is tried again (only
what may pass by itself: connection, time-out, 408, 429, 5xx), how long one attempt may take in all, and that
every trouble ends in a `JudgeFailure` with a short kind instead of a score.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

from medr3_plugin.errors import JudgeFailure, MissingExtra, UserError
from medr3_plugin.judge.reply import SCHEMA

DEFAULT_KEY_VARIABLE = "MEDR3_JUDGE_API_KEY"
Structured = Literal["json_schema", "json_object", "none"]

_BACKOFF_INITIAL_S, _BACKOFF_MAX_S = 0.5, 20.0
_RETRY_AFTER_MAX_S = 60.0
_MAX_REPLY_CHARS = 200_000


@dataclass
class ChatStats:
    """What a client did since it was made."""

    requests: int = 0
    """attempts sent, retries included"""
    retries: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """requests given up, by `JudgeFailure.kind`"""


@dataclass
class _PerLoop:
    """Connections and locks belong to the event loop they were made in."""

    client: Any
    slots: asyncio.Semaphore
    model: asyncio.Future[str] | None = None


class ChatClient:
    """Sends chat requests to one server.

    May be used from several event loops, one after the other or in different threads; the limit of requests
    in flight holds for each loop (in verl: for each reward worker process).

    Args:
        base_url: address up to and with `/v1`.
        model: model name; None asks the server for the one it serves.
        api_key_env: environment variable with the key; a server without keys needs none.
        timeout_s: longest time for one attempt, in seconds.
        attempts: how often a request is sent at most.
        max_in_flight: requests at the same time.
        structured: how the server is asked to decode: under the JSON schema, to any JSON, or freely.
        params: sampling parameters of every request (`temperature`, `max_tokens`, ...).
        extra_body: further fields of the request body, e.g. `chat_template_kwargs`.
        use_proxies: whether the proxy variables of the environment count; not for a server in the cluster.

    Raises:
        UserError: the named environment variable is not set.
        MissingExtra: openai or stamina is not installed.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        api_key_env: str | None = None,
        timeout_s: float = 60.0,
        attempts: int = 4,
        max_in_flight: int = 256,
        structured: Structured = "json_schema",
        params: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        use_proxies: bool = True,
    ) -> None:
        for package in ("openai", "stamina"):
            _require(package)
        if api_key_env and not os.environ.get(api_key_env):
            raise UserError(f"judge.api_key_env: the environment variable {api_key_env} is not set")
        self.base_url = base_url.rstrip("/")
        self.model = model
        self.params = dict(params or {})
        self.extra_body = dict(extra_body or {})
        self.structured = structured
        self.stats = ChatStats()
        self._key = os.environ.get(api_key_env or DEFAULT_KEY_VARIABLE) or "none"
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._max_in_flight = max_in_flight
        self._use_proxies = use_proxies
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _PerLoop] = WeakKeyDictionary()

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] = SCHEMA,
        **params: Any,
    ) -> str:
        """The text of the server's reply to `messages`.

        Args:
            messages: chat messages.
            schema: JSON schema of the reply, for servers asked to decode under it.
            params: sampling parameters that replace the client's own.

        Raises:
            JudgeFailure: no usable reply; kind `timeout`, `connection`, `status_<code>` or `bad_response`.
        """
        per_loop = self._per_loop()
        async with per_loop.slots:
            body = {
                "messages": list(messages),
                "model": self.model or await self._served_model(per_loop),
                **self.params,
                **params,
                **self._response_format(schema),
                "extra_body": self.extra_body or None,
            }
            reply = await self._with_retries(lambda: per_loop.client.chat.completions.create(**body))
        return self._content(reply)

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        per_loop = self._loops.pop(asyncio.get_running_loop(), None)
        if per_loop is not None:
            await per_loop.client.close()

    def _per_loop(self) -> _PerLoop:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            import openai

            # by the type of the package's own default: httpx changed its name between its versions
            limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
                max_connections=self._max_in_flight, max_keepalive_connections=self._max_in_flight
            )
            http = openai.DefaultAsyncHttpxClient(limits=limits, trust_env=self._use_proxies)
            client = openai.AsyncOpenAI(
                base_url=self.base_url,
                api_key=self._key,
                timeout=self._timeout_s,
                max_retries=0,  # ours, below
                http_client=http,
            )
            self._loops[loop] = _PerLoop(client, asyncio.Semaphore(self._max_in_flight))
        return self._loops[loop]

    def _response_format(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if self.structured == "none":
            return {}
        if self.structured == "json_object":
            return {"response_format": {"type": "json_object"}}
        named = {"name": "verdict", "schema": dict(schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    async def _served_model(self, per_loop: _PerLoop) -> str:
        """Name of the model the server has, asked once for each loop."""
        if per_loop.model is None:
            per_loop.model = asyncio.ensure_future(self._ask_model(per_loop))
        try:
            return await asyncio.shield(per_loop.model)
        except JudgeFailure:
            per_loop.model = None  # the next request asks again
            raise

    async def _ask_model(self, per_loop: _PerLoop) -> str:
        async def first() -> Any:
            return await per_loop.client.models.list()

        page = await self._with_retries(first)
        models = getattr(page, "data", None) or []
        name = getattr(models[0], "id", None) if models else None
        if not isinstance(name, str):
            raise self._failure("bad_response", "names no model; set judge.model")
        return name

    async def _with_retries(self, send: Any) -> Any:
        import openai
        import stamina

        retries = stamina.retry_context(
            on=_may_pass,
            attempts=self._attempts,
            timeout=None,
            wait_initial=_BACKOFF_INITIAL_S,
            wait_max=_BACKOFF_MAX_S,
        )
        try:
            async for attempt in retries:
                with attempt:
                    self.stats.requests += 1
                    self.stats.retries += attempt.num > 1
                    # the client's own time-out is for each read; a server that trickles would hold us
                    return await asyncio.wait_for(send(), self._timeout_s)
        except (openai.APITimeoutError, asyncio.TimeoutError) as error:
            raise self._failure("timeout", f"did not answer within {self._timeout_s:g} s") from error
        except openai.APIStatusError as error:
            hint = "; try judge.structured: none" if error.status_code in (400, 422) else ""
            said = str(error)[:200]
            raise self._failure(f"status_{error.status_code}", f"answered {said}{hint}") from error
        except openai.APIResponseValidationError as error:
            raise self._failure("bad_response", "did not answer in its protocol") from error
        except openai.APIConnectionError as error:
            raise self._failure("connection", f"cannot be reached: {error.__cause__ or error}") from error
        except (openai.OpenAIError, ValueError) as error:  # ValueError: a body that is no JSON
            raise self._failure("bad_response", f"did not answer in its protocol: {error}") from error
        raise AssertionError("stamina ends with a return or an exception")

    def _content(self, reply: Any) -> str:
        choices = getattr(reply, "choices", None)
        content = getattr(getattr(choices[0], "message", None), "content", None) if choices else None
        if not isinstance(content, str) or not content.strip():
            raise self._failure("bad_response", "sent a reply without text")
        return content[:_MAX_REPLY_CHARS]

    def _failure(self, kind: str, what: str) -> JudgeFailure:
        self.stats.failures[kind] += 1
        return JudgeFailure(f"the judge at {self.base_url} {what}", kind=kind)


def _may_pass(error: Exception) -> bool | float:
    """Whether to send again; a number is the wait in seconds that the server asked for."""
    import openai

    if isinstance(error, openai.APIStatusError):
        if error.status_code not in (408, 429) and error.status_code < 500:
            return False
        asked = error.response.headers.get("retry-after", "")
        return min(float(asked), _RETRY_AFTER_MAX_S) if asked.isdigit() else True
    if isinstance(error, openai.APIResponseValidationError):
        return False
    return isinstance(error, openai.APIConnectionError | asyncio.TimeoutError)


def _require(package: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingExtra(package, "judge", "the LLM judge")
