"""The actor workers of the progressive trainers: verl's, with a call for the start of a stage."""

from __future__ import annotations

from typing import Any

from verl.experimental.separation.engine_workers import DetachActorWorker
from verl.single_controller.base.decorator import Dispatch, register
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine
from verl.workers.engine_workers import ActorRolloutRefWorker

from medr3_plugin.stages.schedule import KEEPS_OPTIMIZER


class BeginsStages:
    """Adds the restart of optimizer and learning-rate schedule to an actor worker of verl."""

    actor: Any

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def begin_stage(self, total_steps: int, learning_rate: float | None, reset_optimizer: bool) -> None:
        """Restart the learning-rate schedule, over `total_steps` local updates.

        Engines other than FSDP (Megatron) keep their optimizer and one schedule over the whole run.

        Args:
            learning_rate: peak of the new schedule; None keeps the configured one.
            reset_optimizer: forget the optimizer's moments.
        """
        engine = self.actor.engine
        if not isinstance(engine, FSDPEngine):
            if reset_optimizer or learning_rate is not None:
                raise RuntimeError(f"{type(engine).__name__}: {KEEPS_OPTIMIZER}")
            return
        optimizer = engine.optimizer
        if reset_optimizer:
            optimizer.state.clear()
        peak = engine.optimizer_config.lr if learning_rate is None else learning_rate
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] = peak
        engine.optimizer_config.total_training_steps = total_steps
        engine.lr_scheduler = engine._build_lr_scheduler(optimizer)
        # the checkpoint manager keeps its own reference and would keep saving the old schedule
        engine.checkpoint_manager.lr_scheduler = engine.lr_scheduler


class StagedActorWorker(BeginsStages, ActorRolloutRefWorker):
    """Of the modes in which the actor shares its devices with the rollout."""


class StagedDetachedWorker(BeginsStages, DetachActorWorker):
    """Of `separate_async`."""
