"""The tool file of a recipe that calls tools: where it is, the searches that it lists, and their settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from medr3_plugin.environment.settings import EnvironmentSettings, Template
from medr3_plugin.errors import UserError
from medr3_plugin.registered_names import TOOL_LOOP
from medr3_plugin.yaml_section import Section

KEY = "actor_rollout_ref.rollout.multi_turn.tool_config_path"
SEARCHES_NOWHERE = "medr3.retrieval: missing, and the tool medical_search does not set retrieval either"


class ToolSettings(Section):
    """The tool's `config` in the yaml.

    Attributes:
        type: the type that verl expects of its tools.
        retrieval: like the section `medr3.retrieval`, which is used if this is null.
        topk, max_searches, answer_reserve, document_template: as in `medr3.environment`, whose values are used if null.
        document_chars: longest text of one document, in characters; it is cut at a word boundary.
        response_chars: longest reply of the tool, in characters. `rollout.multi_turn.max_tool_response_length` must not
            be smaller, or verl would cut the middle out of it; `medr3_tool` then refuses to start.
    """

    type: str = "native"
    retrieval: dict[str, Any] | None = None
    topk: int | None = Field(None, ge=1, le=100)
    max_searches: int | None = Field(None, ge=0)
    document_chars: int = Field(1500, ge=40)
    response_chars: int = Field(6000, ge=80)
    answer_reserve: int | None = Field(None, ge=0)
    document_template: Template | None = None

    def over(self, environment: EnvironmentSettings) -> EnvironmentSettings:
        """`medr3.environment` with what the tool's own section sets."""
        own = self.model_dump(
            include={"topk", "max_searches", "answer_reserve", "document_template"}, exclude_none=True
        )
        return environment.model_copy(update=own)

    def check_not_cut(self, max_tool_response_length: int) -> None:
        """Refuse a configuration in which verl would truncate the tool's replies.

        Raises:
            UserError: naming both keys.
        """
        if max_tool_response_length < self.response_chars:
            raise UserError(
                f"actor_rollout_ref.rollout.multi_turn.max_tool_response_length: {max_tool_response_length} characters "
                f"are fewer than the tool's response_chars {self.response_chars}: verl would cut out the middle of the "
                "documents"
            )


def calls_tools(config: Any) -> bool:
    """Whether a composed recipe rolls out in our tool loop."""
    return bool(config.actor_rollout_ref.rollout.agent.default_agent_loop == TOOL_LOOP)


def find(config: Any, folder: Path) -> Path:
    """The tool file of a composed recipe; `folder` is the recipe's.

    Raises:
        UserError: there is none.
    """
    given = config.actor_rollout_ref.rollout.multi_turn.tool_config_path
    if not given:
        raise UserError(f"{KEY}: the agent loop {TOOL_LOOP} needs a tool file")
    # run.sh names the file beside the recipe; without run.sh a bare name means the same one
    for path in (Path(given), folder / Path(given).name):
        if path.is_file():
            return path
    raise UserError(f"{KEY}: no such file: {given}")


def read(path: Path) -> list[dict[str, Any]]:
    """The tools that a file lists, each with a `config`.

    Raises:
        UserError: it is not such a file.
    """
    listed = read_yaml(path)
    tools = (listed.get("tools") or []) if isinstance(listed, dict) else []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UserError(f"{path}: tools: expected a list of tools, each with class_name and config")
    return [{**tool, "config": tool.get("config") or {}} for tool in tools]


def searches(tools: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The `config` of each of our search tools."""
    return [tool["config"] for tool in tools if str(tool.get("class_name")).endswith("MedicalSearchTool")]


def read_yaml(path: Path) -> Any:
    """A yaml file with its interpolations resolved.

    Raises:
        UserError: it cannot be read.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
