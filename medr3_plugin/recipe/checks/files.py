"""Data, models and indexes: that they are there, and large enough."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.errors import UserError, counted, shown
from medr3_plugin.knowledge.vocabulary import read_entries
from medr3_plugin.recipe.checks.finding import Finding, needs_critic, section
from medr3_plugin.recipe.checks.prompts import prompts_fit
from medr3_plugin.recipe.checks.rows import Rows, english_only
from medr3_plugin.retrieval.engine import check_index
from medr3_plugin.rewards.encoder import c0_for
from medr3_plugin.yaml_section import as_list

_WEIGHTS = ("*.safetensors", "*.bin")


def files_exist(config: Any, recipe: Path, retrieval: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Data of every stage, model, indexes and vocabularies; `retrieval`: backend options by yaml path."""
    yield from _data(config, recipe, [options.get("index") for options in retrieval.values()])
    yield from _models(config)
    for key, options in retrieval.items():
        if index := options.get("index"):
            yield from _index(key, str(index))
        for name in ("encoder", "article_encoder", "reranker"):
            if model_of_search := (options.get("search") or {}).get(name):
                yield from _model(f"{key}.search.{name}", model_of_search)
    yield from _encoder(section(config, "reward", "encoder"))
    for key, folder in (
        ("medr3.run_dir", section(config).get("run_dir")),
        ("trainer.default_local_dir", config.trainer.default_local_dir),
        ("trainer.rollout_data_dir", config.trainer.rollout_data_dir),
        ("trainer.validation_data_dir", config.trainer.validation_data_dir),
    ):
        yield from _writable(key, folder)
    for vocabulary in section(config, "reward", "extractor").get("vocabularies") or ():
        if not Path(vocabulary).expanduser().exists():
            maker = _maker(vocabulary, "`medr3 data vocab`")
            yield _absent("medr3.reward.extractor.vocabularies", "no such file:", vocabulary, maker)
            continue
        try:
            for _ in read_entries(Path(vocabulary).expanduser()):
                pass
        except UserError as error:
            yield Finding.error("medr3.reward.extractor.vocabularies", str(error))


def _data(config: Any, recipe: Path, indexes: Sequence[Any]) -> Iterator[Finding]:
    """The data of every stage and of the validation; `recipe`: the folder of a tool file, which is in the prompts."""
    ours = section(config)
    batch = config.data.train_batch_size
    train = as_list(config.data.train_files)
    stages = dict(enumerate(ours.get("stages") or ()))
    keys = {
        index: f"medr3.stages[{index}].train_files" if stage.get("train_files") else "data.train_files"
        for index, stage in stages.items()
    }
    of_stages = {keys[index]: as_list(stage.get("train_files")) or train for index, stage in stages.items()}
    if config.trainer.test_freq > 0 or config.trainer.val_before_train:
        validation = as_list(config.data.val_files)
        if both := {file for files in of_stages.values() for file in files}.intersection(validation):
            yield Finding.note(
                "data.val_files",
                f"{min(both)} is also a training file: validation would not show what the model learns",
            )
        of_stages["data.val_files"] = validation
    multi_turn = config.actor_rollout_ref.rollout.multi_turn
    loops = {"medr3_search": "retrieval" in ours, "medr3_tool": bool(multi_turn.tool_config_path)}
    without = {loop for loop, is_set_up in loops.items() if not is_set_up}
    held = {key: Rows(key, str(config.data.prompt_key)) for key in of_stages}
    for key, files in of_stages.items():
        yield from _parquet(files, 1 if key == "data.val_files" else batch, without, held[key])
        yield from held[key].fit(indexes)
    for index, stage in stages.items():
        yield from _mixture(f"medr3.stages[{index}].mixture", stage.get("mixture") or {}, held[keys[index]])
    if any(rows.chinese for rows in held.values()):
        yield from english_only(config)
    yield from prompts_fit(config, recipe, of_stages)


def _mixture(key: str, weights: Mapping[str, Any], rows: Rows) -> Iterator[Finding]:
    """Datasets of a stage's mixture are in its files."""
    if weights and not any(float(weight) for weight in weights.values()):
        yield Finding.error(key, "no weight is above 0")
    for name in sorted(set(weights) - rows.sources) if rows.whole and rows.sources else ():
        there = ", ".join(sorted(rows.sources))
        yield Finding.error(f"{key}.{name}", f"no row has this data_source; those of the rows are {there}")


def _model(key: str, name: Any) -> Iterator[Finding]:
    """A folder of this machine holds a model; a hub name is left to its download."""
    if not (name and isinstance(name, str)):
        yield Finding.error(key, f"a model's folder or Hub name is needed, got {shown(name)}")
        return
    folder = Path(name).expanduser()
    if folder.is_dir():
        # sentence-transformers may have its configuration in modules.json alone
        of_sentences = not (folder / "config.json").exists() and (folder / "modules.json").exists()
        file = folder / ("modules.json" if of_sentences else "config.json")
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            yield Finding.error(key, f"{name} is not a model folder: {file.name} cannot be read ({error})")
            return
        if not any(file for weights in _WEIGHTS for file in folder.rglob(weights)):
            yield Finding.missing(
                key, f"{name} holds no weights ({', '.join(_WEIGHTS)}): get the whole model"
            )
    elif folder.exists():
        yield Finding.error(key, f"{name} is a file: give the model's folder, or a Hub name")
    elif _is_path(name) or name.count("/") > 1:
        yield Finding.missing(key, f"no such folder: {name}{_model_remedy(name)}")


def _models(config: Any) -> Iterator[Finding]:
    """The policy, the critic if there is one, and folders from which parts of them are taken."""
    worked = {"actor_rollout_ref.model": config.actor_rollout_ref.model}
    if needs_critic(config):
        worked["critic.model"] = config.critic.model
    for where, model in worked.items():
        yield from _model(f"{where}.path", model.path)
        for name in ("tokenizer_path", "hf_config_path", "lora_adapter_path"):
            folder = str(model.get(name) or "")
            if _is_path(folder) and not Path(folder).is_dir():
                yield Finding.missing(f"{where}.{name}", f"no such folder: {folder}")


def _encoder(options: Mapping[str, Any]) -> Iterator[Finding]:
    """The sentence encoder is there, and what its cosines mean is known."""
    if not options.get("path"):
        return
    found = list(_model("medr3.reward.encoder.path", options["path"]))
    yield from found
    if not found and options.get("c0") is None:
        try:
            c0_for(options["path"])
        except UserError as error:
            yield Finding.of(error)


def _index(key: str, name: str) -> Iterator[Finding]:
    """An index that a search would open."""
    folder = Path(name).expanduser()
    if not folder.exists():
        maker = _maker(name, "`medr3 index build`", first=True)
        yield _absent(key, "no index at", name, maker)
        return
    try:
        check_index(folder)
    except UserError as error:
        yield Finding.error(f"{key}.index", str(error))


def _writable(key: str, name: Any) -> Iterator[Finding]:
    """A folder that the run makes, or writes into."""
    if not name:
        return
    if not isinstance(name, str) or "://" in name:
        yield Finding.error(key, f"expected a local folder, got {name!r}")
        return
    folder = Path(name).expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        yield Finding.error(key, f"{folder} is a file, and {name} must be a folder")
    elif not os.access(folder, os.W_OK):
        yield Finding.error(key, f"{folder} cannot be written: choose another folder")


def _absent(key: str, what: str, path: str, maker: str) -> Finding:
    """What is missing and how it is made, unless a file stands where its folder should be (`paths.data=FILE`)."""
    above = next((parent for parent in Path(path).expanduser().parents if parent.is_file()), None)
    if above is not None:
        return Finding.error(key, f"{above} is a file, and {path} needs it to be a folder")
    return Finding.missing(key, f"{what} {path}: make it with {maker}")


def _is_path(name: str) -> bool:
    """A path, not a hub name (which has one slash at most)."""
    return name.startswith(("/", "./", "../", "~"))


def _model_remedy(folder: str) -> str:
    """How the models of the CPU recipe get there; others are the user's own."""
    command = {"SmolLM2-135M-Instruct": "model", "all-MiniLM-L6-v2": "encoder"}.get(Path(folder).name)
    return f": make it with `medr3 data {command} --out {shlex.quote(folder)}`" if command else ""


def _maker(file: str, usual: str, *, first: bool = False) -> str:
    """The command that makes a file; `first`: the quickstart only makes what `usual` needs."""
    folder = Path(file).parent
    if folder.name != "quickstart":
        return usual
    quickstart = f"`medr3 data quickstart --out {shlex.quote(str(folder))}`"
    return f"{quickstart}, then {usual}" if first else quickstart


def _parquet(files: Sequence[str], least: int, without: set[str], rows: Rows) -> Iterator[Finding]:
    """The files exist, can be read, and hold `least` rows, none for the agent loops in `without`; `rows` are read."""
    key = rows.key
    if not files:
        yield Finding.error(key, "no file is given: make one with `medr3 data prepare`")
    for file in files:
        if Path(file).expanduser().is_dir():
            yield Finding.error(key, f"{file} is a folder: give the parquet files in it")
        elif Path(file).expanduser().is_file():
            yield from rows.read(file)
        elif "://" not in file:
            yield _absent(key, "no such file:", file, _maker(file, "`medr3 data prepare`"))
    rows.whole = rows.whole and rows.opened == len(files)
    for loop in sorted(without.intersection(rows.agents)):
        yield Finding.error(
            key,
            f"{rows.agents[loop]} has rows for the agent loop {loop}, which this recipe does not use: prepare it with "
            "--prompt tools for a recipe with a tool file, otherwise with search or plain",
        )
    if files and rows.opened == len(files) and rows.count < least:
        yield Finding.error(key, f"{counted(rows.count, 'row')}, fewer than data.train_batch_size {least}")
