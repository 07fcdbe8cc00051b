"""verl agent loop `medr3_tool`: verl's tool loop, extended so that its trajectories are scored like those with tags.

It adds to verl's own: the stage's sampling and search limit, stop strings, documents without control tokens that
never end the trajectory, the record of searches, and the trajectory in the words of the tag protocol
(`environment.tag_text`), by which it is scored. verl's plain `tool_agent` has none of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop

from medr3_plugin.environment.control_tokens import as_data, control_tokens
from medr3_plugin.environment.episode import Generation, inserted_runs, stopping
from medr3_plugin.environment.query_gain import QueryGain
from medr3_plugin.environment.rendering import opens_think
from medr3_plugin.environment.settings import EnvironmentSettings
from medr3_plugin.environment.tag_text import ToolTurn, tag_text
from medr3_plugin.environment.tool import MedicalSearchTool, Policy, max_searches
from medr3_plugin.retrieval.protocol import turns_from_json
from medr3_plugin.trajectory import ANSWER_CLOSE, DOCUMENT_CLOSE, DOCUMENT_OPEN, THINK_OPEN

_FORGING = (DOCUMENT_OPEN, DOCUMENT_CLOSE)


class _Engine:
    """verl's server client for one trajectory, with stop strings, cut at the first whatever the engine hands over.

    No turn goes past the response length: verl would cut the tokens there, and the text that is scored be longer.
    """

    def __init__(self, client: Any, stop: Sequence[str], tokenizer: Any, response_length: int) -> None:
        self._client = client
        self._stop = stop
        self._tokenizer = tokenizer
        self._response_length = response_length
        self._end: int | None = None
        self.aborted = False

    async def generate(self, *, prompt_ids: list[int], sampling_params: dict[str, Any], **kwargs: Any) -> Any:
        self._end = self._end or len(prompt_ids) + self._response_length
        output = await self._client.generate(
            prompt_ids=prompt_ids,
            sampling_params=stopping(sampling_params, self._stop, max(1, self._end - len(prompt_ids))),
            **kwargs,
        )
        self.aborted |= output.stop_reason == "aborted"
        kept = Generation(output.token_ids, output.log_probs or None).until(self._stop, self._tokenizer)
        if len(kept.token_ids) == len(output.token_ids):
            return output
        return output.model_copy(update={"token_ids": kept.token_ids, "log_probs": kept.log_probs})


class MedicalToolAgentLoop(ToolAgentLoop):
    """Tool calls by the model's chat template. verl makes one instance per trajectory."""

    server_manager: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings = EnvironmentSettings.from_mapping(OmegaConf.select(self.config, "medr3.environment"))
        self._turns: list[ToolTurn] = []
        self._gain = QueryGain({})
        for tool in self.tools.values():
            if isinstance(tool, MedicalSearchTool):
                tool.settings.check_not_cut(self.max_tool_response_length)
                if tool.policy is None:
                    policy = Policy(self.tokenizer, self.response_length, self._frame_tokens())
                    section: Any = OmegaConf.select(self.config, "medr3.retrieval")
                    retrieval = None if section is None else OmegaConf.to_container(section, resolve=True)
                    tool.attach(policy, self._settings, retrieval)  # type: ignore[arg-type]

    def _frame_tokens(self) -> int:
        """Tokens that the chat template puts around the answer of a tool."""
        asked = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
        answered = [*asked, {"role": "tool", "content": ""}]
        return len(self.continuous_token_builder.tokenize_context_incremental_messages(asked, answered))

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> AgentLoopOutput:
        """Roll out one sample; the stage's stamp in `extra_info` overrides search limit and sampling."""
        stamp = kwargs.get("extra_info") or {}
        # verl runs each sample in a task of its own, so this reaches the tool's calls of this sample only
        max_searches.set(stamp.get("max_searches"))
        stop = [*_FORGING, *([ANSWER_CLOSE] if self._settings.stop_at_answer else [])]
        self.server_manager = engine = _Engine(
            self.server_manager, stop, self.tokenizer, self.response_length
        )
        self._turns = []
        self._gain = QueryGain(kwargs)
        sampling = {**sampling_params, **(stamp.get("sampling") or {})}
        output = await super().run(sampling, priority, **kwargs)
        if not output.response_mask:  # the engine gave up at once: verl takes the prompt for the response
            output.response_ids, output.response_mask = [int(self.tokenizer.eos_token_id)], [0]
            output.response_logprobs = [0.0]
        unanswered = bool(self._turns and self._turns[-1].searches)
        output.extra_fields |= {
            "tag_text": tag_text(self._turns),
            "aborted": engine.aborted,
            "inserted": inserted_runs(output.response_mask),
            "forged": any(tag in turn.text for turn in self._turns for tag in _FORGING),
            "truncated": unanswered or len(output.response_ids) >= self.response_length,
            "prefill_think": bool(self._turns)
            and self._turns[0].text.startswith(THINK_OPEN)
            and opens_think(output.prompt_ids, self.tokenizer),
        }
        searches = output.extra_fields.setdefault("searches", "[]")
        output.extra_fields["query_gain"] = await self._gain.of(turns_from_json(searches))
        return output

    async def _handle_generating_state(self, agent_data: Any, *args: Any, **kwargs: Any) -> Any:
        opened = opens_think(agent_data.prompt_ids, self.tokenizer)
        state = await super()._handle_generating_state(agent_data, *args, **kwargs)
        tools = [tool.tool_schema for tool in agent_data._active_tools.values()]
        text, _ = await self.tool_parser.extract_tool_calls(agent_data.response_ids, tools)
        for token in control_tokens(self.tokenizer).special:
            text = text.replace(token, "")
        self._turns.append(ToolTurn(f"{THINK_OPEN}{text}" if opened else text))
        return state

    async def _call_tool(self, tool_call: Any, tools_kwargs: dict[str, Any], agent_data: Any) -> Any:
        tool = agent_data._active_tools.get(tool_call.name)
        if isinstance(tool, MedicalSearchTool) and tool.backend is not None:
            self._gain.search_question(tool.backend, tool.environment)
        response, reward, notes = await super()._call_tool(tool_call, tools_kwargs, agent_data)
        if response.text:  # of any tool, and verl's own messages, which repeat what the model wrote
            response = response.model_copy(update={"text": as_data(response.text, self.tokenizer)})
        if isinstance(tool, MedicalSearchTool) and "query" in notes:
            self._turns[-1].searches.append((notes["query"], response.text))
        return response, reward, notes
