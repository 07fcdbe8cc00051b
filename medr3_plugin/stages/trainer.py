"""One verl job that runs all stages, and resumes from its checkpoints.

verl has a trainer for each way of sharing devices between training and rollout; `StagedTrainer` is mixed into any of
them. The asynchronous ones draw and roll out prompts ahead of the step that trains on them.

A stage's settings are global while it runs: temperature, learning rate, data. So nothing of a stage is in flight when
the next one begins:

- No more prompts are drawn than the stage has steps left for. A stage that ends by `until.max_steps` has used all of
  its own, and nothing is thrown away.
- A stage that ends earlier (plateau, threshold, `medr3 promote`) waits for what is in flight and discards it: at most
  `num_warmup_batches` batches of rollouts.

Either way the first step of the next stage waits for its rollouts as a synchronous one does, while prefetching
starts over. Checkpoints hold the prompts in flight (verl saves TransferQueue), all of one stage; a resumed run
finishes them first.
"""

from __future__ import annotations

import time
from pathlib import Path

from omegaconf import OmegaConf, open_dict
from verl.trainer.ppo.v1 import (
    PPOTrainerColocateAsync,
    PPOTrainerSeparateAsync,
    PPOTrainerSync,
    register_trainer,
)

from medr3_plugin.registered_names import TRAINER_MODE
from medr3_plugin.runs.requests import drop_promotion
from medr3_plugin.stages.checkpoints import begin, mark_complete, resume_folder, step_of
from medr3_plugin.stages.loop import StageLoop
from medr3_plugin.stages.samples import forget_prompts, forget_strays, prompts_in_flight
from medr3_plugin.stages.state import StageState
from medr3_plugin.stages.worker import StagedDetachedWorker

POLL_S = 1.0
_ENDED = ("finished", "failure")


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
        self.state = StageState.load(folder, self.schedule, self.formulas)
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


class PrefetchingTrainer(StagedTrainer):
    """Keeps the prompts in flight within the running stage."""

    _prefetched_batches: float = 0
    _stage_is_new = False

    def _prompts_left(self) -> int:
        """Prompts that the stage still trains on, the running step's among them, and that are not drawn yet."""
        if self.state.finished(self.schedule):
            return 0
        steps = max(0, self.stage.until.max_steps - self.state.stage_step)
        return max(0, steps * self.config.data.train_batch_size - len(prompts_in_flight()))

    def _add_async_warmup_batches(self, num_warmup_batches: float) -> None:
        """Fill the window of prefetched prompts, as far as the stage has steps after the next one.

        verl calls it before its first step, with what a checkpoint restored already in flight.
        """
        self._prefetched_batches = num_warmup_batches
        batch = self.config.data.train_batch_size
        window = int(num_warmup_batches * batch) - len(prompts_in_flight())
        if (missing := min(window, self._prompts_left() - batch)) > 0:
            self._add_prompts_to_generate(missing)

    def _add_batch_to_generate(self) -> None:
        batch = self.config.data.train_batch_size
        left = self._prompts_left()
        if left >= batch:
            super()._add_batch_to_generate()
        elif left > 0:
            self._add_prompts_to_generate(left)

    def on_step_begin(self) -> None:
        """Begin to prefetch for a new stage; not at the hand-over, whose checkpoint must not hold half of a window."""
        super().on_step_begin()
        if self._stage_is_new:
            self._stage_is_new = False
            self._add_async_warmup_batches(self._prefetched_batches)

    def _drain(self) -> None:
        """Wait until nothing of the ended stage is in flight, and discard it."""
        self._stage_is_new = True
        started = time.monotonic()
        while set((in_flight := prompts_in_flight()).values()) - set(_ENDED):
            time.sleep(POLL_S)
        if in_flight:
            forget_prompts(in_flight)
            print(
                f"[medr3] stage {self.stage.name} ended early: {len(in_flight)} prompts that were rolled out ahead are "
                f"discarded, after waiting {time.monotonic() - started:.0f} s for them",
                flush=True,
            )

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        forget_strays()


@register_trainer("medr3_colocate_async")
class ColocatedAsyncTrainer(PrefetchingTrainer, PPOTrainerColocateAsync):
    """Training and rollout take turns on the same devices; unfinished rollouts continue with the new weights."""

    verl_mode = "colocate_async"


@register_trainer("medr3_separate_async")
class SeparateAsyncTrainer(PrefetchingTrainer, PPOTrainerSeparateAsync):
    """Rollout has devices of its own and runs while the policy trains."""

    verl_mode = "separate_async"
    worker = StagedDetachedWorker
