"""The stages of a run inside verl's loop, which stays as it is.

After each step's metrics `StageLoop` decides whether the stage ends, and if so it hands over before the next step: new
data, restarted learning-rate schedule and optimizer, validation, checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import ray
import transfer_queue as tq
from omegaconf import OmegaConf, open_dict
from verl.utils.debug import marked_timer

from medr3_plugin.errors import UserError
from medr3_plugin.runs.files import TRAIN, Labels
from medr3_plugin.runs.requests import promotion_requested
from medr3_plugin.runs.step_metrics import (
    StepSample,
    by_dataset,
    failure_summary,
    groups_without_right,
    step_metrics,
)
from medr3_plugin.runs.writer import RunWriter
from medr3_plugin.stages.dataset import StampedLoader
from medr3_plugin.stages.formulas import formulas
from medr3_plugin.stages.judge_model import ask_through_the_manager
from medr3_plugin.stages.loader import stage_loader
from medr3_plugin.stages.promotion import decide, metric_value
from medr3_plugin.stages.samples import ScoredBatch, response_texts
from medr3_plugin.stages.schedule import ProgressSettings, Schedule, StageSpec
from medr3_plugin.stages.state import StageState
from medr3_plugin.stages.validation import RecordedValidation
from medr3_plugin.stages.worker import StagedActorWorker
from medr3_plugin.verl_adapters.advantage import damped_groups
from medr3_plugin.verl_adapters.invalid_samples import (
    check_estimator,
    no_advantage_for_padding,
    too_few,
    training_rows,
)
from medr3_plugin.yaml_section import as_list

_TIMES = {"time/step": "step", "timing_s/bookkeeping": "bookkeeping"}
"""Metrics of a step's line -> verl's names of the times."""


class StageLoop(RecordedValidation):
    """Runs the stages of `medr3.stages` one after another inside one job.

    Attributes:
        verl_mode: the mode of verl that the class extends; verl tests it by name in a few places.
        worker: the class of the actor's workers.
    """

    verl_mode: ClassVar[str]
    worker: ClassVar[type] = StagedActorWorker

    train_dataset: Any
    train_dataloader: Any
    val_dataloader: Any

    def __init__(self, config: Any) -> None:
        section: Any = OmegaConf.to_container(config.medr3, resolve=True)
        self.settings = ProgressSettings.from_section(section)
        self.schedule = Schedule.from_config(section.get("stages"))
        self.schedule.check(config)
        check_estimator(config)
        ask_through_the_manager(config)
        self._run_train_files = as_list(config.data.train_files)
        self._run_temperature = config.actor_rollout_ref.rollout.temperature
        self.schedule.check_files(self._run_train_files)
        self.formulas = formulas(config, self.schedule)
        self.state = StageState.begin(self.schedule, self.formulas)
        self.run_folder = RunWriter(self.settings.run_dir)
        self.run_folder.claim()
        self._step_open = False
        self._save_due = False
        self._scored: list[ScoredBatch] = []
        super().__init__(config)

    def _build_replay_buffer(self) -> Any:
        # called by verl's constructor right after it has read these two under the name of our mode
        self.trainer_mode = self.verl_mode
        self.parameter_sync_step = self.config.trainer.v1.get(self.verl_mode, {}).get(
            "parameter_sync_step", 1
        )
        return super()._build_replay_buffer()

    def init(self) -> None:
        """verl's set-up. If a reward worker could not start, it fails here instead of running without rewards."""
        super().init()
        if handles := self.get_reward_handles():
            ray.get([handle.__ray_ready__.remote() for handle in handles])

    def _init_resource_pool_mgr(self) -> None:
        super()._init_resource_pool_mgr()
        for role in self.role_worker_mapping:
            if str(role) in ("actor", "actor_rollout", "actor_rollout_ref"):
                self.role_worker_mapping[role] = ray.remote(self.worker)

    # ---- data

    @property
    def stage_index(self) -> int:
        """Index of the current stage, or of the last one after the end."""
        return min(self.state.index, len(self.schedule.stages) - 1)

    @property
    def stage(self) -> StageSpec:
        """The current stage, or the last one after the end."""
        return self.schedule.stages[self.stage_index]

    def _init_dataloader(self) -> None:
        """Build the loaders of the current stage."""
        stage = self.stage
        with open_dict(self.config):
            self.config.data.train_files = list(stage.train_files or self._run_train_files)
            self.config.trainer.total_training_steps = self.schedule.max_steps
            # verl ends a run by epochs too, counted in the data of one stage; steps alone must decide here
            self.config.trainer.total_epochs = self.schedule.max_steps + 1
        super()._init_dataloader()
        self.train_dataloader = stage_loader(
            self.train_dataset, stage.mixture, self.config.data, self.stage_index
        )
        self.train_dataset = self.train_dataloader.dataset
        self.steps_per_epoch = len(self.train_dataset) // self.config.data.train_batch_size
        if self.steps_per_epoch < 1:
            raise UserError(
                f"medr3.stages: stage {stage.name!r} has {len(self.train_dataset)} training rows, fewer than "
                f"data.train_batch_size={self.config.data.train_batch_size}"
            )
        self.train_dataloader = StampedLoader(self.train_dataloader, stage, self._progress, training=True)
        self.val_dataloader = StampedLoader(self.val_dataloader, stage, self._progress, training=False)

    def _progress(self) -> float:
        """Progress in the stage, from 0 at its first step to 1 at its last."""
        return min(1.0, self.state.stage_step / max(1, self.stage.until.max_steps - 1))

    # ---- one step

    def _balance_batch(self, batch: Any, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Remove samples that must not train before verl pads and orders the batch; records are kept of all."""
        with marked_timer("bookkeeping", self.timing_raw):
            scored = ScoredBatch(batch)
        self._scored.append(scored)
        samples = scored.samples
        lost = self._lost(len(samples), self.config.data.train_batch_size // self.parameter_sync_step)
        trains = training_rows(
            samples, str(self.config.algorithm.adv_estimator), self.config.actor_rollout_ref.rollout.n
        )
        if wrong := too_few(samples, trains, lost, self.settings.max_invalid_share):
            raise RuntimeError(
                f"step {self.global_steps}: {wrong}; failures: {failure_summary(samples, lost)}"
            )
        kept = batch.select_keys([key for key, trained in zip(batch.keys, trains, strict=True) if trained])
        return super()._balance_batch(kept, metrics, *args, **kwargs)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        samples = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding")]
        with damped_groups(groups_without_right(self._scored[-1].samples), self.settings.wrong_group_weight):
            estimated = super()._compute_advantage(batch.select_keys(samples), metrics)
        return no_advantage_for_padding(batch, estimated)

    def _lost(self, samples: int, prompts: int) -> int:
        """Number of trajectories of `prompts` that raised an exception and so are missing."""
        return max(0, int(prompts) * int(self.config.actor_rollout_ref.rollout.n) - samples)

    def _compute_metrics(
        self, batch: Any, metrics: dict[str, Any], timing_raw: dict[str, float], global_steps: int, epoch: int
    ) -> None:
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        self._step_open = False
        with marked_timer("bookkeeping", timing_raw):
            reason = self._record_step(metrics, timing_raw)
            self._clear_left_out(batch)
        metrics["timing_s/bookkeeping"] = timing_raw["bookkeeping"]
        if reason is not None:
            self._hand_over(reason)
        if self._save_due:
            with marked_timer("save_checkpoint", timing_raw, color="green"):
                self._save_checkpoint()
            metrics["timing_s/save_checkpoint"] = timing_raw["save_checkpoint"]

    def _record_step(self, metrics: dict[str, Any], timing_raw: Mapping[str, float]) -> str | None:
        """Count the step, add our metrics to verl's, write both and a sample of the trajectories.

        Returns:
            Why the stage ends with this step, or None.
        """
        samples = [sample for scored in self._scored for sample in scored.samples]
        self.state.stage_step += 1
        metrics.update(step_metrics(samples, self._lost(len(samples), self.config.data.train_batch_size)))
        metrics.update(by_dataset(samples))
        self._remember(metrics, samples)
        if promotion_requested(self.run_folder.path, self.stage.name):
            reason: str | None = "manual: medr3 promote"
        else:
            reason = decide(self.stage.until, self.state.stage_step, self.state.window)
        metrics.update(
            {
                "stage/index": self.state.index,
                "stage/step": self.state.stage_step,
                "stage/ended": float(reason is not None),
            }
        )
        times = {key: timing_raw.get(name, 0.0) for key, name in _TIMES.items()}
        keys = [key for scored in self._scored for key in scored.keys]
        self._record(
            TRAIN,
            {**times, **metrics},
            samples,
            lambda places: response_texts([keys[i] for i in places], self.tokenizer),
            in_table=reason is not None,
        )
        return reason

    def _remember(self, metrics: Mapping[str, Any], samples: Sequence[StepSample]) -> None:
        """Remember the step's value of the metric that may end the stage."""
        metric = self.stage.until.metric
        if metric is None or not any(sample.valid for sample in samples):
            return
        value = metric_value(metric, metrics, seen=metric == self.state.metric)
        if value is not None:
            self.state.remember(metric, value)

    def _labels(self, kind: str) -> Labels:
        return Labels(self.global_steps, self.stage.name, self.state.stage_step, kind)

    def _clear_left_out(self, batch: Any) -> None:
        """Clear the trajectories that did not train; verl clears those that did."""
        drawn = {key for scored in self._scored for key in scored.keys}
        if left_out := sorted(drawn - set(batch.keys)):
            tq.kv_clear(keys=left_out, partition_id=batch.partition_id)

    def on_step_begin(self) -> None:
        """Mark the step as open: it cannot be saved before its metrics are known."""
        super().on_step_begin()
        self._step_open = True
        self._scored = []

    # ---- stages

    def _drain(self) -> None:
        """Leave nothing of the ended stage in flight; synchronous steps never do."""

    def _hand_over(self, reason: str) -> None:
        """End the stage after the current step: next stage's data and optimizer, validation, checkpoint."""
        ended, trainer = self.stage, self.config.trainer
        self._drain()
        # where the last stage ends is the run's end, which verl validates and saves; it expects it at max_steps only
        last = self.state.index == len(self.schedule.stages) - 1
        validate = self.settings.validate_at_handover or (last and trainer.test_freq > 0)
        if validate and self._validated_at != self.global_steps:
            self._validate_and_log()
        save = self.settings.checkpoint_at_handover or self._save_due or (last and trainer.save_freq > 0)
        checkpoint = self._checkpoint_folder() if save else None
        following = self.state.end_stage(
            self.schedule, self.global_steps, reason, str(checkpoint) if checkpoint else None
        )
        print(
            f"[medr3] stage {ended.name} ended at step {self.global_steps}: {reason}"
            + (f"; next: {following.name}" if following else "; last stage"),
            flush=True,
        )
        # a stage that ended early leaves the run shorter
        self.total_training_steps = self.global_steps + self.state.remaining_steps(self.schedule)
        if following is not None:
            self._enter_stage(following, reset_optimizer=ended.handover == "weights")
        if checkpoint is not None:
            self._save_checkpoint()
        self.run_folder.write_stages(self.state.history)

    def _enter_stage(self, stage: StageSpec, reset_optimizer: bool) -> None:
        self._renew_dataloader()
        self._apply_sampling(stage)
        self._begin_stage_on_workers(stage, reset_optimizer)

    def _renew_dataloader(self) -> None:
        """Loaders at the beginning of the current stage's data. verl would also reset the run's length."""
        total = self.total_training_steps
        self._init_dataloader()
        self.total_training_steps = total

    def _data_size(self) -> list[int]:
        data = self.config.data
        return [len(self.train_dataset), int(data.get("gen_batch_size", None) or data.train_batch_size)]

    def _begin_stage_on_workers(self, stage: StageSpec, reset_optimizer: bool) -> None:
        self.actor_rollout_wg.begin_stage(
            # verl moves the schedule once per local update, however many mini-batches that has
            total_steps=stage.until.max_steps * self.parameter_sync_step,
            learning_rate=stage.learning_rate,
            reset_optimizer=reset_optimizer,
        )

    def _apply_sampling(self, stage: StageSpec) -> None:
        """Set the temperature for log-probs; rollouts read a stage's sampling from each row."""
        with open_dict(self.config):
            self.config.actor_rollout_ref.rollout.temperature = stage.temperature or self._run_temperature

    def _checkpoint_folder(self) -> Path:
        return Path(self.config.trainer.default_local_dir).absolute() / f"global_step_{self.global_steps}"
