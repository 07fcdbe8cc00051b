"""What a run builds and opens minutes after its start, built and opened here, without Ray.

Parts of verl and of the user's own code, and the folder that it would resume in.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from medr3_plugin.errors import UserError
from medr3_plugin.recipe.checks.finding import Finding, needs_critic, section
from medr3_plugin.runs.files import LOCK
from medr3_plugin.runs.writer import claimed
from medr3_plugin.stages.checkpoints import resume_folder, step_of
from medr3_plugin.stages.formulas import formulas
from medr3_plugin.stages.schedule import Schedule
from medr3_plugin.stages.state import StageState


def parts(config: Any) -> Iterator[Finding]:
    """Each part that cannot be built, with the key that names it and the reason."""
    from verl.trainer.ppo.checkpoint_callback import build_checkpoint_callback
    from verl.trainer.ppo.reward import get_custom_reward_fn, resolve_reward_manager_cls
    from verl.trainer.ppo.v1.trainer_base import TRAINER_REGISTRY
    from verl.utils.config import omega_conf_to_dataclass
    from verl.utils.dataset.rl_dataset import get_dataset_class
    from verl.utils.import_utils import import_external_libs

    model = config.actor_rollout_ref.model
    wanted: list[tuple[str, Callable[[], Any]]] = [
        ("trainer.checkpoint_callback_class", lambda: build_checkpoint_callback(config)),
        ("data.custom_cls", lambda: get_dataset_class(config.data)),
        ("reward.custom_reward_function", lambda: get_custom_reward_fn(config)),
        ("actor_rollout_ref.model.external_lib", lambda: import_external_libs(model.external_lib)),
        ("actor_rollout_ref.model.custom_chat_template", lambda: _template(model.custom_chat_template)),
        ("actor_rollout_ref.actor.optim", lambda: _optimizer(config.actor_rollout_ref.actor)),
    ]
    if config.trainer.v1.trainer_mode in TRAINER_REGISTRY:  # else it is another check's
        wanted.insert(0, ("trainer.v1.sampler", lambda: _sampler(config)))
    if config.reward.reward_manager.source != "register":
        wanted.append(("reward.reward_manager", lambda: resolve_reward_manager_cls(config)))
    if config.distillation.enabled:
        wanted.append(("distillation", lambda: omega_conf_to_dataclass(config.distillation)))
    if needs_critic(config):
        wanted.append(("critic.optim", lambda: _optimizer(config.critic)))
    for key, build in wanted:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                build()
        except Exception as error:  # whatever verl or a user's module raises
            cause = error.__cause__ or error
            reason = " ".join(f"{type(cause).__name__}: {cause}".split())
            level = Finding.missing if isinstance(cause, ImportError) else Finding.error
            yield level(key, f"cannot be used: {reason[:300]}")


def _sampler(config: Any) -> None:
    """The replay buffer, and in it the user's own sampler and the filter of groups."""
    from verl.trainer.ppo.v1 import get_trainer_cls

    trainer = get_trainer_cls(config.trainer.v1.trainer_mode)
    unborn = trainer.__new__(trainer)
    unborn.config = config
    unborn.trainer_mode = config.trainer.v1.trainer_mode
    unborn._build_replay_buffer()


def _template(template: str | None) -> None:
    from transformers.utils.chat_template_utils import _compile_jinja_template

    if template is not None:
        _compile_jinja_template(template)


def _optimizer(worker: Any) -> None:
    """The optimizer of FSDP's engines and its learning-rate schedule."""
    import torch
    from verl.utils.config import omega_conf_to_dataclass
    from verl.workers.config.optimizer import build_optimizer
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

    if worker.strategy in ("fsdp", "fsdp2"):
        options = omega_conf_to_dataclass(worker.optim)
        options.total_training_steps = 1000
        engine = SimpleNamespace(optimizer_config=options, rank=1)
        FSDPEngine._build_lr_scheduler(engine, build_optimizer([torch.nn.Parameter(torch.zeros(1))], options))


def resumes(config: Any) -> Iterator[Finding]:
    """Another run is using the folder, or its checkpoint cannot be resumed with these stages."""
    ours = section(config)
    run_dir = Path(str(ours.get("run_dir") or "")).expanduser().absolute()
    if ours.get("run_dir") and (run_dir / LOCK).is_file():
        try:
            claimed(run_dir).release()
        except (UserError, OSError) as error:
            yield Finding.error("medr3.run_dir", str(error).removeprefix("medr3.run_dir: "))
    schedule = Schedule.from_config(ours["stages"])
    try:
        of_stages = formulas(config, schedule)
    except UserError:
        of_stages = {}  # what is wrong is found by the check of the section
    # reading a checkpoint takes minutes, so it is read only if something is wrong
    for verify in (False, True):
        wrong = ""
        try:
            folder, _ = resume_folder(config.trainer, verify=verify)
            if folder is not None:
                step_of(folder)
                StageState.load(folder, schedule, of_stages)
        except UserError as error:
            wrong = str(error)
        if not wrong:
            return
    key = "resume_from_path" if config.trainer.resume_mode == "resume_path" else "default_local_dir"
    yield Finding.error(f"trainer.{key}", wrong.removeprefix(f"trainer.{key}: "))
