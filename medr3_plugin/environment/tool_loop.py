"""verl agent loop `medr3_tool`: verl's tool loop, with what the rewards of this package must know.

verl's `tool_agent` does not say which tokens its tools inserted, so that the rewards refuse its trajectories. This
one does, and adds: a start-up check that verl will not cut documents, the room left in the response (so that
documents never end the trajectory), the record of searches also for trajectories without one, and whether the model
wrote document tags itself.
"""

from __future__ import annotations

from itertools import compress
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop

from medr3_plugin.environment.inserted import inserted_runs
from medr3_plugin.environment.rendering import opens_think
from medr3_plugin.environment.tool import MedicalSearchTool, max_searches
from medr3_plugin.errors import UserError
from medr3_plugin.trajectory import DOCUMENT_CLOSE, DOCUMENT_OPEN


class MedicalToolAgentLoop(ToolAgentLoop):
    """Tool calls by the model's chat template, recorded as the tag protocol's searches are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for tool in self.tools.values():
            if isinstance(tool, MedicalSearchTool):
                check_not_cut(tool, self.max_tool_response_length)
                tool.response_length = self.response_length

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> AgentLoopOutput:
        """Roll out one sample; `extra_info.max_searches` (stamped by the stage) overrides the tool's."""
        # verl runs each sample in a task of its own, so this reaches the tool's calls of this sample only
        max_searches.set((kwargs.get("extra_info") or {}).get("max_searches"))
        output = await super().run(sampling_params, priority, **kwargs)
        # documents belong to the tool: in the model's own tokens their tags are forged evidence
        generated = self.tokenizer.decode(
            list(compress(output.response_ids, output.response_mask)), skip_special_tokens=True
        )
        output.extra_fields["forged"] = DOCUMENT_OPEN in generated or DOCUMENT_CLOSE in generated
        output.extra_fields["inserted"] = inserted_runs(output.response_mask)
        output.extra_fields["truncated"] = len(output.response_ids) >= self.response_length
        output.extra_fields["prefill_think"] = opens_think(output.prompt_ids, self.tokenizer)
        output.extra_fields.setdefault("searches", "[]")
        return output


def check_not_cut(tool: MedicalSearchTool, max_tool_response_length: int) -> None:
    """Refuse a configuration in which verl would cut the tool's answers.

    Raises:
        UserError: naming both keys.
    """
    if max_tool_response_length < tool.settings.response_chars:
        raise UserError(
            "actor_rollout_ref.rollout.multi_turn.max_tool_response_length is "
            f"{max_tool_response_length} characters, less than response_chars "
            f"({tool.settings.response_chars}) of the tool {tool.name}: verl would cut the documents; "
            "raise the first or lower the second"
        )
