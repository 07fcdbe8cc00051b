"""Where a run is in its schedule; stored in every checkpoint."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from medr3_plugin.errors import UserError
from medr3_plugin.outputs import write_json
from medr3_plugin.runs.files import StageRecord
from medr3_plugin.stages.formulas import Formulas, changes
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
        formulas: what each stage rewards, as it was configured when the state was written.
    """

    history: Annotated[list[StageRecord], Field(min_length=1)]
    index: int = 0
    stage_step: int = 0
    window: list[float] = field(default_factory=list)
    metric: str | None = None
    data: list[int] = field(default_factory=list)
    formulas: Formulas = field(default_factory=dict)

    def remember(self, metric: str, value: float) -> None:
        """Add a value of the promotion metric to the window."""
        self.metric = metric
        self.window.append(value)

    @classmethod
    def begin(cls, schedule: Schedule, formulas: Formulas | None = None) -> StageState:
        """The state before the first step."""
        return cls(
            history=[StageRecord(schedule.stages[0].name, 0, start_step=1)],
            formulas=formulas or {},
        )

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
    def load(cls, folder: Path, schedule: Schedule, formulas: Formulas | None = None) -> StageState:
        """Read from a checkpoint folder.

        Args:
            formulas: what each stage rewards now; the state takes them over for stages that have not ended.

        Raises:
            UserError: no state in the checkpoint, or it belongs to another schedule or another arm: a stage that has
                ended was rewarded otherwise, or the running one has another preset.
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
        state._take_over(formulas or {}, file)
        return state

    def _take_over(self, formulas: Formulas, file: Path) -> None:
        for record in self.history:
            name, ended = record.name, record.end_step is not None
            found = changes(self.formulas.get(name, {}), formulas.get(name, {}))
            fatal = {key: change for key, change in found.items() if ended or key == "preset"}
            if fatal:
                key, change = next(iter(fatal.items()))
                raise UserError(
                    f"{file}: medr3.reward.{key} of stage {name!r} {change}, so the checkpoint is of another run. "
                    "Restore it, or start in a new folder (trainer.default_local_dir); to change it for later stages "
                    "only, set it there (medr3.stages.<i>.reward)"
                )
            for key, change in found.items():
                # not on stdout, which belongs to the report of a check that loads the state, too
                print(f"[medr3] medr3.reward.{key} of stage {name} {change} from here on", file=sys.stderr)
        ended_ones = {record.name for record in self.history if record.end_step is not None}
        self.formulas = formulas | {name: self.formulas[name] for name in ended_ones & self.formulas.keys()}
