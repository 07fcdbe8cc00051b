"""A judge from the yaml section `medr3.reward.judge`.

```yaml
judge:
  kind: openai                 # rule | openai | router
  base_url: http://127.0.0.1:8000/v1
  model: Qwen/Qwen2.5-14B-Instruct
  api_key_env: JUDGE_KEY       # the NAME of an environment variable; keys never stand in a config
  cache: verdicts.sqlite
```

`router` is verl's own reward-model router (`reward.reward_model.enable: true`, see `stages.judge_model`): the cluster
of the run serves the judge, in the same protocol under `http://<address>/v1`. The reward manager fills in `address`;
elsewhere it comes from the options or from `MEDR3_REWARD_ROUTER`. Without `model` the server is asked for its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from medr3_plugin.errors import UserError
from medr3_plugin.judge.base import AnswerJudge
from medr3_plugin.judge.chat import ChatClient, Structured
from medr3_plugin.judge.prompt import RARE_DISEASE_DATASETS
from medr3_plugin.judge.rule import RuleJudge
from medr3_plugin.yaml_section import validated

ROUTER_VARIABLE = "MEDR3_REWARD_ROUTER"


class JudgeOptions(BaseModel):
    """The section `judge`. Defaults suit a server of one's own; times are in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["rule", "openai", "router"] = "rule"
    base_url: str | None = None
    address: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    attempts: Annotated[int, Field(ge=1)] = 4
    max_in_flight: Annotated[int, Field(ge=1)] = 256
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_tokens: Annotated[int, Field(ge=16)] = 512
    structured: Structured = "json_schema"
    extra_body: Mapping[str, Any] = Field(default_factory=dict)
    cache: str | None = None
    rare_disease_datasets: tuple[str, ...] = tuple(sorted(RARE_DISEASE_DATASETS))


def make_judge(options: Mapping[str, Any] | None, where: str = "medr3.reward.judge") -> AnswerJudge | None:
    """The judge that `options` describe; None for no options.

    >>> type(make_judge({"kind": "rule"})).__name__, make_judge(None)
    ('RuleJudge', None)

    Raises:
        UserError: an option is wrong or missing; names its yaml path under `where`.
        MissingExtra: the judge needs a package that is not installed.
    """
    if not options:
        return None
    parsed = _read(options, where)
    if parsed.kind == "rule":
        return RuleJudge()

    from medr3_plugin.judge.cache import VerdictCache
    from medr3_plugin.judge.llm import LLMJudge

    chat = ChatClient(
        _base_url(parsed, where),
        model=parsed.model,
        api_key_env=parsed.api_key_env,
        timeout_s=parsed.timeout_s,
        attempts=parsed.attempts,
        max_in_flight=parsed.max_in_flight,
        structured=parsed.structured,
        params={"temperature": parsed.temperature, "max_tokens": parsed.max_tokens},
        extra_body=parsed.extra_body,
        use_proxies=parsed.kind == "openai",
    )
    return LLMJudge(
        chat,
        source=parsed.kind,
        cache=VerdictCache(parsed.cache) if parsed.cache else None,
        rare_disease_datasets=parsed.rare_disease_datasets,
    )


def _read(options: Mapping[str, Any], where: str) -> JudgeOptions:
    if "api_key" in options:
        raise UserError(
            f"{where}.api_key: keys do not belong in a config; put the key into an environment variable and "
            f"its name into {where}.api_key_env"
        )
    return validated(JudgeOptions, options, where)


def _base_url(options: JudgeOptions, where: str) -> str:
    if options.kind == "openai":
        if not options.base_url or not options.base_url.startswith(("http://", "https://")):
            raise UserError(
                f"{where}.base_url: the address of the server is needed, such as http://127.0.0.1:8000/v1, "
                f"got {options.base_url!r}"
            )
        return options.base_url
    address = options.address or os.environ.get(ROUTER_VARIABLE)
    if not address:
        raise UserError(
            f"{where}.address: no reward router is known; set reward.reward_model.enable: true in verl, "
            f"or give the address here or in {ROUTER_VARIABLE}"
        )
    return f"http://{address.removeprefix('http://').rstrip('/')}/v1"
