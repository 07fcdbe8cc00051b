"""Records of steps and validations, also as a table of trajectories in loggers that have one.

verl's validation is without invalid samples in its means.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from verl.trainer.ppo.v1 import PPOTrainer

from medr3_plugin.runs.files import VALIDATION, Labels
from medr3_plugin.runs.step_metrics import StepSample, by_dataset, failure_summary, step_metrics
from medr3_plugin.runs.writer import RunWriter, spread
from medr3_plugin.stages.schedule import ProgressSettings

logger = logging.getLogger(__name__)

TABLE = "medr3/trajectories"

COLUMNS = ("step", "stage", "kind", "id", "question", "answer", "response", "searches", "score", "reward")


class RecordedValidation(PPOTrainer):
    """A trainer whose validations are recorded in the run's folder."""

    settings: ProgressSettings
    run_folder: RunWriter
    _validated_at = -1
    _val_outputs: Sequence[str] = ()

    def _labels(self, kind: str) -> Labels:
        raise NotImplementedError

    def _record(
        self,
        kind: str,
        metrics: Mapping[str, Any],
        samples: Sequence[StepSample],
        texts: Callable[[Sequence[int]], list[str]],
        *,
        in_table: bool = True,
    ) -> None:
        """Write metrics and a sample of the trajectories to the run's folder.

        Args:
            texts: the responses at these places of `samples`.
            in_table: show the trajectories in the loggers, too.
        """
        labels = self._labels(kind)
        self.run_folder.append_metrics(labels, metrics)
        places = spread(samples, self.settings.trajectories_per_step)
        rows = self.run_folder.append_trajectories(labels, samples, places, texts(places))
        if in_table:
            log_table(self.logger, rows, self.global_steps)

    def _validate_and_log(self) -> dict[str, Any]:
        self.on_validate_begin()
        metrics = self._validate()
        self.on_validate_end()
        self.logger.log(data=metrics, step=self.global_steps)
        return metrics

    def _maybe_log_val_generations(self, inputs: Any, outputs: Sequence[str], scores: Any) -> None:
        self._val_outputs = list(outputs)
        super()._maybe_log_val_generations(inputs, outputs, scores)

    def _val_metrics_update(
        self,
        data_sources: Any,
        sample_uids: Sequence[str],
        reward_extra_infos_dict: dict[str, list[Any]],
        sample_turns: Sequence[int],
        expected_acc_counts: Any = None,  # noqa: ARG002 (verl's signature)
    ) -> dict[str, Any]:
        infos = {key: values for key, values in reward_extra_infos_dict.items() if key != "reward"}
        scores = reward_extra_infos_dict["reward"]
        samples = [
            StepSample.from_reward_extra_info(
                str(uid), {key: values[i] for key, values in infos.items()}, float(scores[i])
            )
            for i, uid in enumerate(sample_uids)
        ]
        ours = {**step_metrics(samples), **by_dataset(samples)}
        if ours.get("invalid_share", 0.0) > self.settings.max_invalid_share:
            # no reason to lose the training that was done; the next step stops the run if this continues
            logger.error(
                "step %d: %.0f%% of the validation's samples are invalid; failures: %s",
                *(self.global_steps, 100 * ours["invalid_share"], failure_summary(samples)),
            )
        self._record(VALIDATION, ours, samples, lambda places: [self._val_outputs[i] for i in places])
        self._validated_at = self.global_steps
        valid = [i for i, sample in enumerate(samples) if sample.valid]
        metrics = super()._val_metrics_update(
            [data_sources[i] for i in valid],
            [sample_uids[i] for i in valid],
            {key: [values[i] for i in valid] for key, values in reward_extra_infos_dict.items()},
            sample_turns,
            expected_acc_counts=None,  # with it verl counts what is missing as wrong
        )
        metrics.update({f"val/{key}": value for key, value in ours.items()})
        return metrics


def table(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Rows of `trajectories.jsonl` as rows of `COLUMNS`: texts, numbers, and JSON for the reward record."""
    return [
        [
            *(row[key] for key in COLUMNS[:7]),
            "\n".join(str(search["query"]) for search in row["searches"]),
            row["reward"]["score"],
            json.dumps(row["reward"]),
        ]
        for row in rows
    ]


def log_table(tracking: Any, rows: Sequence[Mapping[str, Any]], step: int) -> None:
    """Show the rows in every logger of the run that has tables or texts.

    Args:
        tracking: verl's `Tracking`; its `logger` maps the backends of `trainer.logger` to what it logs with.
        rows: rows of `trajectories.jsonl`.
    """
    if not rows:
        return
    backends: Mapping[str, Any] = tracking.logger
    for name in ("wandb", "vemlp_wandb"):
        if wandb := backends.get(name):
            wandb.log({TABLE: wandb.Table(columns=list(COLUMNS), data=table(rows))}, step=step)
    if tensorboard := backends.get("tensorboard"):
        for number, row in enumerate(rows):
            tensorboard.writer.add_text(f"{TABLE}/{number}", _markdown(row), step)
    if "mlflow" in backends:
        import mlflow

        columns = dict(zip(COLUMNS, map(list, zip(*table(rows), strict=True)), strict=True))
        mlflow.log_table(columns, artifact_file=f"{TABLE}.json")


def _markdown(row: Mapping[str, Any]) -> str:
    """One trajectory as TensorBoard shows text; as code, so that nothing in it becomes markup."""
    facts = dict(zip(COLUMNS, table([row])[0], strict=True))
    return "\n\n".join(
        f"**{name}**\n\n" + "\n".join(f"    {line}" for line in str(value).splitlines() or [""])
        for name, value in facts.items()
    )
