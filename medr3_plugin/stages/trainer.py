"""One verl job that runs all stages, and resumes from its checkpoints.

verl has a trainer for each way of sharing devices between training and rollout; `StagedTrainer` is mixed into any of
them. The synchronous mode `medr3_progressive` is here, the others are in `async_trainer`.
"""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf, open_dict
from verl.trainer.ppo.v1 import PPOTrainerSync, register_trainer

from medr3_plugin.registered_names import TRAINER_MODE
from medr3_plugin.runs.requests import drop_promotion
from medr3_plugin.stages.checkpoints import begin, mark_complete, resume_folder, step_of
from medr3_plugin.stages.loop import StageLoop
from medr3_plugin.stages.state import StageState


class StagedTrainer(StageLoop):
    """Runs the stages of `medr3.stages` one after another inside one job; checkpoints hold where it is."""

    def _save_checkpoint(self) -> None:
        """Save weights, data position and stage.

        verl saves between a step's update and its metrics. Whether the step ended its stage is known after
        both, so a save inside a step waits for its end: a checkpoint never holds half of a step.
        """
        self._save_due = self._step_open
        if self._save_due:
            return
        folder = self._checkpoint_folder()
        begin(folder)
        self.state.data = self._data_size()
        self.state.save(folder)
        super()._save_checkpoint()
        mark_complete(folder)
        # until now a kill would have taken the run back to before the hand-over
        drop_promotion(self.run_folder.path, self.stage.name)

    def _load_checkpoint(self) -> None:
        folder, passed_over = resume_folder(self.config.trainer)
        for skipped in passed_over:
            print(f"[medr3] {skipped.folder} is skipped: {skipped.reason}", flush=True)
        added = changed = False
        if folder is not None:
            added = self._restore_state(folder)
            changed = not added and self.state.data != self._data_size()
        elif aside := self.run_folder.set_aside():
            print(f"[medr3] no checkpoint to resume from; the earlier run's files are in {aside}", flush=True)
        with open_dict(self.config):
            self.config.trainer.resume_mode = "disable" if folder is None else "resume_path"
            self.config.trainer.resume_from_path = None if folder is None else str(folder)
        self._apply_sampling(self.stage)
        self._begin_stage_on_workers(self.stage, reset_optimizer=False)
        super()._load_checkpoint()
        if added:
            # position in the data, optimizer and learning rate are those of the stage before
            before = self.schedule.stages[self.state.index - 1]
            self._enter_stage(self.stage, reset_optimizer=before.handover == "weights")
        if changed:
            print(
                f"[medr3] stage {self.stage.name}: rows and batch size of its data changed from {self.state.data} to "
                f"{self._data_size()}; a position in the old data means nothing here, so the data start over",
                flush=True,
            )
            self._renew_dataloader()
        self.run_folder.write_config(OmegaConf.to_yaml(self.config, resolve=True))
        self.run_folder.write_environment()
        self.run_folder.write_stages(self.state.history)

    def _restore_state(self, folder: Path) -> bool:
        """Take up the stage of a checkpoint; whether it begins a stage added since the run ended."""
        self.state = StageState.load(folder, self.schedule)
        added = self.state.open_added_stage(self.schedule)
        step = step_of(folder)
        if self.run_folder.forget_after(step) and not self.config.trainer.val_only:
            with open_dict(self.config):
                self.config.trainer.val_before_train = False  # this run was validated before it began
        self._init_dataloader()  # verl restores the loader's position into the stage's own loader
        self.total_training_steps = step + self.state.remaining_steps(self.schedule)
        print(f"[medr3] resuming from {folder}: stage {self.stage.name}, step {step}", flush=True)
        return added


@register_trainer(TRAINER_MODE)
class ProgressiveTrainer(StagedTrainer, PPOTrainerSync):
    """Stages in verl's synchronous mode: each step draws, rolls out and trains on its own prompts."""

    verl_mode = "sync"
