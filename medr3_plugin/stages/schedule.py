"""The stage schedule, the yaml list `medr3.stages`, and the plain keys of `medr3`: typed and checked before a start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from medr3_plugin.errors import UserError, did_you_mean
from medr3_plugin.registered_names import AGENT_LOOP, TOOL_LOOP
from medr3_plugin.yaml_section import Section, validated

WHOLE_METRICS = ("invalid_share", "zero_variance_groups", "truncated_share")
"""Metrics of a step without a group in their name, besides bare reward parts."""

VALIDATION = ("val/", "val-core/", "val-aux/")
"""How the keys of validation metrics begin, ours and verl's."""

KEEPS_OPTIMIZER = (
    "only verl's FSDP engines can restart their optimizer between steps: set `handover: weights+optimizer` and no "
    "learning_rate in medr3.stages, or actor.strategy=fsdp2"
)

VERL_LOOPS = ("single_turn_agent", "tool_agent")
"""verl's own agent loops, which know nothing of stages."""

MOST_TEMPERATURE = 2.0
"""vLLM refuses to sample at a higher one."""

SECTIONS = ("stages", "reward", "environment", "retrieval", "platform")
"""Keys of `medr3` with a validator of their own (`platform` is read by `medr3 train`)."""

Handover = Literal["weights", "weights+optimizer"]


class Until(Section):
    """When a stage ends: at `max_steps` at the latest, earlier by a metric.

    Attributes:
        max_steps: most steps of the stage; required, because it bounds the run and the learning-rate schedule.
        min_steps: steps before which no metric ends the stage.
        metric: a key of the step's metrics, e.g. `reward/acc`, or a bare reward part, e.g. `acc`. A validation metric,
            e.g. `val/reward/acc`, has a value every `trainer.test_freq` steps; window and patience then count values.
        window: steps in the moving average of the metric.
        patience: end the stage (plateau) if the average over whole windows has not risen by `min_delta` for this many
            steps.
        min_delta: smallest rise that counts, in units of the metric.
        threshold: end the stage once the average reaches it.
    """

    max_steps: int = Field(ge=1)
    min_steps: int = Field(default=0, ge=0)
    metric: str | None = None
    window: int = Field(default=5, ge=1)
    patience: int | None = Field(default=None, ge=1)
    min_delta: float = Field(default=0.005, ge=0)
    threshold: float | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Until:
        if self.min_steps > self.max_steps:
            raise ValueError(f"min_steps ({self.min_steps}) is larger than max_steps ({self.max_steps})")
        if self.metric and "window" in self.model_fields_set and self.window > self.max_steps:
            raise ValueError(f"window ({self.window}) is larger than max_steps ({self.max_steps})")
        by_metric = self.patience is not None or self.threshold is not None
        if by_metric and self.metric is None:
            raise ValueError("patience and threshold need a metric")
        if self.metric is not None and not by_metric:
            raise ValueError("metric needs patience (plateau) or threshold")
        return self

    def never_met(self, test_freq: int) -> str | None:
        """Why no metric can end the stage before `max_steps`, or None.

        Args:
            test_freq: steps between two values of a validation metric.
        """
        if self.metric is None:
            return None
        values = self.window if self.threshold is not None else self.window + (self.patience or 0)
        needed = values * (test_freq if self.metric.startswith(VALIDATION) else 1)
        if max(needed, self.min_steps) < self.max_steps:
            return None
        return f"{self.metric} cannot end it before max_steps {self.max_steps}: see min_steps, window and patience"


class StageSpec(Section):
    """One stage of the training.

    Attributes:
        name: unique in the schedule; also the reward preset unless `reward.preset` names one.
        train_files: parquet files of the stage; null means `data.train_files`.
        mixture: weight of each dataset (`data_source`) in the stage's batches; empty uses all rows.
        max_searches: overrides `medr3.environment.max_searches`.
        reward: overrides of `medr3.reward` for this stage (preset, weights, ...).
        until: when the stage ends.
        handover: what the *next* stage keeps: the weights, or also the optimizer's state. A critic keeps its optimizer
            and one learning-rate schedule for the whole run.
        learning_rate: learning rate of the stage; null keeps the run's. Like `handover`, it is read when the stage
            begins; a resumed run keeps the checkpoint's rate.
        temperature, top_p: sampling of training rollouts of `medr3_search` and `medr3_tool`; null keeps the run's.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")
    train_files: list[str] | None = None
    mixture: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    max_searches: int | None = Field(default=None, ge=0)
    reward: dict[str, Any] = Field(default_factory=dict)
    until: Until
    handover: Handover = "weights"
    learning_rate: float | None = Field(default=None, gt=0, le=10)
    temperature: float | None = Field(default=None, gt=0, le=MOST_TEMPERATURE)
    top_p: float | None = Field(default=None, gt=0, le=1)

    @property
    def sampling(self) -> dict[str, float]:
        """The sampling overrides that are set."""
        values = {"temperature": self.temperature, "top_p": self.top_p}
        return {key: value for key, value in values.items() if value is not None}

    @field_validator("train_files", mode="before")
    @classmethod
    def _one_file_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("train_files")
    @classmethod
    def _at_home(cls, files: list[str] | None) -> list[str] | None:
        """verl does not know what ~ means."""
        return files and [os.path.expanduser(file) for file in files]  # noqa: PTH111 (a URL has two slashes)


class Schedule(Section):
    """The stages in the order they run."""

    stages: tuple[StageSpec, ...] = Field(min_length=1)

    @field_validator("stages")
    @classmethod
    def _unique_names(cls, stages: tuple[StageSpec, ...]) -> tuple[StageSpec, ...]:
        names = [stage.name for stage in stages]
        for index, name in enumerate(names):
            if (first := names.index(name)) < index:
                raise ValueError(
                    f"stages {first} and {index} are both named {name!r}; give one another name and set its "
                    "reward.preset"
                )
        return stages

    @property
    def max_steps(self) -> int:
        """Steps of the whole run if no stage ends early."""
        return sum(stage.until.max_steps for stage in self.stages)

    @classmethod
    def from_config(cls, stages: Any) -> Schedule:
        """Validate the yaml list `medr3.stages`.

        Raises:
            UserError: with the yaml path of the key at fault.
        """
        if not stages:
            raise UserError("medr3.stages: at least one stage is needed")
        if isinstance(stages, str) or not isinstance(stages, Sequence):
            raise UserError(
                f"medr3.stages: must be a list such as [{{name: joint, until: {{max_steps: 100}}}}], got {stages!r}"
            )
        return validated(cls, {"stages": list(stages)}, "medr3")

    def check(self, config: Any, reward_keys: Sequence[str] = ()) -> None:
        """Check the stages against the rest of a run's configuration.

        Args:
            reward_keys: parts of the reward, which metrics may name; empty if they are not known. Other metrics are
                known only after the first step.

        Raises:
            UserError: with the yaml path of the key at fault.
        """
        steps, test_freq = config.trainer.total_training_steps, config.trainer.test_freq
        if steps is not None and steps != self.max_steps:
            sums = " + ".join(str(stage.until.max_steps) for stage in self.stages)
            raise UserError(
                f"trainer.total_training_steps: {steps}, but the stages are {sums} = {self.max_steps} steps; leave it "
                "null: medr3.stages[].until decides"
            )
        strategy = config.actor_rollout_ref.actor.strategy
        loop = config.actor_rollout_ref.rollout.agent.default_agent_loop
        for index, stage in enumerate(self.stages):
            where, metric = f"medr3.stages[{index}]", stage.until.metric or ""
            renewed = stage.handover == "weights" and stage is not self.stages[-1]
            if strategy not in ("fsdp", "fsdp2") and (renewed or stage.learning_rate is not None):
                raise UserError(f"{where}: with actor.strategy={strategy}, {KEEPS_OPTIMIZER}")
            # verl's own loops would sample otherwise than the log-probs are computed
            for key in ("temperature", "top_p", "max_searches") if loop in VERL_LOOPS else ():
                if getattr(stage, key) is not None:
                    raise UserError(
                        f"{where}.{key}: the agent loop {loop} does not read it; set actor_rollout_ref.rollout.agent."
                        f"default_agent_loop to {AGENT_LOOP} or {TOOL_LOOP}, or leave it out"
                    )
            if test_freq < 1 and metric.startswith(VALIDATION):
                raise UserError(
                    f"{where}.until.metric: {metric!r} is measured every trainer.test_freq steps, which is "
                    f"{test_freq}: set it to the number of steps between validations"
                )
            group, _, part = metric.rpartition("/")
            of_reward = group == "reward" or (not group and stage.until.metric not in (None, *WHOLE_METRICS))
            if reward_keys and of_reward and part not in reward_keys:
                hint = did_you_mean(part, reward_keys, f" (parts: {', '.join(reward_keys)})")
                raise UserError(f"{where}.until.metric: {metric!r} is not a reward part{hint}")

    def check_files(self, default_train_files: Sequence[str]) -> None:
        """Check that every stage's training files exist.

        Raises:
            UserError: naming the stage's key and the missing file.
        """
        for index, stage in enumerate(self.stages):
            key = f"medr3.stages[{index}].train_files" if stage.train_files else "data.train_files"
            files = stage.train_files or default_train_files
            if not files:
                raise UserError(f"{key}: stage {stage.name!r} has no data")
            for file in files:
                if "://" not in file and not Path(file).expanduser().is_file():
                    raise UserError(f"{key}: no such file: {file}")


class ProgressSettings(Section):
    """How a run is recorded and when it gives up.

    Attributes:
        run_dir: folder for metrics, stages, trajectories and the report.
        trajectories_per_step: trajectories written per step; 0 writes none.
        max_invalid_share: the run stops if a larger share of a step's samples is invalid (services failed).
        wrong_group_weight: factor for the advantages of groups without a right answer (estimator `medr3_grpo`): 1
            treats them like the others, 0 ignores them, 0.25 matches the gate, which pays wrong answers a quarter
            of the bonus of right ones.
        validate_at_handover: validate at the end of a stage.
        checkpoint_at_handover: write a checkpoint at the end of a stage.
    """

    run_dir: str = Field(min_length=1)
    trajectories_per_step: int = Field(default=8, ge=0)
    max_invalid_share: float = Field(default=0.5, ge=0, le=1)
    wrong_group_weight: float = Field(default=1.0, ge=0, le=1)
    validate_at_handover: bool = True
    checkpoint_at_handover: bool = True

    @classmethod
    def from_section(cls, section: Mapping[str, Any]) -> ProgressSettings:
        """Validate the plain keys of the section `medr3`; an unknown key names its yaml path."""
        own = {key: value for key, value in section.items() if key not in SECTIONS}
        return validated(cls, own, "medr3", beside=SECTIONS)
