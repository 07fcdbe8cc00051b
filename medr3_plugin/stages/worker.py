"""The actor worker of the progressive trainer: verl's, with one more call for the start of a stage."""

from __future__ import annotations

from verl.single_controller.base.decorator import Dispatch, register
from verl.workers.engine_workers import ActorRolloutRefWorker


class StagedActorWorker(ActorRolloutRefWorker):
    """`ActorRolloutRefWorker` that can restart its optimizer and learning-rate schedule."""

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def begin_stage(self, total_steps: int, learning_rate: float | None, reset_optimizer: bool) -> None:
        """Restart the learning-rate schedule, over `total_steps` updates.

        Args:
            learning_rate: peak of the new schedule; None keeps the configured one.
            reset_optimizer: forget the optimizer's moments.
        """
        engine = self.actor.engine
        optimizer = getattr(engine, "optimizer", None)
        if optimizer is None or not hasattr(engine, "_build_lr_scheduler"):
            raise RuntimeError(
                f"medr3_progressive restarts optimizers of verl's FSDP engines only, not of {type(engine).__name__}: "
                "set handover: weights+optimizer and no learning_rate in medr3.stages"
            )
        if reset_optimizer:
            optimizer.state.clear()
        peak = engine.optimizer_config.lr if learning_rate is None else learning_rate
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] = peak
        engine.optimizer_config.total_training_steps = total_steps
        engine.lr_scheduler = engine._build_lr_scheduler(optimizer)
        # the checkpoint manager keeps its own reference and would go on saving the old schedule
        engine.checkpoint_manager.lr_scheduler = engine.lr_scheduler
