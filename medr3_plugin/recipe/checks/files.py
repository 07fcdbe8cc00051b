"""Data, models and indexes: that they are there, and large enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.recipe.checks.finding import Finding, section
from medr3_plugin.recipe.checks.rows import rows_fit


def files_exist(config: Any, retrieval: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Data of every stage, model, indexes and vocabularies; `retrieval`: backend options by yaml path."""
    ours = section(config)
    batch = config.data.train_batch_size
    train = listed(config.data.train_files)
    of_stages = {
        f"medr3.stages[{index}].train_files" if stage.get("train_files") else "data.train_files": listed(
            stage.get("train_files")
        )
        or train
        for index, stage in enumerate(ours.get("stages") or ())
    }
    if config.trainer.test_freq > 0 or config.trainer.val_before_train:
        of_stages["data.val_files"] = listed(config.data.val_files)
    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    loops = {"medr3_search": "retrieval" in ours, "medr3_tool": bool(multi_turn.tool_config_path)}
    without = {loop for loop, is_set_up in loops.items() if not is_set_up}
    model = str(config.actor_rollout_ref.model.path)
    for key, files in of_stages.items():
        yield from _parquet(key, files, 1 if key == "data.val_files" else batch, without)
        yield from rows_fit(key, files, model, [options.get("index") for options in retrieval.values()])
    if _is_path(model) and not Path(model).expanduser().is_dir():
        yield Finding(
            "missing", "actor_rollout_ref.model.path", f"no such folder: {model}{_model_remedy(model)}"
        )
    for key, options in retrieval.items():
        index = options.get("index")
        if index and not Path(index).expanduser().is_dir():
            yield Finding(
                "missing",
                key,
                f"no index at {index}: make it with {_maker(index, '`medr3 index build`', first=True)}",
            )
    encoder = ((ours.get("reward") or {}).get("encoder") or {}).get("path")
    if encoder and _is_path(encoder) and not Path(encoder).expanduser().is_dir():
        yield Finding(
            "missing", "medr3.reward.encoder.path", f"no such folder: {encoder}{_model_remedy(encoder)}"
        )
    for vocabulary in ((ours.get("reward") or {}).get("extractor") or {}).get("vocabularies") or ():
        if not Path(vocabulary).expanduser().is_file():
            yield Finding(
                "missing",
                "medr3.reward.extractor.vocabularies",
                f"no such file: {vocabulary}: make it with {_maker(vocabulary, '`medr3 data vocab`')}",
            )


def _is_path(name: str) -> bool:
    """A path, not a hub name."""
    return name.startswith(("/", "./", "../", "~"))


def _model_remedy(folder: str) -> str:
    """How the models of the CPU recipe get there; others are the user's own."""
    command = {"SmolLM2-135M-Instruct": "model", "all-MiniLM-L6-v2": "encoder"}.get(Path(folder).name)
    return f": make it with `medr3 data {command} --out {folder}`" if command else ""


def _maker(file: str, usual: str, *, first: bool = False) -> str:
    """The command that makes a file; `first`: the quickstart only makes what `usual` needs."""
    folder = Path(file).parent
    if folder.name != "quickstart":
        return usual
    quickstart = f"`medr3 data quickstart --out {folder}`"
    return f"{quickstart}, then {usual}" if first else quickstart


def listed(files: Any) -> list[str]:
    """One file, a list of them or None, as a list."""
    if files is None:
        return []
    return [str(files)] if isinstance(files, str) else [str(file) for file in files]


def _parquet(key: str, files: Sequence[str], least: int, without: set[str]) -> Iterator[Finding]:
    """The files exist, can be read, hold verl's columns and one batch of rows, none for the loops in `without`."""
    rows = 0
    complete = True
    for file in files:
        path = Path(file).expanduser()
        if "://" in file:
            return
        if not path.is_file():
            yield Finding(
                "missing", key, f"no such file: {file}: make it with {_maker(file, '`medr3 data prepare`')}"
            )
            complete = False
            continue
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            return
        try:
            schema = pq.read_schema(path)
            rows += pq.read_metadata(path).num_rows
        except (pa.ArrowException, OSError) as error:
            reason = f"{file} cannot be read as parquet ({error}): rewrite it with `medr3 data prepare`"
            yield Finding("error", key, reason)
            return
        absent = {"data_source", "prompt", "reward_model", "extra_info"} - set(schema.names)
        if absent:
            yield Finding("error", key, f"{file} lacks the column {sorted(absent)[0]!r}")
        if "agent_name" in schema.names:
            named = pq.read_table(path, columns=["agent_name"])["agent_name"].unique().to_pylist()
            for loop in sorted(without.intersection(named)):
                yield Finding(
                    "error",
                    key,
                    f"{file} has rows for the agent loop {loop}, which this recipe does not use: prepare it with "
                    "the fitting --prompt (tools for a recipe with a tool file, else search or plain)",
                )
    if complete and rows < least:
        yield Finding("error", key, f"{rows} rows are fewer than data.train_batch_size {least}")
