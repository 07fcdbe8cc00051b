"""What `medr3 recipes validate` checks: anything that would fail or silently spoil a run hours later."""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medr3_plugin.errors import MissingExtra, UserError
from medr3_plugin.installed import version_of
from medr3_plugin.recipe.checks.choices import choices
from medr3_plugin.recipe.checks.cluster import addresses, cpus, devices, milvus, packages, silent_servers
from medr3_plugin.recipe.checks.files import files_exist
from medr3_plugin.recipe.checks.finding import Finding
from medr3_plugin.recipe.checks.forms import forms, unknown_keys, unresolved
from medr3_plugin.recipe.checks.parallel import divisions, separate, transport
from medr3_plugin.recipe.checks.parts import parts, resumes
from medr3_plugin.recipe.checks.sections import registrations, retrieval_options, sections, tools
from medr3_plugin.recipe.checks.sizes import budgets, lengths, memory, memory_of_this_machine
from medr3_plugin.recipe.shipped import Recipe, WrongOverride, compose
from medr3_plugin.registered_names import VERL_VERSION

__all__ = ["Finding", "check", "check_config", "other_verl"]


def check(
    recipe: Recipe, overrides: Sequence[str] = (), *, files: bool = True, gpu_memory_gib: float = 80.0
) -> list[Finding]:
    """Check a recipe against the installed verl and this machine.

    Args:
        files: also check that data, models and indexes exist and are large enough.

    Raises:
        MissingExtra: hydra or verl is not installed.
        WrongOverride: an override has another form.
    """
    try:
        config = compose(recipe, overrides)
    except (MissingExtra, WrongOverride):
        raise
    except UserError as error:
        return [Finding.error("recipe", str(error))]
    return check_config(config, recipe.folder, files=files, gpu_memory_gib=gpu_memory_gib)


def check_config(config: Any, folder: Path, *, files: bool, gpu_memory_gib: float) -> list[Finding]:
    """Check a composed configuration; `folder` is the recipe's, for the files in it."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        findings = _findings(config, folder, files, gpu_memory_gib)
    except OmegaConfBaseException as error:  # a value that verl leaves to the user, and that is not set
        return [unresolved(OmegaConf.to_container(config, resolve=False), error)]
    return sorted(findings, key=lambda finding: ("error", "missing", "note").index(finding.level))


def _findings(config: Any, folder: Path, files: bool, gpu_memory_gib: float) -> list[Finding]:
    if wrong := list(forms(config)):
        return wrong
    findings = [*unknown_keys(config), *choices(config), *_verl(config)]
    findings += [*sections(config), *registrations(config)]
    if any(finding.level == "error" and finding.where.startswith("medr3") for finding in findings):
        return findings  # the checks below calculate with what these sections say
    try:
        retrieval = retrieval_options(config, folder)
    except UserError as error:
        return [*findings, Finding.of(error)]
    findings += [
        *lengths(config),
        *budgets(config),
        *divisions(config),
        *separate(config),
        *transport(config),
    ]
    findings += [*tools(config, folder), *parts(config), *packages(config), *devices(config, retrieval)]
    findings += [*addresses(config, retrieval), *cpus(config, retrieval), *memory(config, gpu_memory_gib)]
    if files:
        findings += [*files_exist(config, folder, retrieval), *milvus(config, retrieval)]
        findings += [*silent_servers(config, retrieval), *resumes(config), *memory_of_this_machine(config)]
    return findings


def other_verl() -> str | None:
    """A message if the installed verl is not the version this package is written for."""
    installed = version_of("verl")
    if installed in (None, VERL_VERSION):  # composing says that there is none
        return None
    return (
        f"{installed} is installed, and this package is written for {VERL_VERSION}: pip install verl=={VERL_VERSION}, "
        "or see what differs with pytest tests/compatibility"
    )


def _verl(config: Any) -> Iterator[Finding]:
    """verl's own check of a configuration, which its trainer runs first, and the dataclasses it makes later."""
    if (other := other_verl()) is not None:
        yield Finding.note("verl", other)
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    if OmegaConf.select(config, "critic.model._target_"):
        config = copy.deepcopy(config)
        with open_dict(config.critic.model):
            # the class loads the model, for minutes where there is no network
            del config.critic.model["_target_"]
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            validate_config(
                config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config)
            )
            omega_conf_to_dataclass(config.actor_rollout_ref.rollout)
            omega_conf_to_dataclass(config.algorithm)
            if config.reward.reward_model.enable:
                omega_conf_to_dataclass(config.reward.reward_model.rollout)
    except (HydraException, AssertionError, ValueError, TypeError, KeyError, AttributeError) as error:
        # it reports by assert and by building its dataclasses
        message = " ".join(str(error).split()) or type(error).__name__
        if message.startswith("vllm version None"):
            yield Finding.missing(
                "vllm", "not installed: verl cannot check what depends on its version (LoRA)"
            )
        else:
            message, _, key = message.partition(" full_key: ")
            yield Finding.error(key or "verl validate_config", message)
