"""The policy's own tokenizer and chat template make prompts of the data, and these are short enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from medr3_plugin.data.questions.example_turns import load_tokenizer, lost_turns, renderer
from medr3_plugin.environment import tool_file
from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks.finding import Finding

_MEASURED = 200
"""Prompts of a file that a check measures."""


def prompts_fit(config: Any, folder: Path, files: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """A model on the Hub or with code of its own is left to verl, and a file that cannot be read to other checks.

    Args:
        folder: the recipe's.
        files: parquet files by the key that names them.
    """
    import pyarrow as pa
    from jinja2 import TemplateError

    model = config.actor_rollout_ref.model
    place = Path(str(model.get("tokenizer_path") or model.path)).expanduser()
    if model.get("trust_remote_code") or not (place / "config.json").is_file():
        return
    try:
        tokenizer = load_tokenizer(str(place), str(model.custom_chat_template or ""))
    except UserError as error:
        other = (
            "; actor_rollout_ref.model.custom_chat_template can hold one" if "template" in str(error) else ""
        )
        yield Finding.missing("actor_rollout_ref.model.path", f"{error}{other}")
        return
    lengths: list[int] = []
    for file, key in {file: key for key, named in files.items() for file in named}.items():
        try:
            lengths += prompt_lengths(tokenizer, [file], tool_schemas(config, folder), _MEASURED)
            lost = lost_turns(next(prompts([file]), []), renderer(tokenizer))
        except TemplateError as error:
            yield Finding.error(key, f"{file}: the chat template of {place} refuses its prompts: {error}")
            continue
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
            continue
        if lost:
            yield Finding.error(
                key,
                f"{file}: the chat template of {place} drops the reasoning and the searches of the example turns: "
                "prepare the file again with --examples-as user",
            )
    limit = config.data.max_prompt_length
    longer = [length for length in lengths if length > limit]
    if longer:
        none_fits = len(longer) == len(lengths)
        yield Finding(
            "error" if none_fits else "note",
            "data.max_prompt_length",
            f"{'all' if none_fits else f'{len(longer)} of'} {len(lengths)} measured prompts are longer than {limit} "
            f"tokens, the longest has {max(longer)}",
        )


def prompt_lengths(
    tokenizer: Any, files: Sequence[str], tools: list[dict[str, Any]] | None, most: int
) -> list[int]:
    """Lengths in tokens of the first prompts of parquet files, sorted; `tools`: schemas shown in each."""
    options = {"tools": tools, "add_generation_prompt": True, "tokenize": True, "return_dict": False}
    return sorted(
        len(tokenizer.apply_chat_template(messages, **options)) for messages in islice(prompts(files), most)
    )


def prompts(files: Sequence[str]) -> Iterator[list[dict[str, str]]]:
    """The chat messages of every row of parquet files."""
    import pyarrow.parquet as pq

    for file in files:
        for messages in pq.read_table(Path(file).expanduser(), columns=["prompt"])["prompt"].to_pylist():
            yield [{"role": m["role"], "content": m["content"]} for m in messages]


def tool_schemas(config: Any, recipe: Path) -> list[dict[str, Any]] | None:
    """The tools' schemas for the chat template, which are part of every prompt; None without tools."""
    if not tool_file.calls_tools(config):
        return None
    from medr3_plugin.environment.tool import SCHEMA

    tools = tool_file.read(tool_file.find(config, recipe))
    return [tool.get("tool_schema") or SCHEMA for tool in tools]
