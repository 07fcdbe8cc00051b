"""Entry point of the group `verl.plugins`: importing this module registers everything with verl.

verl imports it at `import verl`, in the driver and in every Ray worker, while verl itself is only half
imported, and logs a failure at DEBUG only. So nothing of verl is imported here: each registration waits for
the verl module that holds its registry, and runs when that module is imported. A registration that fails
then fails that import, with its own traceback, instead of silently. `medr3 doctor` proves the result.

What is registered:

========================  ==========================  =============================================
verl registry             name                        implementation
========================  ==========================  =============================================
reward manager            `medr3`                     `verl_adapters.reward_manager`
agent loop                `medr3_search`              `environment.agent_loop`
agent loop                `medr3_tool`                `environment.tool_loop`
trainer mode              `medr3_progressive`         `stages.trainer`
trainer mode              `medr3_colocate_async`      `stages.trainer`
trainer mode              `medr3_separate_async`      `stages.trainer`
advantage estimator       `medr3_grpo`                `verl_adapters.advantage`
platform                  `cpu`                       `platform_cpu` (only if `VERL_PLATFORM=cpu`)
========================  ==========================  =============================================
"""

from __future__ import annotations

import importlib
from types import ModuleType

from wrapt import register_post_import_hook

from medr3_plugin.registered_names import ADVANTAGE_ESTIMATOR, AGENT_LOOP, TOOL_LOOP


def _register_reward_manager(_: ModuleType) -> None:
    # registers itself; imported for that, and harmless if it is what imported the registry
    importlib.import_module("medr3_plugin.verl_adapters.reward_manager")


def _register_agent_loop(module: ModuleType) -> None:
    # verl instantiates the loop from this path inside the agent loop worker, so nothing is imported here
    loops = module._agent_loop_registry
    loops[AGENT_LOOP] = {"_target_": "medr3_plugin.environment.agent_loop.SearchAgentLoop"}
    loops[TOOL_LOOP] = {"_target_": "medr3_plugin.environment.tool_loop.MedicalToolAgentLoop"}


def _register_trainer(_: ModuleType) -> None:
    importlib.import_module("medr3_plugin.stages.trainer")  # registers itself


def _register_advantage(module: ModuleType) -> None:
    from medr3_plugin.verl_adapters.advantage import medr3_grpo

    module.register_adv_est(ADVANTAGE_ESTIMATOR)(medr3_grpo)


def register() -> None:
    """Arrange every registration; safe to call more than once."""
    register_post_import_hook(_register_reward_manager, "verl.experimental.reward_loop.reward_manager")
    register_post_import_hook(_register_agent_loop, "verl.experimental.agent_loop.agent_loop")
    register_post_import_hook(_register_trainer, "verl.trainer.ppo.v1")
    register_post_import_hook(_register_advantage, "verl.trainer.ppo.core_algos")

    from medr3_plugin import platform_cpu

    if platform_cpu.is_chosen():
        platform_cpu.install()


register()
