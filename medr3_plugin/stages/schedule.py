"""The stage schedule: the yaml list `medr3.stages`, typed and checked before anything starts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from medr3_plugin.errors import UserError
from medr3_plugin.registered_names import AGENT_LOOP, TOOL_LOOP
from medr3_plugin.yaml_section import validated

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

Handover = Literal["weights", "weights+optimizer"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Until(_Strict):
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
    min_delta: float = Field(default=0.005, ge=0, allow_inf_nan=False)
    threshold: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _consistent(self) -> Until:
        if self.min_steps > self.max_steps:
            raise ValueError(f"min_steps ({self.min_steps}) is larger than max_steps ({self.max_steps})")
        by_metric = self.patience is not None or self.threshold is not None
        if by_metric and self.metric is None:
            raise ValueError("patience and threshold need a metric")
        if self.metric is not None and not by_metric:
            raise ValueError("metric needs patience (plateau) or threshold")
        return self


class StageSpec(_Strict):
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
    mixture: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    max_searches: int | None = Field(default=None, ge=0)
    reward: dict[str, Any] = Field(default_factory=dict)
    until: Until
    handover: Handover = "weights"
    learning_rate: float | None = Field(default=None, gt=0, le=10)
    temperature: float | None = Field(default=None, gt=0, le=100)
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


class Schedule(_Strict):
    """The stages in the order they run."""

    stages: tuple[StageSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique_names(self) -> Schedule:
        seen: dict[str, int] = {}
        for index, stage in enumerate(self.stages):
            if stage.name in seen:
                raise ValueError(
                    f"stages[{index}].name repeats {stage.name!r} of stages[{seen[stage.name]}]; give it another "
                    "name and set reward.preset"
                )
            seen[stage.name] = index
        return self

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
                f"medr3.stages: must be a list of stages, each with name and until, got {stages!r}"
            )
        return validated(cls, {"stages": list(stages)}, "medr3")

    def check_run_length(self, total_training_steps: int | None) -> None:
        """Check that the stages fit into the run where verl is given its length.

        Raises:
            UserError: `trainer.total_training_steps` is set and is not the sum of the stages.
        """
        if total_training_steps is not None and total_training_steps != self.max_steps:
            steps = " + ".join(str(stage.until.max_steps) for stage in self.stages)
            raise UserError(
                f"trainer.total_training_steps: {total_training_steps}, but the stages are {steps} = {self.max_steps} "
                "steps; leave it null: medr3.stages[].until decides"
            )

    def check_engine(self, strategy: str) -> None:
        """Check that the actor's engine can do what the hand-overs ask for.

        Raises:
            UserError: a stage asks an engine other than FSDP for a new optimizer or learning rate.
        """
        if strategy in ("fsdp", "fsdp2"):
            return
        for index, stage in enumerate(self.stages):
            last = index == len(self.stages) - 1
            if stage.learning_rate is not None or (stage.handover == "weights" and not last):
                raise UserError(f"medr3.stages[{index}]: with actor.strategy={strategy}, {KEEPS_OPTIMIZER}")

    def check_agent_loop(self, name: str) -> None:
        """Check that the rollouts read what stages set for them.

        Raises:
            UserError: a stage sets sampling or a search limit, and the loop is one of verl's own, which would sample
                otherwise than the log-probs are computed.
        """
        if name not in VERL_LOOPS:
            return
        for index, stage in enumerate(self.stages):
            for key in ("temperature", "top_p", "max_searches"):
                if getattr(stage, key) is not None:
                    raise UserError(
                        f"medr3.stages[{index}].{key}: the agent loop {name} does not read it; set "
                        f"actor_rollout_ref.rollout.agent.default_agent_loop to {AGENT_LOOP} or {TOOL_LOOP}, or leave "
                        "it out"
                    )

    def check_metrics(self, reward_keys: Sequence[str]) -> None:
        """Check promotion metrics that name a reward part; other keys are known only after the first step.

        Raises:
            UserError: with the yaml path of the metric and the closest names.
        """
        for index, stage in enumerate(self.stages):
            metric = stage.until.metric
            if metric is None:
                continue
            group, _, part = metric.rpartition("/")
            if (group == "reward" or (not group and metric not in WHOLE_METRICS)) and part not in reward_keys:
                close = difflib.get_close_matches(part, reward_keys, n=3)
                hint = (
                    f"; did you mean {', '.join(close)}?" if close else f" (parts: {', '.join(reward_keys)})"
                )
                raise UserError(f"medr3.stages[{index}].until.metric: {metric!r} is no reward part{hint}")

    def check_validation(self, test_freq: int) -> None:
        """Check that promotion by a validation metric has validations to go by.

        Raises:
            UserError: with the yaml path of the metric.
        """
        for index, stage in enumerate(self.stages):
            if test_freq < 1 and (stage.until.metric or "").startswith(VALIDATION):
                raise UserError(
                    f"medr3.stages[{index}].until.metric: {stage.until.metric!r} is measured every trainer.test_freq "
                    f"steps, which is {test_freq}: set it to the number of steps between validations"
                )

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
