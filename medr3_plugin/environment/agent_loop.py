"""verl agent loop `medr3_search`: `episode.run_episode` on verl's rollout server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopOutput

from medr3_plugin.environment.episode import Generation, inserted_runs, run_episode, stopping
from medr3_plugin.environment.query_gain import QueryGain
from medr3_plugin.environment.rendering import opens_think
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.records import Hit
from medr3_plugin.retrieval.backend import make_backend
from medr3_plugin.retrieval.protocol import turns_to_json
from medr3_plugin.trajectory import THINK_OPEN


class _RolloutServer:
    """`episode.Generate` over verl's server client; keeps what verl needs from every call."""

    def __init__(self, client: Any, sampling_params: Mapping[str, Any], priority: int) -> None:
        self._client = client
        self._sampling = dict(sampling_params)
        self._priority = priority
        # one id per trajectory: its turns go to the server that has its prefix
        self._request_id = uuid4().hex
        self.extra_fields: dict[str, Any] = {}
        self.routed_experts: Any = None  # of all tokens so far (mixtures of experts with router replay)
        self.num_preempted = -1

    async def __call__(self, token_ids: list[int], *, stop: list[str], max_tokens: int) -> Generation:
        output = await self._client.generate(
            request_id=self._request_id,
            prompt_ids=token_ids,
            sampling_params=stopping(self._sampling, stop, max_tokens),
            priority=self._priority,
        )
        # weight versions of the whole trajectory: the first call's minimum, the last call's maximum
        first = self.extra_fields.get("min_global_steps")
        self.extra_fields.update(output.extra_fields)
        if first is not None:
            self.extra_fields["min_global_steps"] = first
        if output.routed_experts is not None:
            self.routed_experts = output.routed_experts
        if output.num_preempted is not None:
            self.num_preempted = max(self.num_preempted, 0) + output.num_preempted
        return Generation(output.token_ids, output.log_probs or None, aborted=output.stop_reason == "aborted")


class SearchAgentLoop(AgentLoopBase):
    """Reason, search and answer with tags, against the backend of `medr3.retrieval`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        section: Any = OmegaConf.to_container(self.config.medr3, resolve=True)
        self.settings = EnvironmentSettings.from_mapping(section.get("environment"))
        self.backend = make_backend(section["retrieval"])
        self.response_length = int(self.rollout_config.response_length)

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> AgentLoopOutput:
        """Roll out one sample; the stage's stamp in `extra_info` overrides search limit and sampling."""
        stamp = kwargs.get("extra_info") or {}
        prompt_ids = await self.ct_build_initial_tokens(list(kwargs["raw_prompt"]))
        if self.settings.prefill_think and not opens_think(prompt_ids, self.tokenizer):
            opened = [*prompt_ids, *self.tokenizer.encode(THINK_OPEN, add_special_tokens=False)]
            prompt_ids = self._cap_text_prompt_length(opened)  # verl has cut the prompt without the tag
        sampling = {**sampling_params, **(stamp.get("sampling") or {})}
        server = _RolloutServer(self.server_manager, sampling, int(priority))
        gain = QueryGain(kwargs)

        async def search(query: str) -> list[Hit]:
            gain.search_question(self.backend, self.settings)
            return (await self.backend.search([query], self.settings.topk))[0]

        episode = await run_episode(
            prompt_ids,
            generate=server,
            search=search,
            tokenizer=self.tokenizer,
            settings=self.settings,
            response_length=self.response_length,
            max_searches=stamp.get("max_searches"),
        )
        if not episode.response_ids:  # the engine gave up at once; verl's batches hold no empty response
            episode.add_inserted([int(self.tokenizer.eos_token_id)])
        experts = server.routed_experts
        return AgentLoopOutput(
            prompt_ids=list(prompt_ids),
            response_ids=episode.response_ids,
            response_mask=episode.response_mask,
            response_logprobs=episode.log_probs,
            # one for each token but the last: an engine that was cut at a stop string has told more
            routed_experts=None
            if experts is None
            else experts[: len(prompt_ids) + len(episode.response_ids) - 1],
            num_turns=2 + 2 * len(episode.turns),
            metrics={
                "generate_sequences": episode.generate_s,
                "tool_calls": episode.search_s,
                "num_preempted": server.num_preempted,
            },
            # what rewards and logs need to know; the reward manager gets it as `tool_extra_fields`
            extra_fields={
                **server.extra_fields,
                "searches": turns_to_json(episode.turns),
                "forged": episode.forged,
                "truncated": episode.truncated,
                "aborted": episode.aborted,
                "inserted": inserted_runs(episode.response_mask),
                "prefill_think": opens_think(prompt_ids, self.tokenizer),
                # verl's own loops carry these two; its code paths expect them
                "turn_scores": [],
                "tool_rewards": [],
                "query_gain": await gain.of(episode.turns),
            },
        )
