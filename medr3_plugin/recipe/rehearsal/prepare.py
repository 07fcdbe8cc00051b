"""The configuration of a recipe's rehearsal: what is available is used, the rest is reported or replaced."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from medr3_plugin.data.questions.example_turns import load_tokenizer
from medr3_plugin.environment import tool_file
from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks import check_config
from medr3_plugin.recipe.checks.cluster import silence
from medr3_plugin.recipe.checks.finding import Finding, most_searches, needs_critic, section
from medr3_plugin.recipe.checks.prompts import prompt_lengths, prompts, tool_schemas
from medr3_plugin.recipe.checks.sections import retrieval_options
from medr3_plugin.recipe.checks.sizes import FREE_MEMORY
from medr3_plugin.recipe.rehearsal import replaced, stand_ins
from medr3_plugin.recipe.rehearsal.replaced import Replaced
from medr3_plugin.recipe.rehearsal.tiny_model import TinyModel, build_tiny_model
from medr3_plugin.recipe.shipped import Recipe, compose
from medr3_plugin.yaml_section import as_list

CONFIG_NAME = "rehearsal"
_SAMPLE = 2000
"""Prompts that are measured, and that a stand-in tokenizer learns from."""


@dataclass
class Prepared:
    """A rehearsal that is ready to start.

    Attributes:
        folder: holds the configuration `rehearsal.yaml`, the tiny model and the stand-ins.
        run_dir: the run folder of the rehearsal.
        stages: names of the stages, in order; `steps` in all.
        prompts: lengths in tokens of the prompts measured, sorted.
        prompt_limit: the recipe's `data.max_prompt_length`.
        judged: whether a judge model is asked.
        notes: estimates of the recipe as it is (memory, budget).
    """

    folder: Path
    run_dir: Path
    model: TinyModel
    stages: list[str]
    steps: int
    ranks: int
    prompts: list[int]
    prompt_limit: int
    judged: bool
    replaced: list[Replaced] = field(default_factory=list)
    stand_ins: list[str] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)


class _Missing:
    """What is missing; it is replaced by stand-ins or, without them, reported all at once."""

    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self.said: list[str] = []

    def stand_in(self, what: str, remedy: str) -> bool:
        self.said.append(what if self.allowed else f"{what}: {remedy}")
        return self.allowed

    def check(self) -> None:
        if self.said and not self.allowed:
            listed_ = "\n  ".join(self.said)
            raise UserError(
                f"missing:\n  {listed_}\nprovide them, or add --stand-ins to rehearse without them"
            )


def prepare(
    recipe: Recipe,
    overrides: Sequence[str],
    folder: Path,
    *,
    allow_stand_ins: bool,
    gpu_memory_gib: float,
    resources: ExitStack,
) -> Prepared:
    """Write everything that the rehearsal of `recipe` starts from into `folder`.

    Args:
        overrides: the user's hydra overrides.
        allow_stand_ins: replace what is missing instead of refusing.
        resources: closes the stand-in judge at the end, and takes back what the recipe reads from the environment.

    Raises:
        UserError: the recipe has an error that training would hit too, or something is missing.
    """
    if (tools := recipe.folder / "tools.yaml").is_file() and "MEDR3_TOOLS" not in os.environ:
        os.environ["MEDR3_TOOLS"] = str(tools)  # as the recipe's run.sh does
        resources.callback(os.environ.pop, "MEDR3_TOOLS", None)  # another recipe has its own
    config = compose(recipe, overrides)
    from omegaconf import OmegaConf

    findings = check_config(config, recipe.folder, files=True, gpu_memory_gib=gpu_memory_gib)
    _refuse_errors(findings)
    folder.mkdir(parents=True, exist_ok=True)
    missing = _Missing(allow_stand_ins)
    changed, judged = _replace_missing(config, recipe.folder, folder, missing, resources)
    files = _train_files(config)
    model = build_tiny_model(
        str(config.actor_rollout_ref.model.path),
        folder / "model",
        texts=(m["content"] for messages in islice(prompts(files), _SAMPLE) for m in messages),
        stand_ins=allow_stand_ins,
    )
    tokenizer = load_tokenizer(str(model.folder))
    lengths = prompt_lengths(tokenizer, files, tool_schemas(config, recipe.folder), _SAMPLE)
    limit = int(config.data.max_prompt_length)
    inside = [length for length in lengths if length <= limit]
    if not inside:
        raise UserError(
            f"data.max_prompt_length: all {len(lengths)} measured prompts are longer than {limit} tokens"
        )
    stages = [stage["name"] for stage in config.medr3.stages]
    ranks = 2 if config.trainer.nnodes * config.trainer.n_gpus_per_node > 1 else 1
    changed += _shrink(config, folder, model.folder, prompt_tokens=inside[-1] + 8, ranks=ranks)
    # a mistake of the rehearsal's own shows here, not minutes later
    own = check_config(config, recipe.folder, files=True, gpu_memory_gib=gpu_memory_gib)
    _refuse_errors(own)
    for finding in own:
        if finding.where == FREE_MEMORY:
            print(f"warning: {finding.where}: {finding.message}", file=sys.stderr)
    (folder / f"{CONFIG_NAME}.yaml").write_text(OmegaConf.to_yaml(config, resolve=False), encoding="utf-8")
    return Prepared(
        folder=folder,
        run_dir=folder / "run",
        model=model,
        stages=stages,
        steps=max(2, len(stages)),
        ranks=ranks,
        prompts=lengths,
        prompt_limit=limit,
        judged=judged,
        replaced=changed,
        stand_ins=[*missing.said, *([] if model.real_tokenizer else [f"tokenizer: {model.tokenizer}"])],
        notes=[finding for finding in findings if finding.level == "note"],
    )


def _replace_missing(
    config: Any, recipe: Path, folder: Path, missing: _Missing, resources: ExitStack
) -> tuple[list[Replaced], bool]:
    """Replace what is missing by stand-ins, or refuse; returns what changed, and whether a judge model is asked."""
    wanted = {
        **_data(config, folder, missing),
        **_retrieval(config, recipe, folder, missing),
        **_rewards(config, folder, missing),
    }
    judge = _judge(config, missing)
    missing.check()
    if judge == "stand-in":
        url = resources.enter_context(stand_ins.judge_server())
        wanted["medr3.reward.judge"] = {"kind": "openai", "base_url": url, "model": "stand-in"}
        wanted["reward.reward_model.enable"] = False
    return replaced.replace(config, wanted), bool(judge)


def _shrink(config: Any, folder: Path, model: Path, *, prompt_tokens: int, ranks: int) -> list[Replaced]:
    """Make the recipe one that this machine's CPU runs in minutes."""
    models = ["actor_rollout_ref.model.path"]
    if needs_critic(config):
        models += ["critic.model.path", "critic.model.tokenizer_path"]
    wanted = {
        **dict.fromkeys(models, str(model)),
        **replaced.sizes(config, prompt_tokens),
        **replaced.devices(config, ranks),
        **replaced.schedule(config, folder / "run"),
        **replaced.scripted(config, folder / "agent_loops.yaml"),
    }
    return replaced.replace(config, wanted)


def _refuse_errors(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.level == "error":
            raise UserError(f"{finding.where}: {finding.message}")


def _train_files(config: Any) -> list[str]:
    default = as_list(config.data.train_files)
    of_stages = (as_list(stage.get("train_files")) or default for stage in config.medr3.stages)
    return list(dict.fromkeys(file for files in of_stages for file in files))


def _absent(files: Iterable[str]) -> list[str]:
    return [file for file in files if "://" not in file and not Path(file).expanduser().is_file()]


def _data(config: Any, folder: Path, missing: _Missing) -> dict[str, Any]:
    """Stand-in questions for training files that are not there, validation files included."""
    train = _absent(_train_files(config))
    validation = _absent(as_list(config.data.val_files))
    if not train and not validation:
        return {}
    what = f"data ({', '.join(train or validation)})"
    if not missing.stand_in(what, "make it with `medr3 data prepare`"):
        return {}
    style = "tools" if tool_file.calls_tools(config) else "search"
    file = str(stand_ins.write_data(folder, style))
    wanted: dict[str, Any] = {"data.val_files": file}
    if train:
        wanted["data.train_files"] = file
        for index, stage in enumerate(config.medr3.stages):
            if stage.get("train_files"):
                wanted[f"medr3.stages[{index}].train_files"] = [file]
            if stage.get("mixture"):  # of datasets that are not there
                wanted[f"medr3.stages[{index}].mixture"] = {}
    return wanted


def _retrieval(config: Any, recipe: Path, folder: Path, missing: _Missing) -> dict[str, Any]:
    """The stand-in index where an index folder or a service is not there."""
    by_path = retrieval_options(config, recipe)
    gone = [what for options in by_path.values() if (what := _not_there(options))]
    if not gone or not most_searches(config):
        return {}
    if not missing.stand_in(f"index ({gone[0]})", "make it with `medr3 index build`, or start `medr3 serve`"):
        return {}
    index = {"backend": "inprocess", "index": str(stand_ins.write_index(folder))}
    if "medr3.retrieval" in by_path:
        return {"medr3.retrieval": index}
    from omegaconf import OmegaConf

    tools = tool_file.read(tool_file.find(config, recipe))
    for options in tool_file.searches(tools):
        if "retrieval" in options:
            options["retrieval"] = index
    file = folder / "tools.yaml"
    OmegaConf.save({"tools": tools}, file)
    return dict.fromkeys(("data.tool_config_path", tool_file.KEY), str(file))


def _not_there(options: dict[str, Any]) -> str:
    """The index folder or service that is not there; "" if all is."""
    url = options.get("url")
    if url:
        return str(url) if silence(str(url)) else ""
    index = options.get("index")
    return str(index) if index and not Path(index).expanduser().is_dir() else ""


def _rewards(config: Any, folder: Path, missing: _Missing) -> dict[str, Any]:
    """Vocabularies and the sentence encoder of the reward."""
    wanted: dict[str, Any] = {}
    vocabularies = as_list(section(config, "reward", "extractor").get("vocabularies"))
    if absent := _absent(vocabularies):
        what = f"vocabulary ({absent[0]})"
        if missing.stand_in(what, "make it with `medr3 data vocab`"):
            wanted["medr3.reward.extractor.vocabularies"] = [str(stand_ins.write_vocabulary(folder))]
    encoder = section(config, "reward", "encoder").get("path")
    if (
        encoder
        and not _model_at_hand(encoder)
        and missing.stand_in(
            f"encoder ({encoder}; the semantic term is 0 without it)",
            "download it once, or give a local folder",
        )
    ):
        wanted["medr3.reward.encoder.path"] = None
    return wanted


def _model_at_hand(path: str) -> bool:
    if Path(path).expanduser().is_dir():
        return True
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return False
    return isinstance(try_to_load_from_cache(path, "config.json"), str)


def _judge(config: Any, missing: _Missing) -> str:
    """`own` or `stand-in` if a judge model is asked, else ""."""
    judge = section(config, "reward", "judge")
    kind = judge.get("kind", "rule")
    if kind == "rule" or config.reward.reward_manager.name != "medr3":
        return ""
    if kind == "router":
        where = "reward.reward_model.model_path"
        missing.stand_in("judge (served by verl: a model of its own)", f"{where} is not run in a rehearsal")
        return "stand-in"
    if not silence(str(judge.get("base_url"))):
        return "own"
    missing.stand_in(f"judge ({judge.get('base_url')})", "start it, or set medr3.reward.judge.base_url")
    return "stand-in"
