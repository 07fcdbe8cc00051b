"""Where a run is in its schedule; stored in every checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from medr3_plugin.errors import UserError
from medr3_plugin.outputs import write_json
from medr3_plugin.runs.files import StageRecord
from medr3_plugin.stages.schedule import Schedule, StageSpec
from medr3_plugin.yaml_section import mistake

STATE_FILE = "medr3_stage.json"


@dataclass
class StageState:
    """Progress through the schedule.

    Attributes:
        history: finished and running stages, in order.
        index: position of the current stage in the schedule.
        stage_step: steps done in it.
        window: values of the promotion metric in the current stage, one per step (or validation).
        metric: the promotion metric that the window is of.
        data: rows and batch size of the current stage's training data, what a position in them depends on.
    """

    history: Annotated[list[StageRecord], Field(min_length=1)]
    index: int = 0
    stage_step: int = 0
    window: list[float] = field(default_factory=list)
    metric: str | None = None
    data: list[int] = field(default_factory=list)

    def remember(self, metric: str, value: float) -> None:
        """Add a value of the promotion metric to the window."""
        self.metric = metric
        self.window.append(value)

    @classmethod
    def begin(cls, schedule: Schedule) -> StageState:
        """The state before the first step."""
        return cls(history=[StageRecord(schedule.stages[0].name, 0, start_step=1)])

    def finished(self, schedule: Schedule) -> bool:
        """Whether the last stage has ended."""
        return self.index >= len(schedule.stages)

    def end_stage(
        self, schedule: Schedule, step: int, reason: str, checkpoint: str | None
    ) -> StageSpec | None:
        """Close the current stage after `step`; returns the next one, or None at the end of the schedule."""
        record = self.history[-1]
        record.end_step, record.reason, record.checkpoint = step, reason, checkpoint
        self.index += 1
        self.stage_step = 0
        self.window = []
        if self.finished(schedule):
            return None
        stage = schedule.stages[self.index]
        self.history.append(StageRecord(stage.name, self.index, start_step=step + 1))
        return stage

    def open_added_stage(self, schedule: Schedule) -> bool:
        """Begin a stage that was added to the schedule after the run ended; False if there is none."""
        end = self.history[-1].end_step
        if end is None or self.finished(schedule):
            return False
        self.history.append(StageRecord(schedule.stages[self.index].name, self.index, start_step=end + 1))
        return True

    def remaining_steps(self, schedule: Schedule) -> int:
        """Steps still to do if no stage ends early."""
        if self.finished(schedule):
            return 0
        # max_steps may have been lowered before a resume: the stage still ends with a step of its own
        current = max(1, schedule.stages[self.index].until.max_steps - self.stage_step)
        return current + sum(stage.until.max_steps for stage in schedule.stages[self.index + 1 :])

    def save(self, folder: Path) -> None:
        """Write to a checkpoint folder, atomically."""
        write_json(folder / STATE_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path, schedule: Schedule) -> StageState:
        """Read from a checkpoint folder.

        Raises:
            UserError: no state in the checkpoint, or it belongs to another schedule.
        """
        file = folder / STATE_FILE
        try:
            state = TypeAdapter(cls).validate_json(file.read_bytes())
        except FileNotFoundError as error:
            raise UserError(
                f"{file}: missing; this checkpoint was not written by a medr3 trainer mode. "
                "Start in a new folder (trainer.default_local_dir) or set trainer.resume_mode=disable"
            ) from error
        except ValidationError as error:
            raise UserError(
                f"{mistake(error, f'{file}: state')}; remove this checkpoint to resume from the one before"
            ) from error
        for record in state.history:
            if record.index >= len(schedule.stages) or schedule.stages[record.index].name != record.name:
                raise UserError(
                    f"{file}: stage {record.index} was {record.name!r} when the checkpoint was written, but "
                    "medr3.stages has changed. Restore it, or start in a new folder"
                )
        if not state.finished(schedule) and state.metric != schedule.stages[state.index].until.metric:
            state.window = []  # of another metric, before the schedule was edited
        return state
