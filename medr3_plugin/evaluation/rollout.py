"""Trajectories of an evaluation, each token from a `Policy`: the tag protocol of training, or verl's tool loop."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medr3_plugin.environment import tool_file
from medr3_plugin.environment.asking import Search
from medr3_plugin.environment.episode import Generate, run_episode
from medr3_plugin.environment.rendering import opens_think
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.errors import UserError, needs
from medr3_plugin.evaluation.benchmarks import Question
from medr3_plugin.evaluation.policy import Policy, PolicyFailure, Sampling
from medr3_plugin.records import Sample, SearchTurn, canonical_id, gold_found
from medr3_plugin.retrieval.protocol import turns_from_json
from medr3_plugin.rewards.retrieval import coverage
from medr3_plugin.trajectory import THINK_OPEN

Rollout = Callable[[Question, int], Awaitable[dict[str, Any]]]
"""Makes the n-th trajectory of a question: its row, without a verdict."""

TAG_TEXT = "tag_text"
"""Key of a row whose model calls tools: the trajectory in the words of the tag protocol, by which it is judged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for every sample of an evaluation."""

    settings: EnvironmentSettings
    response_length: int
    samples: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    concurrency: int = 64


def tag_rollout(policy: Policy, search: Search, plan: Plan) -> Rollout:
    """Rollouts in the tag protocol (`<search>`), as by the agent loop `medr3_search`."""

    async def roll_out(question: Question, number: int) -> dict[str, Any]:
        tokenizer = policy.tokenizer
        messages = list(question.prompt)
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        opened = opens_think(prompt, tokenizer)  # by the chat template
        if plan.settings.prefill_think and not opened:
            messages.append({"role": "assistant", "content": THINK_OPEN})
            prompt = [*prompt, *tokenizer.encode(THINK_OPEN, add_special_tokens=False)]
            opened = True
        episode = await run_episode(
            prompt,
            generate=policy.sampler(plan.sampling, number, messages),
            search=search,
            tokenizer=tokenizer,
            settings=plan.settings,
            response_length=plan.response_length,
        )
        if episode.aborted:
            raise PolicyFailure("the engine aborted a generation", "aborted")
        text = tokenizer.decode(episode.response_ids, skip_special_tokens=True)
        return rollout_row(
            question.sample,
            response=THINK_OPEN + text if opened else text,
            turns=episode.turns,
            prompt_tokens=len(prompt),
            mask=episode.response_mask,
            truncated=episode.truncated,
            forged=episode.forged,
        )

    return roll_out


def rollout_row(
    sample: Sample,
    *,
    response: str,
    turns: Sequence[SearchTurn],
    prompt_tokens: int,
    mask: Sequence[int],
    truncated: bool,
    forged: bool,
) -> dict[str, Any]:
    """The row of a trajectory, without a verdict.

    Args:
        mask: 1 for each token of the response that the model generated, 0 for each that it was shown.
    """
    return {
        **sample.row(),
        "response": response,
        "searches": [turn.row() for turn in turns],
        "prompt_tokens": prompt_tokens,
        "generated_tokens": sum(mask),
        "inserted_tokens": len(mask) - sum(mask),
        "truncated": truncated,
        "forged": forged,
        "gold_recall": _gold_recall(turns, sample.gold_docs),
    }


def _gold_recall(turns: Sequence[SearchTurn], gold: Sequence[str]) -> float | None:
    """Share of the gold documents of which a passage was retrieved; None without known gold documents."""
    found = gold_found(gold, {name for turn in turns for hit in turn.hits for name in hit.document.ids})
    return coverage(set(map(canonical_id, gold)), found) if gold else None


class _Server:
    """A policy instead of verl's rollout servers, for one trajectory."""

    def __init__(self, generate: Generate) -> None:
        self._generate = generate

    async def generate(self, *, prompt_ids: list[int], sampling_params: dict[str, Any], **_: Any) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        made = await self._generate(
            list(prompt_ids), stop=sampling_params["stop"], max_tokens=sampling_params["max_tokens"]
        )
        stop_reason = "aborted" if made.aborted else None
        return TokenOutput(token_ids=made.token_ids, stop_reason=stop_reason, num_preempted=0)


def tool_rollout(policy: Policy, config: Any, tools: Path, retrieval: dict[str, Any], plan: Plan) -> Rollout:
    """Rollouts in the tool loop of a recipe.

    Args:
        config: the composed recipe; its `rollout.multi_turn` says how calls are written and how many there may be.
        tools: the recipe's tool file; its searches go to `retrieval` instead of its own.
        retrieval: options of the backend, as `medr3.retrieval`.

    Raises:
        UserError: the tool file lists no search, or a tool of it cannot be made.
        MissingExtra: verl is not installed.
    """
    with needs("verl", "verl", "evaluating a recipe that calls tools"):
        from omegaconf import OmegaConf
        from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
        from verl.tools.tool_registry import load_all_tools
        from verl.utils.dataset.rl_dataset import RLHFDataset

        from medr3_plugin.environment.tool_loop import MedicalToolAgentLoop
    section = OmegaConf.create(
        {
            "medr3": {"environment": plan.settings.model_dump(), "retrieval": retrieval},
            "actor_rollout_ref": {
                "rollout": {
                    "multi_turn": OmegaConf.to_container(
                        config.actor_rollout_ref.rollout.multi_turn, resolve=True
                    ),
                    "prompt_length": config.data.max_prompt_length,
                    "response_length": plan.response_length,
                    "full_determinism": False,
                }
            },
        }
    )
    made = ToolListWrap(_tools(tools, load_all_tools))

    async def roll_out(question: Question, number: int) -> dict[str, Any]:
        generate = policy.sampler(plan.sampling, number, question.prompt)
        loop = MedicalToolAgentLoop(
            trainer_config=DictConfigWrap(section),
            server_manager=_Server(generate),
            tokenizer=policy.tokenizer,
            processor=None,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            tools=made,
        )
        stamp = {"max_searches": plan.settings.max_searches}
        output = await loop.run({}, raw_prompt=list(question.prompt), tools_kwargs={}, extra_info=stamp)
        found = output.extra_fields
        if found["aborted"]:
            raise PolicyFailure("the engine aborted a generation", "aborted")
        row = rollout_row(
            question.sample,
            response=policy.tokenizer.decode(output.response_ids, skip_special_tokens=True),
            turns=turns_from_json(found["searches"]),
            prompt_tokens=len(output.prompt_ids),
            mask=output.response_mask,
            truncated=found["truncated"],
            forged=found["forged"],
        )
        return row | {TAG_TEXT: found["tag_text"]}

    return roll_out


def _tools(file: Path, load: Any) -> list[Any]:
    """verl's tools from a tool file, without the retrieval they use in training."""
    from omegaconf import OmegaConf

    tools = tool_file.read(file)
    if not (searches := tool_file.searches(tools)):
        raise UserError(f"{file}: lists no tool of the class medr3_plugin.environment.tool.MedicalSearchTool")
    for options in searches:
        options.pop("retrieval", None)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        OmegaConf.save({"tools": tools}, copy)
        made: list[Any] = load(str(copy), None)
    return made
