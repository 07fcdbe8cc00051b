"""A judge from the yaml section `medr3.reward.judge` (docs/JUDGE.md).

`router` is verl's own reward-model router (`reward.reward_model.enable: true`, see `stages.judge_model`): the cluster
of the run serves the judge, in the same protocol under `http://<address>/v1`. The reward manager fills in `address`;
elsewhere it comes from the options or from `MEDR3_REWARD_ROUTER`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from medr3_plugin.errors import UserError
from medr3_plugin.judge.base import AnswerJudge
from medr3_plugin.llm.client import Structured
from medr3_plugin.llm.control_tokens import special_tokens_of
from medr3_plugin.yaml_section import Section, is_address, validated

ROUTER_VARIABLE = "MEDR3_REWARD_ROUTER"
_WHERE = "medr3.reward.judge"


class JudgeOptions(Section):
    """The section `judge`. Defaults suit your own server; times are in seconds.

    Attributes:
        kind: `rule` (no model), `openai` (an OpenAI-compatible server) or `router` (verl's reward-model router).
        base_url: the server's URL, up to `/v1`.
        address: the router's host and port; null takes it from the run or from `MEDR3_REWARD_ROUTER`.
        model: the model's name; null takes the server's first.
        api_key_env: name of the environment variable that holds the key; keys do not belong in a config.
        timeout_s: timeout of one reply.
        attempts: most requests for one verdict, including failed ones.
        max_in_flight: concurrent requests per process.
        temperature: sampling temperature; null omits the parameter.
        max_tokens: longest reply, including thinking; null omits the parameter. A reply that is cut gives no verdict.
        parameters: further parameters of the request, or null to leave one of them out, such as
            `{max_tokens: null, max_completion_tokens: 2048, reasoning_effort: low}`.
        structured: constrained decoding of the JSON reply.
        extra_body: request fields outside the protocol that the server accepts, such as
            `{chat_template_kwargs: {enable_thinking: false}}`.
        tokenizer: folder of the judge's model, to neutralise its own control tokens in what it reads; those of the
            usual kinds (`<|im_end|>`, `</s>`, `[INST]`) need no option.
        cache: file that stores replies, so none is requested twice; the processes of a machine share it.
    """

    kind: Literal["rule", "openai", "router"] = "rule"
    base_url: str | None = None
    address: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    attempts: Annotated[int, Field(ge=1)] = 4
    max_in_flight: Annotated[int, Field(ge=1)] = 256
    temperature: Annotated[float, Field(ge=0)] | None = 0.0
    max_tokens: Annotated[int, Field(ge=16)] | None = 512
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    structured: Structured = "json_schema"
    extra_body: Mapping[str, Any] = Field(default_factory=dict)
    tokenizer: str | None = None
    cache: str | None = None


def make_judge(options: Mapping[str, Any] | None) -> AnswerJudge | None:
    """The judge that `options` describe; None for no options, and for `kind: rule`, which has only the rules.

    >>> make_judge({"kind": "rule"}) is make_judge(None) is None
    True

    Raises:
        UserError: an option is wrong or missing; names its yaml path.
        MissingExtra: the judge needs a package that is not installed.
    """
    if not options:
        return None
    parsed = _read(options)
    if parsed.kind == "rule":
        return None

    from medr3_plugin.judge.llm import LLMJudge
    from medr3_plugin.llm.client import ChatClient
    from medr3_plugin.llm.store import ReplyStore

    chat = ChatClient(
        _base_url(parsed),
        model=parsed.model,
        api_key_env=parsed.api_key_env,
        timeout_s=parsed.timeout_s,
        attempts=parsed.attempts,
        max_in_flight=parsed.max_in_flight,
        structured=parsed.structured,
        params={"temperature": parsed.temperature, "max_tokens": parsed.max_tokens, **parsed.parameters},
        extra_body=parsed.extra_body,
        use_proxies=parsed.kind == "openai",
    )
    return LLMJudge(
        chat,
        source=parsed.kind,
        replies=ReplyStore(parsed.cache, setting=f"{_WHERE}.cache"),
        special_tokens=_special_tokens(parsed.tokenizer),
    )


def _special_tokens(folder: str | None) -> frozenset[str]:
    found = special_tokens_of(folder) if folder else frozenset()
    if folder and not found:
        raise UserError(
            f"{_WHERE}.tokenizer: {folder} holds no tokenizer.json or tokenizer_config.json with special tokens; name "
            "the folder of the judge's model, or leave it out"
        )
    return found


def _read(options: Mapping[str, Any]) -> JudgeOptions:
    if "api_key" in options:
        raise UserError(
            f"{_WHERE}.api_key: keys do not belong in a config; put the key into an environment variable and "
            f"its name into {_WHERE}.api_key_env"
        )
    parsed = validated(JudgeOptions, options, _WHERE)
    if "kind" not in parsed.model_fields_set and (parsed.base_url or parsed.address):
        raise UserError(
            f"{_WHERE}.kind: an address is given, but not the kind of judge, so no server would be asked; write "
            f"kind: {'openai' if parsed.base_url else 'router'}, or kind: rule to do without"
        )
    return parsed


def _base_url(options: JudgeOptions) -> str:
    if options.kind == "openai":
        if not is_address(options.base_url or ""):
            raise UserError(
                f"{_WHERE}.base_url: the address of the server is needed, such as http://127.0.0.1:8000/v1, "
                f"got {options.base_url!r}"
            )
        return str(options.base_url)
    address = options.address or os.environ.get(ROUTER_VARIABLE)
    if not address:
        raise UserError(
            f"{_WHERE}.address: no reward router is known; set reward.reward_model.enable: true in verl, "
            f"or give the address here or in {ROUTER_VARIABLE}"
        )
    return f"http://{address.removeprefix('http://').rstrip('/')}/v1"
