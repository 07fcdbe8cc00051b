"""Stages in verl's asynchronous modes, which draw and roll out prompts ahead of the step that trains on them.

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

from verl.trainer.ppo.v1 import PPOTrainerColocateAsync, PPOTrainerSeparateAsync, register_trainer

from medr3_plugin.stages.samples import forget_prompts, forget_strays, prompts_in_flight
from medr3_plugin.stages.trainer import StagedTrainer
from medr3_plugin.stages.worker import StagedDetachedWorker

POLL_S = 1.0
_ENDED = ("finished", "failure")


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
